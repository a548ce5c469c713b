import { type Address, describe, type Source } from '../address.ts';
import type { Declaration, Inspection, PlanOptions } from '../declaration.ts';
import type { Driver, DriverContext, Features, SendOptions, SubscribeOptions, Subscription } from '../driver.ts';
import {
  ClosedError,
  ConfigError,
  DeliveryError,
  OutcomeUnknownError,
  UnroutableError,
  UnsupportedError,
} from '../errors.ts';
import type { Delivery, Message } from '../message.ts';
import { MemoryBroker } from './broker.ts';
import { MemoryConnection } from './connection.ts';
import type { MemoryFaults } from './faults.ts';
import { planToReceive, planToSend } from './plan.ts';
import { MemorySubscription } from './subscription.ts';

export interface MemoryOptions {
  /** Transports of one name meet; without a name each is alone. */
  readonly name?: string;
  /** Troubles for tests to make. */
  readonly faults?: MemoryFaults;
}

const SENT = Promise.resolve();

/** Names of one wire are kept apart from those of another. */
interface MemoryTopology {
  readonly space: string;
}

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
  durable: false,
  inspect: true,
  plan: true,
};

/** The one module-level state: brokers by name, each removed by the last transport that leaves it. */
const brokers = new Map<string, { readonly broker: MemoryBroker; users: number }>();

/** The driver for `memory://` and `memory://name`: a broker inside the process, with a broker's manners. */
export async function memory(context: DriverContext, { name, faults }: MemoryOptions = {}): Promise<Driver> {
  const broker = name === undefined ? new MemoryBroker() : join(name);
  const connection = new MemoryConnection(broker, context, name ?? 'memory', () => {
    detach?.();
    if (name === undefined) broker.dispose();
    else leave(name);
  });
  const detach = faults?.attach(connection);
  return new MemoryDriver(connection, '', faults);
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

class MemoryDriver implements Driver {
  readonly name = 'memory';
  readonly features = FEATURES;
  readonly #connection: MemoryConnection;
  readonly #space: string;
  readonly #faults: MemoryFaults | undefined;

  constructor(connection: MemoryConnection, space: string, faults: MemoryFaults | undefined) {
    this.#connection = connection;
    this.#space = space;
    this.#faults = faults;
  }

  /** Not async itself: each layer of promises is felt in every call. */
  send(to: Address, message: Message, options: SendOptions = {}): Promise<void> {
    if (!this.#connection.canSend) return this.#sendLater(to, message, options);
    try {
      this.#send(to, message, options);
      return SENT;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #sendLater(to: Address, message: Message, options: SendOptions): Promise<void> {
    options.signal?.throwIfAborted();
    await this.#connection.ready(to, options);
    this.#send(to, message, options);
  }

  #send(to: Address, message: Message, options: SendOptions): void {
    options.signal?.throwIfAborted();
    if (options.unrouted === 'keep' && (to.kind === 'multicast' || to.kind === 'reply')) {
      throw new UnsupportedError(this.name, `keeping messages for ${describe(to)}`);
    }
    if (options.beforeWrite?.() === false) return;
    const fault = this.#faults?.takeSendFault();
    if (fault === 'refuse') throw new DeliveryError(`${describe(to)}: the broker refused the message`);
    const { broker } = this.#connection;
    const routed = broker.send(this.#spaced(to), message, options, to);
    if (fault === 'duplicate') broker.send(this.#spaced(to), message, options, to);
    if (fault === 'cut') {
      this.#connection.down();
      throw new OutcomeUnknownError(`sending to ${describe(to)}`);
    }
    if (!routed && options.unrouted === 'fail') throw new UnroutableError(describe(to), to);
  }

  async subscribe(
    from: readonly Source[],
    receive: (delivery: Delivery) => void,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    options.signal?.throwIfAborted();
    if (this.#connection.closed) throw new ClosedError('the transport');
    const [first] = from;
    if (first === undefined) throw new ConfigError('subscribe', 'no source to subscribe to');
    if (from.length > 1 && from.some(({ kind }) => kind === 'reply'))
      throw new ConfigError('subscribe', 'a reply source stands alone');
    if (options.untilEmpty === true && (from.length > 1 || (first.kind !== 'group' && first.kind !== 'mailbox')))
      throw new ConfigError('subscribe', 'untilEmpty is for one group or mailbox');
    await this.#connection.connected(options.signal);
    const sources = from.map((source) => this.#spaced(source));
    return new MemorySubscription(this.#connection, sources, first, receive, options);
  }

  async inspect(address: Address): Promise<Inspection | undefined> {
    if (address.kind === 'multicast' || address.kind === 'topic') return undefined;
    await this.#connection.connected(undefined);
    const queue = this.#connection.broker.find(this.#spaced(address));
    return { exists: queue !== undefined, ready: queue?.ready ?? 0, consumers: queue?.consumers ?? 0 };
  }

  plan(what: readonly Source[] | Address, options: PlanOptions = {}): readonly Declaration[] {
    return 'kind' in what
      ? planToSend(this.#spaced(what), options)
      : planToReceive(
          what.map((source) => this.#spaced(source)),
          options,
        );
  }

  view(topology: unknown): Driver {
    return new MemoryDriver(this.#connection, (topology as MemoryTopology).space, this.#faults);
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
