import {
  type Address,
  ConfigError,
  describe,
  newId,
  type Retention,
  type Source,
  UnsupportedError,
} from '@posthorn/core';
import type { Binding, ExchangeDeclaration, Intake, QueueDeclaration, Route, Topology } from './topology.ts';

/** A server's own queue goes when nobody used it for this long. */
const UNICAST_EXPIRES_MS = 1_800_000;
/** RabbitMQ 4 drops from a quorum queue what was given back 20 times; without a limit, -1, 3.10 drops it the first time. */
const DELIVERY_LIMIT = 1_000_000;
/** AMQP 0-9-1 short strings. */
const LONGEST_NAME = 255;

/**
 * Posthorn's own names: valid on RabbitMQ 3.10 to 4.3, where queues that are neither durable nor exclusive are going
 * away. Parts are percent-encoded, so that `/` stands in none of them.
 *
 * | address | exchange | queue |
 * |---|---|---|
 * | anycast, unicast | direct `e/rpc` | `e/t`, `e/t/s` |
 * | multicast | fanout `e/t/all` | one private `e/t/all/<id>` each |
 * | topic | topic `e` | one named as the group, or private `e/<id>` |
 * | group, mailbox, reply | the default exchange | the name itself |
 */
export function modernTopology(durability: 'durable' | 'quorum'): Topology {
  const shared = (name: string, retention: Retention = {}): QueueDeclaration =>
    sharedQueue(name, { durability, ...retention });
  return {
    route,
    intake(from, { group, retention }): Intake {
      const [first] = from;
      if (first === undefined) throw new ConfigError('subscribe', 'no source to subscribe to');
      const named = from.find(({ kind }, index) => isQueue(kind) && (index > 0 || group !== undefined));
      if (named !== undefined) throw new UnsupportedError('rabbit', `feeding ${describe(named)} into another queue`);
      return {
        queue: group === undefined ? queueOf(first, retention, shared) : shared(encode(group), retention),
        bindings: from.flatMap(bindingsOf),
      };
    },
    kept(to, { retention, keepFor } = {}): Intake {
      if (to.kind === 'multicast' || to.kind === 'reply')
        throw new UnsupportedError('rabbit', `keeping messages for a ${to.kind} address`);
      const { exchange, key } = route(to);
      // Not bound: it would go on to fill when others listen and nobody reads it. Its listeners bind it.
      if (to.kind === 'topic') return { queue: shared(encode(keepFor ?? to.key), retention), bindings: [] };
      return { queue: shared(key, retention), bindings: exchange === undefined ? [] : [{ exchange, key }] };
    },
  };
}

/** An address that is a queue by itself, with no exchange before it that could feed another. */
function isQueue(kind: Source['kind']): boolean {
  return kind === 'mailbox' || kind === 'group';
}

function queueOf(
  source: Source,
  retention: Retention | undefined,
  shared: (name: string, retention?: Retention) => QueueDeclaration,
): QueueDeclaration {
  switch (source.kind) {
    case 'anycast':
    case 'mailbox':
    case 'group':
      return shared(route(source).key, retention);
    case 'unicast': {
      const queue = shared(route(source).key, { expiresMs: UNICAST_EXPIRES_MS, ...retention });
      return { ...queue, onClose: queue.arguments['x-queue-type'] === 'quorum' ? 'unbind' : 'ifEmpty' };
    }
    case 'multicast':
      return privateQueue(`${encode(source.exchange)}/${encode(source.topic)}/all/${newId()}`);
    case 'topic':
      return privateQueue(`${encode(source.exchange)}/${newId()}`);
    case 'reply':
      return privateQueue(`reply/${newId()}`);
  }
}

function bindingsOf(source: Source): readonly Binding[] {
  if (source.kind === 'reply') return [];
  if (source.kind === 'topic') return [{ exchange: topicExchange(source.exchange), key: source.pattern }];
  const { exchange, key } = route(source);
  return exchange === undefined ? [] : [{ exchange, key }];
}

function route(to: Address): Route {
  switch (to.kind) {
    case 'anycast':
      return {
        exchange: durable('direct', `${encode(to.exchange)}/rpc`),
        key: named(`${encode(to.exchange)}/${encode(to.topic)}`),
      };
    case 'unicast': {
      const name = `${encode(to.exchange)}/${encode(to.topic)}/${encode(to.server)}`;
      return { exchange: durable('direct', `${encode(to.exchange)}/rpc`), key: named(name) };
    }
    case 'multicast':
      return { exchange: durable('fanout', `${encode(to.exchange)}/${encode(to.topic)}/all`), key: '' };
    case 'topic':
      return { exchange: topicExchange(to.exchange), key: named(to.key) };
    case 'group':
    case 'mailbox':
      return { exchange: undefined, key: named(encode(to.name)) };
    case 'reply':
      // A name that a peer sent: what it means is the peer's affair.
      return { exchange: undefined, key: to.name };
  }
}

function topicExchange(exchange: string): ExchangeDeclaration {
  return durable('topic', encode(exchange));
}

function durable(type: ExchangeDeclaration['type'], name: string): ExchangeDeclaration {
  return { name: named(name), type, durable: true, autoDelete: false };
}

function privateQueue(name: string): QueueDeclaration {
  return { name: named(name), durable: false, exclusive: true, autoDelete: false, arguments: {}, onClose: 'delete' };
}

/** A queue that several may use, with its attributes as RabbitMQ's arguments. */
function sharedQueue(
  name: string,
  { durability, expiresMs, maxLength, maxPriority, deadLetter }: Retention,
): QueueDeclaration {
  const args: Record<string, string | number> = {};
  if (durability === 'quorum') {
    args['x-queue-type'] = 'quorum';
    args['x-delivery-limit'] = DELIVERY_LIMIT;
  }
  if (expiresMs !== undefined) args['x-expires'] = expiresMs;
  if (maxLength !== undefined) args['x-max-length'] = maxLength;
  if (maxPriority !== undefined) args['x-max-priority'] = maxPriority;
  if (deadLetter !== undefined) {
    args['x-dead-letter-exchange'] = '';
    args['x-dead-letter-routing-key'] = encode(deadLetter);
  }
  return {
    name: named(name),
    durable: durability !== 'transient',
    exclusive: false,
    autoDelete: false,
    arguments: args,
    onClose: 'keep',
  };
}

const DELAY = 'delay/';

/** Nobody ever listens there. */
export function isDelay({ queue }: Intake): boolean {
  return queue.name.startsWith(DELAY);
}

/**
 * A queue in which messages wait before they go to where they belong: it has no consumer, a TTL, and dead-letters to the
 * target's exchange with the key that the message came with. One for each exchange and delay, for good: an expiring one
 * would take its messages with it. The delay is rounded up to two digits, so that there are not too many.
 */
export function delayIntake(target: Route, delayMs: number): Intake {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(delayMs)) - 1);
  const ttlMs = Math.max(1, Math.ceil(delayMs / step) * step);
  const exchange = target.exchange?.name ?? '';
  const name = named(`${DELAY}${ttlMs}/${exchange}`);
  return {
    queue: {
      name,
      durable: true,
      exclusive: false,
      autoDelete: false,
      arguments: { 'x-message-ttl': ttlMs, 'x-dead-letter-exchange': exchange },
      onClose: 'keep',
    },
    bindings: [{ exchange: durable('fanout', name), key: '' }],
  };
}

function encode(part: string): string {
  return encodeURIComponent(part);
}

function named(name: string): string {
  const bytes = Buffer.byteLength(name);
  if (bytes > LONGEST_NAME)
    throw new ConfigError(
      '',
      `the name ${name.slice(0, 40)}… has ${bytes} bytes on RabbitMQ, which allows ${LONGEST_NAME}`,
    );
  return name;
}
