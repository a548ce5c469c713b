import { type Address, describe, type Features, type Source, UnsupportedError } from '@posthorn/core';
import type { Profile } from '../profile.ts';
import { queueLinks, refuseRetention } from './plain.ts';

const FEATURES: Features = {
  kinds: ['anycast', 'unicast', 'multicast', 'group', 'mailbox', 'reply'],
  unroutable: 'undetected',
  ttl: true,
  delay: false,
  priority: false,
  keep: true,
  deliveryCount: true,
  untilEmpty: false,
  inPlace: false,
  durable: true,
};

/**
 * ActiveMQ Classic: queues and topics by the prefix of their names, made at their first use. Topics with keys are left
 * out: its wildcards mean other things, and a group would need a queue for each key.
 */
export const activemq: Profile = {
  name: 'activemq',
  features: FEATURES,
  release: 'modified',
  drain: true,
  managed: false,
  route: (to, { retention }) => {
    refuseRetention(retention, 'durable');
    return { address: addressOf(to) };
  },
  intake: (from, options) => ({ links: queueLinks(from, options, addressOf, 'durable') }),
};

function addressOf(to: Address | Source): string {
  switch (to.kind) {
    case 'anycast':
      return `queue://${encode(to.exchange)}.${encode(to.topic)}`;
    case 'unicast':
      return `queue://${encode(to.exchange)}.${encode(to.topic)}.${encode(to.server)}`;
    case 'multicast':
      return `topic://${encode(to.exchange)}.${encode(to.topic)}`;
    case 'group':
    case 'mailbox':
      return `queue://${encode(to.name)}`;
    case 'reply':
      if ('name' in to) return to.name;
      break;
    case 'topic':
      break;
  }
  throw new UnsupportedError('amqp1', `${describe(to)} on ActiveMQ`);
}

/** Dots part the names, `*` and `>` are wildcards, and a comma makes two destinations of one. */
function encode(part: string): string {
  return encodeURIComponent(part).replaceAll('.', '%2E').replaceAll('*', '%2A');
}
