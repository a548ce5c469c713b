import { type Address, describe, type Features, type Source, UnsupportedError } from '@posthorn/core';
import type { Profile } from '../profile.ts';
import { queueLinks, refuseRetention } from './plain.ts';

const FEATURES: Features = {
  kinds: ['anycast', 'unicast', 'multicast', 'reply'],
  unroutable: 'detected',
  ttl: true,
  delay: false,
  priority: false,
  keep: false,
  deliveryCount: false,
  untilEmpty: false,
  inPlace: false,
  durable: false,
};

/**
 * Qpid Dispatch and Skupper: a router stores nothing, and messages for nobody come back. How an address is distributed is
 * the router's configuration: `multicast/…` needs a `distribution: multicast` for that prefix, which the default
 * configuration has; any other goes to one of the consumers.
 */
export const router: Profile = {
  name: 'router',
  features: FEATURES,
  release: 'released',
  drain: true,
  stampsTtl: true,
  managed: false,
  route: (to, { retention }) => {
    refuseRetention(retention);
    return { address: addressOf(to) };
  },
  intake: (from, options) => ({ links: queueLinks(from, options, addressOf) }),
};

function addressOf(to: Address | Source): string {
  switch (to.kind) {
    case 'anycast':
    case 'multicast':
      return `${to.kind}/${encode(to.exchange)}/${encode(to.topic)}`;
    case 'unicast':
      return `unicast/${encode(to.exchange)}/${encode(to.topic)}/${encode(to.server)}`;
    case 'reply':
      if ('name' in to) return to.name;
      break;
    default:
      break;
  }
  throw new UnsupportedError('amqp1', `${describe(to)} on a router`);
}

function encode(part: string): string {
  return encodeURIComponent(part);
}
