import type { Address } from '@posthorn/core';

/** `addressing_mode` of Python's peers: theirs and ours must be the same. */
export type Addressing = 'legacy' | 'routable' | 'dynamic';

/** What the places are called that Python's amqp driver sends to and receives from. */
export interface Addresses {
  rpc(to: Extract<Address, { kind: 'anycast' | 'unicast' | 'multicast' }>): string;
  /** The queue of a topic and priority. */
  notifications(exchange: string, key: string): string;
}

/**
 * The addresses by mode. `dynamic` goes by what the broker says it is, as Python does: legacy where it is silent or qpidd,
 * else routable.
 *
 * @param vhost part of each address, as by Python's `pseudo_vhost`
 */
export function addressesFor(
  addressing: Addressing,
  product: string | undefined,
  vhost: string | undefined,
): Addresses {
  const isLegacy = addressing === 'dynamic' ? (product ?? QPIDD) === QPIDD : addressing === 'legacy';
  return isLegacy ? legacy(vhost) : routable(vhost);
}

const QPIDD = 'qpid-cpp';

/** Broker configurations tell by the prefix who gets what: `unicast` is one of a group, `exclusive` the one. */
function legacy(vhost: string | undefined): Addresses {
  const join = (...parts: readonly (string | undefined)[]): string => parts.filter(Boolean).join('.');
  return {
    rpc(to) {
      switch (to.kind) {
        case 'anycast':
          return join('unicast', vhost, to.exchange, to.topic);
        case 'unicast':
          return join('exclusive', vhost, to.exchange, to.topic, to.server);
        case 'multicast':
          return join('broadcast', vhost, to.exchange, to.topic, 'all');
      }
    },
    notifications: (exchange, key) => join('unicast', vhost, exchange, key),
  };
}

function routable(vhost: string | undefined): Addresses {
  const join = (service: 'rpc' | 'notify', ...parts: readonly (string | undefined)[]): string =>
    ['openstack.org/om', service, ...parts].filter(Boolean).join('/');
  return {
    rpc: (to) => join('rpc', to.kind, vhost, to.exchange, to.topic, to.kind === 'unicast' ? to.server : undefined),
    notifications: (exchange, key) => join('notify', 'anycast', vhost, exchange, key),
  };
}
