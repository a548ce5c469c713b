import {
  type Address,
  ConfigError,
  describe,
  type Features,
  type Retention,
  type Source,
  UnsupportedError,
} from '@posthorn/core';
import type { IntakeLink, IntakeOptions, Profile } from '../profile.ts';

const FEATURES: Features = {
  kinds: ['anycast', 'unicast', 'group', 'mailbox', 'reply'],
  unroutable: 'undetected',
  ttl: true,
  delay: false,
  priority: false,
  keep: true,
  deliveryCount: false,
  untilEmpty: false,
  inPlace: false,
  durable: false,
};

/**
 * A broker that nothing is known of but AMQP 1.0: any name is a queue, made at its first use, and reply addresses are
 * dynamic. Parts are percent-encoded and joined by `/`.
 */
export const plain: Profile = {
  name: 'plain',
  features: FEATURES,
  release: 'released',
  drain: false,
  stampsTtl: true,
  managed: false,
  route: (to, { retention }) => {
    refuseRetention(retention);
    return { address: addressOf(to) };
  },
  intake: (from, options) => ({ links: queueLinks(from, options, addressOf) }),
};

/**
 * One link for each source, where each source is a queue by itself.
 *
 * @throws {UnsupportedError} for a group of topics, and attributes of queues
 */
export function queueLinks(
  from: readonly Source[],
  { group, retention }: IntakeOptions,
  nameOf: (address: Exclude<Source, { kind: 'reply' | 'topic' }>) => string,
  durability?: Retention['durability'],
): readonly IntakeLink[] {
  if (from.length === 0) throw new ConfigError('subscribe', 'no source to subscribe to');
  refuseRetention(retention, durability);
  if (group !== undefined) throw new UnsupportedError('amqp1', 'groups of subscribers on this broker');
  return from.map((source): IntakeLink => {
    if (source.kind === 'reply')
      return { label: { kind: 'reply', name: '' }, source: { dynamic: true, expiryPolicy: 'link-detach' } };
    if (source.kind === 'topic') throw new UnsupportedError('amqp1', `${describe(source)} on this broker`);
    return { label: source, source: { address: nameOf(source) } };
  });
}

/** Attributes of queues are an operator's affair there, but for the one that all of them have. */
export function refuseRetention(retention: Retention = {}, durability?: Retention['durability']): void {
  const names = Object.keys(retention) as (keyof Retention)[];
  const unknown = names.find((name) => name !== 'durability' || retention[name] !== durability);
  if (unknown !== undefined) throw new UnsupportedError('amqp1', `queues with ${unknown} on this broker`);
}

function addressOf(to: Address): string {
  switch (to.kind) {
    case 'anycast':
    case 'multicast':
      return `${encode(to.exchange)}/${encode(to.topic)}`;
    case 'unicast':
      return `${encode(to.exchange)}/${encode(to.topic)}/${encode(to.server)}`;
    case 'group':
    case 'mailbox':
      return encode(to.name);
    case 'reply':
      return to.name;
    case 'topic':
      throw new UnsupportedError('amqp1', `${describe(to)} on this broker`);
  }
}

function encode(part: string): string {
  return encodeURIComponent(part);
}
