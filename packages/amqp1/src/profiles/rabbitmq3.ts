import { type Address, describe, type Features, type Source, UnsupportedError } from '@posthorn/core';
import type { Profile } from '../profile.ts';
import { queueLinks, refuseRetention } from './plain.ts';

const FEATURES: Features = {
  kinds: ['anycast', 'group', 'mailbox'],
  unroutable: 'undetected',
  ttl: true,
  delay: false,
  priority: false,
  keep: true,
  deliveryCount: false,
  untilEmpty: false,
  inPlace: true,
  durable: true,
};

/**
 * RabbitMQ 3 with its AMQP 1.0 plugin: durable queues, made at their first use, under the names that they have on AMQP
 * 0-9-1. What it makes is never removed, so private queues cannot be had, and without them neither reply addresses nor
 * servers of their own name nor multicast; exchanges cannot be declared. `rabbit://` can do all of that.
 */
export const rabbitmq3: Profile = {
  name: 'rabbitmq3',
  features: FEATURES,
  // It ends the session over a modified outcome.
  release: 'released',
  // Its answer claims credit that it took back, which rhea does not understand.
  drain: false,
  creditWhenUsedUp: true,
  // It overwrites the subject with the routing key.
  typeAnnotation: 'x-basic-type',
  managed: false,
  // Durable termini make durable queues. Both ends must say so, or the second is refused.
  route: (to, { retention }) => {
    refuseRetention(retention, 'durable');
    return { address: addressOf(to), durable: 2 };
  },
  intake: (from, options) => ({
    links: queueLinks(from, options, addressOf, 'durable').map((link) => ({
      ...link,
      source: { ...link.source, durable: 2 },
    })),
  }),
};

function addressOf(to: Address | Source): string {
  switch (to.kind) {
    case 'anycast':
      return queue(to.exchange, to.topic);
    case 'group':
    case 'mailbox':
      return queue(to.name);
    default:
      throw new UnsupportedError('amqp1', `${describe(to)} on RabbitMQ 3`);
  }
}

/**
 * In these addresses `%2F` stands for a slash, and nothing else is decoded. So the slash inside a part is written in small
 * letters, which stays as it is: such a queue has another name than on AMQP 0-9-1.
 */
function queue(...parts: readonly string[]): string {
  const names = parts.map((part) => encodeURIComponent(part).replaceAll('%2F', '%2f'));
  return `/queue/${names.join('%2F')}`;
}
