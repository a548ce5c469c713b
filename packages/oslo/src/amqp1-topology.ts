import {
  type Address,
  describe,
  type Features,
  type Retention,
  type SendOptions,
  type Source,
  UnsupportedError,
} from '@posthorn/core';
import { type Addresses, type Addressing, addressesFor } from './amqp1-addresses.ts';
import { groupOf, placeOf } from './amqp1-notify-codec.ts';

interface Route {
  readonly address: string;
  readonly annotations?: Readonly<Record<string, string | number | boolean | readonly string[]>> | undefined;
  readonly settled?: boolean;
}

interface Intake {
  readonly links: readonly { readonly label: Address; readonly source: object }[];
}

/** What the AMQP 1.0 driver knows of a kind of broker, as far as it matters here: this package does not know that driver. */
interface BrokerProfile {
  readonly name: string;
  readonly features: Features;
  readonly stampsTtl?: boolean;
  route(to: Address, options: SendOptions): Route;
  intake(
    from: readonly Source[],
    options: {
      readonly group?: string | undefined;
      readonly retention?: Retention | undefined;
      readonly untilEmpty?: boolean | undefined;
    },
  ): Intake;
}

/** What is otherwise than in the driver's profile of its broker: the vhost is that of the URL. */
export type Amqp1Topology = (
  profile: BrokerProfile,
  vhost: string | undefined,
) => BrokerProfile & { readonly body: 'string' };

export interface Amqp1TopologyOptions {
  readonly addressing: Addressing;
  readonly strict: boolean;
  /** What the broker says it is. */
  readonly product: string | undefined;
}

const KINDS: Features['kinds'] = ['anycast', 'unicast', 'multicast', 'topic', 'group', 'reply'];

/**
 * The addresses of Python's amqp driver on whatever broker there is; what the broker does with them (who gets a copy, what
 * is kept) is in its configuration, by prefix. Pools and attributes of queues do not exist there.
 */
export function amqp1Topology({ addressing, strict, product }: Amqp1TopologyOptions): Amqp1Topology {
  return (profile, vhost) => {
    const addressOf = addresser(addressesFor(addressing, product, vhost));
    const { features } = profile;
    return {
      name: `oslo on ${profile.name}`,
      body: 'string',
      ...(strict && { stampsTtl: false }),
      features: {
        ...features,
        kinds: KINDS,
        unroutable: strict ? 'undetected' : features.unroutable,
        delay: false,
        priority: false,
        // Whoever comes first makes the queue; a router has the sender wait for a listener.
        keep: true,
        untilEmpty: false,
      },
      route(to: Address, { unrouted, confirm, retention }: SendOptions): Route {
        // Dead letters are bounded by the broker's configuration alone.
        if (to.kind !== 'group') refuseRetention(retention);
        // Nobody wants to hear what became of it: as Python has it with replies, and with casts.
        const settled = to.kind === 'reply' || (unrouted === 'drop' && confirm !== true);
        const address = addressOf(to);
        // A reply address is any address as it is, where nothing is kept for those who may come.
        const isAsItIs = !strict && (to.kind === 'reply' || unrouted === 'fail');
        const route = isAsItIs ? profile.route({ kind: 'reply', name: address }, {}) : { address };
        return settled ? { ...route, settled } : route;
      },
      intake(from: readonly Source[], { group, retention }): Intake {
        refuseRetention(retention);
        const linksOf = (source: Source): Intake['links'] =>
          source.kind === 'reply' ? profile.intake([source], {}).links : [link(source, group, addressOf)];
        return { links: from.flatMap(linksOf) };
      },
    };
  };
}

function addresser(addresses: Addresses): (to: Address) => string {
  return (to) => {
    switch (to.kind) {
      case 'anycast':
      case 'unicast':
      case 'multicast':
        return addresses.rpc(to);
      case 'topic':
        return addresses.notifications(to.exchange, to.key);
      case 'group': {
        const { exchange, key } = placeOf(to.name);
        return addresses.notifications(exchange, key);
      }
      case 'reply':
        return to.name;
      case 'mailbox':
        throw new UnsupportedError('amqp1', `${describe(to)} on the oslo wire`);
    }
  };
}

function link(
  source: Exclude<Source, { kind: 'reply' }>,
  group: string | undefined,
  addressOf: (to: Address) => string,
): Intake['links'][number] {
  const label = source.kind === 'topic' ? topicOf(source, group) : source;
  return { label, source: { address: addressOf(label) } };
}

/** One queue for each topic and priority, which all listeners share. */
function topicOf(source: Extract<Source, { kind: 'topic' }>, group: string | undefined): Address {
  const { exchange, pattern: key } = source;
  if (/[*#]/.test(key)) throw new UnsupportedError('amqp1', `patterns on the oslo wire: ${describe(source)}`);
  if (group !== undefined && group !== groupOf(exchange, key))
    throw new UnsupportedError('amqp1', `pools on the oslo wire: ${group} for ${describe(source)}`);
  return { kind: 'topic', exchange, key };
}

function refuseRetention(retention: object | undefined): void {
  const [name] = Object.keys(retention ?? {});
  if (name !== undefined) throw new UnsupportedError('amqp1', `queues with ${name} on the oslo wire`);
}
