import { type Address, describe, type Source } from '../address.ts';
import type { Driver, DriverContext, Features, SendOptions, SubscribeOptions, Subscription } from '../driver.ts';
import { ClosedError, ConfigError, UnroutableError, UnsupportedError } from '../errors.ts';
import { newId } from '../id.ts';
import type { Delivery, Message } from '../message.ts';
import { MemoryBroker } from './broker.ts';
import type { Consumer, MemoryQueue } from './queue.ts';

export interface MemoryOptions {
  /** Transports of one name meet; without a name each is alone. */
  readonly name?: string;
}

/** Names of one wire are kept apart from those of another. */
interface MemoryTopology {
  readonly space: string;
}

const FEATURES: Features = {
  kinds: ['anycast', 'unicast', 'multicast', 'topic', 'group', 'mailbox', 'reply'],
  unroutable: 'detected',
  ttl: true,
  delay: true,
  priority: false,
  keep: true,
  deliveryCount: true,
  durable: false,
};

const DEFAULT_PREFETCH = 64;

/** The one module-level state: brokers by name, each removed by the last transport that leaves it. */
const brokers = new Map<string, { readonly broker: MemoryBroker; users: number }>();

/** The driver for `memory://` and `memory://name`: a broker inside the process, with a broker's manners. */
export async function memory(context: DriverContext, { name }: MemoryOptions = {}): Promise<Driver> {
  const broker = name === undefined ? new MemoryBroker() : join(name);
  const connection = new MemoryConnection(broker, name === undefined ? () => broker.dispose() : () => leave(name));
  context.onStatus({ state: 'connected', host: name ?? 'memory', generation: 1 });
  const driver = new MemoryDriver(connection, '');
  connection.onClose = () => context.onStatus({ state: 'closed' });
  return driver;
}

function join(name: string): MemoryBroker {
  const entry = brokers.get(name) ?? { broker: new MemoryBroker(), users: 0 };
  brokers.set(name, entry);
  entry.users++;
  return entry.broker;
}

function leave(name: string): void {
  const entry = brokers.get(name);
  if (entry === undefined || --entry.users > 0) return;
  brokers.delete(name);
  entry.broker.dispose();
}

class MemoryConnection {
  readonly broker: MemoryBroker;
  readonly subscriptions = new Set<MemorySubscription>();
  onClose: () => void = () => {};
  closed = false;
  readonly #leave: () => void;

  constructor(broker: MemoryBroker, leaveBroker: () => void) {
    this.broker = broker;
    this.#leave = leaveBroker;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    for (const subscription of this.subscriptions) await subscription.close();
    this.#leave();
    this.onClose();
  }
}

class MemoryDriver implements Driver {
  readonly name = 'memory';
  readonly features = FEATURES;
  readonly #connection: MemoryConnection;
  readonly #space: string;

  constructor(connection: MemoryConnection, space: string) {
    this.#connection = connection;
    this.#space = space;
  }

  async send(to: Address, message: Message, options: SendOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    if (this.#connection.closed) throw new ClosedError('the transport');
    if (options.priority !== undefined) throw new UnsupportedError(this.name, 'message priorities');
    if (options.unrouted === 'keep' && (to.kind === 'multicast' || to.kind === 'reply')) {
      throw new UnsupportedError(this.name, `keeping messages for ${describe(to)}`);
    }
    if (options.beforeWrite?.() === false) return;
    const routed = this.#connection.broker.send(this.#spaced(to), message, options);
    if (!routed && options.unrouted === 'fail') throw new UnroutableError(describe(to), to);
  }

  async subscribe(
    from: readonly Source[],
    receive: (delivery: Delivery) => void,
    { prefetch = DEFAULT_PREFETCH, group, retention, signal }: SubscribeOptions = {},
  ): Promise<Subscription> {
    signal?.throwIfAborted();
    if (this.#connection.closed) throw new ClosedError('the transport');
    if (retention?.maxPriority !== undefined) throw new UnsupportedError(this.name, 'message priorities');
    const [first] = from;
    if (first === undefined) throw new ConfigError('subscribe', 'no source to subscribe to');
    const { broker } = this.#connection;
    const to: Address = first.kind === 'reply' ? { kind: 'reply', name: newId() } : asAddress(first);
    const queue =
      to.kind === 'reply'
        ? broker.queue(describe(to))
        : broker.queueFor(
            from.map((one) => this.#spaced(one)),
            group,
            retention,
          );
    const isPrivate = queue.name.startsWith('private ') || to.kind === 'reply' || to.kind === 'unicast';
    return new MemorySubscription(
      this.#connection,
      queue,
      { to, prefetch, receive, unsettled: new Set(), paused: false },
      isPrivate,
    );
  }

  view(topology: unknown): Driver {
    return new MemoryDriver(this.#connection, (topology as MemoryTopology).space);
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #spaced<A extends Address | Source>(address: A): A {
    return this.#space !== '' && 'exchange' in address
      ? { ...address, exchange: `${this.#space}:${address.exchange}` }
      : address;
  }
}

/** The address by which deliveries of a source are labelled. */
function asAddress(source: Exclude<Source, { kind: 'reply' }>): Address {
  return source.kind === 'topic' ? { kind: 'topic', exchange: source.exchange, key: source.pattern } : source;
}

class MemorySubscription implements Subscription {
  readonly address: Address;
  readonly ended: Promise<Error | undefined>;
  readonly #connection: MemoryConnection;
  readonly #queue: MemoryQueue;
  readonly #consumer: Consumer;
  readonly #private: boolean;
  #end: (reason: undefined) => void = () => {};

  constructor(connection: MemoryConnection, queue: MemoryQueue, consumer: Consumer, isPrivate: boolean) {
    this.address = consumer.to;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#connection = connection;
    this.#queue = queue;
    this.#consumer = consumer;
    this.#private = isPrivate;
    queue.attach(consumer);
    connection.subscriptions.add(this);
  }

  async pause(): Promise<void> {
    this.#consumer.paused = true;
  }

  async resume(): Promise<void> {
    this.#queue.resume(this.#consumer);
  }

  async stop(): Promise<void> {
    this.#queue.detach(this.#consumer);
  }

  async close(): Promise<void> {
    if (!this.#connection.subscriptions.delete(this)) return;
    this.#queue.detach(this.#consumer);
    this.#queue.giveBack(this.#consumer);
    // A server's own queue that still holds messages waits for the server to come back.
    if (this.#private && (this.address.kind !== 'unicast' || this.#queue.unused))
      this.#connection.broker.remove(this.#queue);
    this.#end(undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
