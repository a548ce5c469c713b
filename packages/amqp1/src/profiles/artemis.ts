import { type Address, describe, type Features, type SendOptions, type Source, UnsupportedError } from '@posthorn/core';
import type { Profile } from '../profile.ts';
import { queueLinks, refuseRetention } from './plain.ts';

const FEATURES: Features = {
  kinds: ['anycast', 'unicast', 'multicast', 'group', 'mailbox', 'reply'],
  unroutable: 'undetected',
  ttl: true,
  delay: true,
  priority: false,
  keep: true,
  deliveryCount: true,
  untilEmpty: false,
  inPlace: false,
  durable: true,
};

/**
 * ActiveMQ Artemis: addresses are made at their first use, as queues or as topics by the capability of the terminus; so
 * each has a link of its own, for an anonymous one could not tell. Topics with keys are left out, as on ActiveMQ Classic.
 */
export const artemis: Profile = {
  name: 'artemis',
  features: FEATURES,
  release: 'modified',
  drain: true,
  linkPerAddress: true,
  managed: false,
  route: (to, options: SendOptions) => {
    refuseRetention(options.retention, 'durable');
    const { delayMs } = options;
    return {
      address: addressOf(to),
      ...(to.kind !== 'reply' && { capabilities: capabilitiesOf(to) }),
      ...(delayMs !== undefined && { annotations: { 'x-opt-delivery-delay': Math.ceil(delayMs) } }),
    };
  },
  intake: (from, options) => ({
    links: queueLinks(from, options, addressOf, 'durable').map((link) => {
      const capabilities = link.source.dynamic ? ['temporary-queue'] : capabilitiesOf(link.label);
      return { ...link, source: { ...link.source, capabilities } };
    }),
  }),
};

function capabilitiesOf({ kind }: Address): readonly string[] {
  return [kind === 'multicast' ? 'topic' : 'queue'];
}

function addressOf(to: Address | Source): string {
  switch (to.kind) {
    case 'anycast':
      return `${encode(to.exchange)}.${encode(to.topic)}`;
    case 'unicast':
      return `${encode(to.exchange)}.${encode(to.topic)}.${encode(to.server)}`;
    case 'multicast':
      return `${encode(to.exchange)}.${encode(to.topic)}.all`;
    case 'group':
    case 'mailbox':
      return encode(to.name);
    case 'reply':
      if ('name' in to) return to.name;
      break;
    case 'topic':
      break;
  }
  throw new UnsupportedError('amqp1', `${describe(to)} on Artemis`);
}

/** Dots part the names, and `*` and `#` are wildcards. `all` may be a server's name: its first letter is encoded then. */
function encode(part: string): string {
  const encoded = encodeURIComponent(part).replaceAll('.', '%2E').replaceAll('*', '%2A');
  return encoded === 'all' ? '%61ll' : encoded;
}
