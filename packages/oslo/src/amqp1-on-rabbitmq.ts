import {
  type Address,
  type Features,
  type Retention,
  type SendOptions,
  type Source,
  UnsupportedError,
} from '@posthorn/core';
import type { OsloTopology } from './rabbit-topology.ts';

type Declared = ReturnType<OsloTopology['intake']>;
type Place = ReturnType<OsloTopology['route']>;

interface Route {
  readonly address: string;
  readonly exchange: Place['exchange'];
}

interface Intake extends Declared {
  readonly links: readonly { readonly label: Address; readonly source: { readonly address: string } }[];
  readonly sentTo: (sent: { readonly annotations: Readonly<Record<string, unknown>> }) => Address | undefined;
}

interface Shelf extends Declared {
  readonly first: Route;
  readonly last: Route;
}

/** What is otherwise than in the AMQP 1.0 driver's profile of RabbitMQ. */
interface OnRabbitMQ {
  readonly name: string;
  readonly features: Features;
  route(to: Address): Route;
  shelf(to: Address, options: SendOptions): Shelf;
  intake(
    from: readonly Source[],
    options: { readonly group?: string | undefined; readonly retention?: Retention | undefined },
  ): Intake;
}

export type Amqp1OnRabbitMQ = (profile: { readonly name: string; readonly features: Features }) => OnRabbitMQ;

const KINDS: Features['kinds'] = ['anycast', 'unicast', 'multicast', 'topic', 'group', 'mailbox', 'reply'];

/**
 * On RabbitMQ, Python's peers speak AMQP 0-9-1, and the broker stands between the protocols: the queues and exchanges of
 * their rabbit driver, sent to and received from by addresses of version 2.
 *
 * @throws {UnsupportedError} on RabbitMQ 3, which lacks what is needed for replies and exchanges
 */
export function amqp1OnRabbitMQ(topology: OsloTopology): Amqp1OnRabbitMQ {
  return ({ name, features }) => {
    if (name !== 'rabbitmq4')
      throw new UnsupportedError('amqp1', `the oslo wire on RabbitMQ 3, where rabbit:// can be used (${name})`);
    const route = (to: Address): Route => addressed(topology.route(to));
    return {
      name: `oslo on ${name}`,
      features: { ...features, kinds: KINDS, delay: false, priority: false },
      route,
      shelf(to, { retention }) {
        const { queue, bindings } = topology.kept(to, { retention });
        return { queue, bindings, first: route(to), last: route(to) };
      },
      intake(from, options) {
        const declared = topology.intake(from, options);
        const { name: queue } = declared.queue;
        const source = { address: `/queues/${encodeURIComponent(queue)}` };
        return {
          ...declared,
          links: from.slice(0, 1).map((first) => ({ label: labelOf(first, queue), source })),
          sentTo: ({ annotations }) => sentTo(from, options.group, annotations),
        };
      },
    };
  };
}

/** Without an exchange: to the default one, whose key is the queue's name. */
function addressed({ exchange, key }: Place): Route {
  const name = encodeURIComponent(key);
  if (exchange === undefined) return { address: `/queues/${name}`, exchange };
  return { address: `/exchanges/${encodeURIComponent(exchange.name)}${key === '' ? '' : `/${name}`}`, exchange };
}

function labelOf(source: Source, queue: string): Address {
  switch (source.kind) {
    case 'reply':
      return { kind: 'reply', name: queue };
    case 'topic':
      return { kind: 'topic', exchange: source.exchange, key: source.pattern };
    default:
      return source;
  }
}

/** Of a subscriber to topics: RabbitMQ tells the exchange and the routing key, and none for what came to the queue itself. */
function sentTo(
  from: readonly Source[],
  group: string | undefined,
  { 'x-exchange': exchange, 'x-routing-key': key }: Readonly<Record<string, unknown>>,
): Address | undefined {
  if (from[0]?.kind !== 'topic' || typeof exchange !== 'string' || typeof key !== 'string') return undefined;
  if (exchange !== '') return { kind: 'topic', exchange, key };
  return group === undefined ? undefined : { kind: 'group', name: group };
}
