import type { Amqp1Settings } from './options.ts';
import type { Peer, Profile } from './profile.ts';
import { activemq } from './profiles/activemq.ts';
import { artemis } from './profiles/artemis.ts';
import { plain } from './profiles/plain.ts';
import { posthorn } from './profiles/posthorn.ts';
import { rabbitmq3 } from './profiles/rabbitmq3.ts';
import { rabbitmq4 } from './profiles/rabbitmq4.ts';
import { router } from './profiles/router.ts';

/** The profile that was asked for, or the one of the broker that the peer says it is. */
export function chooseProfile(settings: Pick<Amqp1Settings, 'profile' | 'durability'>, peer: Peer): Profile {
  switch (settings.profile ?? familyOf(peer)) {
    case 'rabbitmq4':
      return rabbitmq4(settings.durability, peer.version);
    case 'rabbitmq3':
      return rabbitmq3;
    case 'activemq':
      return activemq;
    case 'artemis':
      return artemis;
    case 'router':
      return router;
    case 'posthorn':
      return posthorn;
    case 'plain':
      return plain;
  }
}

function familyOf({ product = '', version = '' }: Peer): NonNullable<Amqp1Settings['profile']> {
  if (product === 'RabbitMQ') return Number.parseInt(version, 10) < 4 ? 'rabbitmq3' : 'rabbitmq4';
  if (product === 'Posthorn') return 'posthorn';
  if (product === 'ActiveMQ') return 'activemq';
  if (product === 'apache-activemq-artemis') return 'artemis';
  if (/router|dispatch/i.test(product)) return 'router';
  return 'plain';
}
