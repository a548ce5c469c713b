import { type Address, describe, type Source } from '../address.ts';
import { Bag } from '../bag.ts';
import type { SubscribeOptions, Subscription } from '../driver.ts';
import { ConnectionError } from '../errors.ts';
import { newId } from '../id.ts';
import type { Delivery } from '../message.ts';
import type { MemoryConnection } from './connection.ts';
import type { Consumer, Entry, MemoryQueue } from './queue.ts';

const DEFAULT_PREFETCH = 64;

/** A consumer of one queue, attached anew after each cut. A reply subscription ends with the connection instead. */
export class MemorySubscription implements Subscription {
  readonly address: Address;
  readonly ended: Promise<Error | undefined>;
  readonly #connection: MemoryConnection;
  readonly #from: readonly Source[];
  readonly #receive: (delivery: Delivery) => void;
  readonly #options: SubscribeOptions;
  #queue: MemoryQueue | undefined;
  #consumer: Consumer | undefined;
  #paused = false;
  #stopped = false;
  #mismatchLogged = false;
  #closing: Promise<void> | undefined;
  #end: (reason: Error | undefined) => void = () => {};

  constructor(
    connection: MemoryConnection,
    from: readonly Source[],
    first: Source,
    receive: (delivery: Delivery) => void,
    options: SubscribeOptions,
  ) {
    this.#connection = connection;
    this.#from = from;
    this.#receive = receive;
    this.#options = options;
    this.address = first.kind === 'reply' ? { kind: 'reply', name: newId() } : labelOf(first);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    connection.subscriptions.add(this);
    this.#attach();
  }

  async pause(): Promise<void> {
    this.#paused = true;
  }

  async resume(): Promise<void> {
    this.#paused = false;
    this.#queue?.wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#consumer !== undefined) this.#queue?.detach(this.#consumer);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The connection was cut: what is held goes back, and its old deliveries settle nothing. */
  down(error: Error): void {
    const queue = this.#detach();
    if (queue !== undefined) this.#connection.broker.leave(queue, this.address.kind, this.#options.group, 'lost');
    if (this.address.kind === 'reply') this.#finish(error);
  }

  up(): void {
    if (!this.#stopped && this.#closing === undefined) this.#attach();
  }

  /** The broker takes the consumer away; it comes back to a new queue, but for replies. */
  queueDeleted(queue: MemoryQueue): void {
    if (this.#queue !== queue) return;
    this.#detach();
    if (this.address.kind === 'reply') this.#finish(new ConnectionError(`${describe(this.address)} was deleted`));
    else this.up();
  }

  async #close(): Promise<void> {
    this.#stopped = true;
    const queue = this.#detach();
    if (queue !== undefined) this.#connection.broker.leave(queue, this.address.kind, this.#options.group, 'closed');
    this.#finish(undefined);
  }

  #attach(): void {
    const { broker } = this.#connection;
    const { group, retention, prefetch = DEFAULT_PREFETCH, untilEmpty = false } = this.#options;
    if (untilEmpty) this.#queue = broker.find(this.address);
    else if (this.address.kind === 'reply') this.#queue = broker.queue(describe(this.address));
    else this.#queue = broker.queueFor(this.#from, group, retention);
    if (this.#queue === undefined) return this.#end(undefined);
    if (!untilEmpty && !this.#mismatchLogged && this.#queue.differsFrom(retention ?? {})) {
      this.#mismatchLogged = true;
      this.#connection.logger.warn({ queue: this.#queue.name }, 'a queue with other attributes is used as it is');
    }
    const unsettled = new Bag<Entry>();
    this.#consumer = {
      receive: this.#receive,
      unsettled,
      hasRoom: () => !this.#paused && unsettled.size < prefetch,
      onEmpty: untilEmpty ? () => this.#drained() : undefined,
      onLateSettle: this.#connection.onLateSettle,
    };
    this.#queue.attach(this.#consumer);
  }

  #detach(): MemoryQueue | undefined {
    const queue = this.#queue;
    if (this.#consumer !== undefined) {
      queue?.detach(this.#consumer);
      queue?.giveBack(this.#consumer);
    }
    this.#queue = undefined;
    this.#consumer = undefined;
    return queue;
  }

  #drained(): void {
    void this.stop();
    this.#end(undefined);
  }

  #finish(error: Error | undefined): void {
    this.#connection.subscriptions.delete(this);
    this.#end(error);
  }
}

/** The address by which deliveries of a source are labelled. */
function labelOf(source: Exclude<Source, { kind: 'reply' }>): Address {
  return source.kind === 'topic' ? { kind: 'topic', exchange: source.exchange, key: source.pattern } : source;
}
