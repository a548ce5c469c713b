import {
  type Address,
  ConfigError,
  describe,
  type Features,
  newId,
  type Retention,
  type Source,
  UnsupportedError,
} from '@posthorn/core';
import type {
  Binding,
  ExchangeDeclaration,
  Intake,
  IntakeOptions,
  Profile,
  QueueDeclaration,
  Route,
} from '../profile.ts';

/** A server's own queue goes when nobody used it for this long. */
const UNICAST_EXPIRES_MS = 1_800_000;
/** RabbitMQ 4 drops from a quorum queue what was given back 20 times. The same as on AMQP 0-9-1: it is the same queue. */
const DELIVERY_LIMIT = 1_000_000;
const LONGEST_NAME = 255;

const FEATURES: Features = {
  kinds: ['anycast', 'unicast', 'multicast', 'topic', 'group', 'mailbox', 'reply'],
  unroutable: 'detected',
  ttl: true,
  delay: true,
  priority: true,
  keep: true,
  deliveryCount: true,
  untilEmpty: true,
  inPlace: true,
  durable: true,
  inspect: true,
  plan: true,
  declare: true,
};

/**
 * RabbitMQ 4: the names of Posthorn's topology on AMQP 0-9-1, so that clients on one protocol reach servers on the other.
 * Addresses are of version 2, queues and exchanges are declared at the management node. Parts are percent-encoded, so that
 * `/` stands in none of them.
 *
 * | address | exchange | queue |
 * |---|---|---|
 * | anycast, unicast | direct `e/rpc` | `e/t`, `e/t/s` |
 * | multicast | fanout `e/t/all` | one private `e/t/all/<id>` each |
 * | topic | topic `e` | one named as the group, or private `e/<id>` |
 * | group, mailbox, reply | the default exchange | the name itself |
 *
 * A reply address is an exclusive queue. RabbitMQ 4.2 and later would make a volatile one for the link alone, but drop
 * replies to it whenever the link has no credit.
 */
export function rabbitmq4(durability: 'durable' | 'quorum', version: string | undefined): Profile {
  const shared = (name: string, retention: Retention = {}): QueueDeclaration =>
    sharedQueue(name, { durability, ...retention });
  return {
    name: 'rabbitmq4',
    features: featuresOf(durability, version),
    release: 'modified',
    drain: true,
    // A link has credit for 170 messages, a session a window of 400: a broker far away gets more at a time.
    sendingLinks: 3,
    typeAnnotation: 'x-basic-type',
    managed: true,
    route,
    shelf(to, { delayMs, keepFor, retention }) {
      const target = placeOf(to);
      if (delayMs !== undefined) {
        const { exchange, queue } = delayOf(target, delayMs);
        const first = routeTo({ exchange, key: target.key });
        return { queue, bindings: [{ exchange, key: '' }], first, last: first };
      }
      if (to.kind === 'multicast' || to.kind === 'reply')
        throw new UnsupportedError('amqp1', `keeping messages for a ${to.kind} address`);
      const first = route(to);
      // Not bound: it would go on to fill when others listen and nobody reads it. Its listeners bind it.
      if (to.kind === 'topic') {
        const queue = shared(encode(keepFor ?? to.key), retention);
        return { queue, bindings: [], first, last: routeTo({ exchange: undefined, key: queue.name }) };
      }
      const { exchange, key } = target;
      return {
        queue: shared(key, retention),
        bindings: exchange === undefined ? [] : [{ exchange, key }],
        first,
        last: first,
      };
    },
    intake(from, { group, retention }: IntakeOptions): Intake {
      const [first] = from;
      if (first === undefined) throw new ConfigError('subscribe', 'no source to subscribe to');
      const named = from.find(({ kind }, index) => isQueue(kind) && (index > 0 || group !== undefined));
      if (named !== undefined) throw new UnsupportedError('amqp1', `feeding ${describe(named)} into another queue`);
      const queue = group === undefined ? queueOf(first, retention, shared) : shared(encode(group), retention);
      const label: Address =
        first.kind === 'reply'
          ? { kind: 'reply', name: queue.name }
          : first.kind === 'topic'
            ? { kind: 'topic', exchange: first.exchange, key: first.pattern }
            : first;
      return {
        links: [{ label, source: { address: `/queues/${encode(queue.name)}` } }],
        queue,
        bindings: from.flatMap(bindingsOf),
        sentTo: locator(from, group, queue.name),
      };
    },
    // RabbitMQ 4.3 turns the reply-to of a 0-9-1 message into an address, and 4.0 leaves it; both leave a plain name.
    replyName: (replyTo) =>
      replyTo.startsWith('/queues/') ? decodeURIComponent(replyTo.slice('/queues/'.length)) : replyTo,
  };
}

/**
 * RabbitMQ refuses to declare a quorum queue with priorities, and has what was given back to it in some order. Classic
 * queues count deliveries from 4.3 on.
 */
function featuresOf(durability: 'durable' | 'quorum', version = ''): Features {
  if (durability === 'quorum') return { ...FEATURES, priority: false, inPlace: false };
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return { ...FEATURES, deliveryCount: major > 4 || minor >= 3 };
}

/** Where to publish. Without an exchange: to the default one, whose key is the queue's name. */
interface Place {
  readonly exchange: ExchangeDeclaration | undefined;
  readonly key: string;
}

function route(to: Address): Route {
  return routeTo(placeOf(to));
}

function routeTo({ exchange, key }: Place): Route {
  if (exchange === undefined) return { address: `/queues/${encode(key)}` };
  return { address: `/exchanges/${encode(exchange.name)}${key === '' ? '' : `/${encode(key)}`}`, exchange };
}

function placeOf(to: Address): Place {
  switch (to.kind) {
    case 'anycast':
      return {
        exchange: exchangeOf('direct', `${encode(to.exchange)}/rpc`),
        key: named(`${encode(to.exchange)}/${encode(to.topic)}`),
      };
    case 'unicast': {
      const name = `${encode(to.exchange)}/${encode(to.topic)}/${encode(to.server)}`;
      return { exchange: exchangeOf('direct', `${encode(to.exchange)}/rpc`), key: named(name) };
    }
    case 'multicast':
      return { exchange: exchangeOf('fanout', `${encode(to.exchange)}/${encode(to.topic)}/all`), key: '' };
    case 'topic':
      return { exchange: exchangeOf('topic', encode(to.exchange)), key: named(to.key) };
    case 'group':
    case 'mailbox':
      return { exchange: undefined, key: named(encode(to.name)) };
    case 'reply':
      // A name that a peer sent: what it means is the peer's affair.
      return { exchange: undefined, key: to.name };
  }
}

/** Finds the source that a message came by: RabbitMQ tells the exchange and the routing key. */
function locator(from: readonly Source[], group: string | undefined, queue: string): Intake['sentTo'] {
  const [first] = from;
  if (from.length === 1 && first?.kind !== 'topic') return undefined;
  return ({ annotations }) => {
    const { 'x-exchange': exchange, 'x-routing-key': key } = annotations;
    if (typeof exchange !== 'string' || typeof key !== 'string') return undefined;
    if (exchange === '' && key === queue && group !== undefined) return { kind: 'group', name: group };
    for (const source of from) {
      if (source.kind === 'topic') {
        if (encode(source.exchange) === exchange) return { kind: 'topic', exchange: source.exchange, key };
      } else if (source.kind !== 'reply') {
        const place = placeOf(source);
        if ((place.exchange?.name ?? '') === exchange && (source.kind === 'multicast' || place.key === key))
          return source;
      }
    }
    return undefined;
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
      return shared(placeOf(source).key, retention);
    case 'unicast':
      // The management node cannot delete a queue only if it is empty: it expires.
      return { ...shared(placeOf(source).key, { expiresMs: UNICAST_EXPIRES_MS, ...retention }), onClose: 'unbind' };
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
  if (source.kind === 'topic') return [{ exchange: exchangeOf('topic', encode(source.exchange)), key: source.pattern }];
  const { exchange, key } = placeOf(source);
  return exchange === undefined ? [] : [{ exchange, key }];
}

function exchangeOf(type: ExchangeDeclaration['type'], name: string): ExchangeDeclaration {
  return { name: named(name), type };
}

function privateQueue(name: string): QueueDeclaration {
  return { name: named(name), durable: false, exclusive: true, arguments: {}, onClose: 'delete' };
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
  return { name: named(name), durable: durability !== 'transient', exclusive: false, arguments: args, onClose: 'keep' };
}

/**
 * A queue in which messages wait before they go to where they belong: it has no consumer, a TTL, and dead-letters to the
 * target's exchange with the key that the message came with. One for each exchange and delay, for good: an expiring one
 * would take its messages with it. The delay is rounded up to two digits, so that there are not too many.
 */
function delayOf(
  target: Place,
  delayMs: number,
): { readonly exchange: ExchangeDeclaration; readonly queue: QueueDeclaration } {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(delayMs)) - 1);
  const ttlMs = Math.max(1, Math.ceil(delayMs / step) * step);
  const to = target.exchange?.name ?? '';
  const exchange = exchangeOf('fanout', `delay/${ttlMs}/${to}`);
  const args = { 'x-message-ttl': ttlMs, 'x-dead-letter-exchange': to };
  return {
    exchange,
    queue: { name: exchange.name, durable: true, exclusive: false, arguments: args, onClose: 'keep' },
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
