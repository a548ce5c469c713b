import type { Address } from '../address.ts';
import type { Retention } from '../driver.ts';
import type { Delivery, Message, Outcome } from '../message.ts';

export interface Entry {
  readonly message: Message;
  /** When it is too late to deliver it, on the clock of `performance.now()`. */
  readonly expiresAt: number | undefined;
  deliveryCount: number;
  /** Its place in the queue, kept when it is given back. */
  place?: number;
}

export interface Consumer {
  readonly to: Address;
  readonly prefetch: number;
  readonly receive: (delivery: Delivery) => void;
  readonly unsettled: Set<Entry>;
  paused: boolean;
}

/** Messages in order, and the consumers that take turns at them. Delivers in a later turn of the event loop, as a broker does. */
export class MemoryQueue {
  readonly name: string;
  readonly #retention: Retention;
  readonly #onRejected: (entry: Entry, deadLetter: string | undefined) => void;
  readonly #onExpired: () => void;
  #entries: Entry[] = [];
  #consumers: Consumer[] = [];
  #pumping = false;
  #places = 0;
  #expiry: NodeJS.Timeout | undefined;

  constructor(
    name: string,
    retention: Retention,
    onRejected: (entry: Entry, deadLetter: string | undefined) => void,
    onExpired: () => void,
  ) {
    this.name = name;
    this.#retention = retention;
    this.#onRejected = onRejected;
    this.#onExpired = onExpired;
    this.#rest();
  }

  get unused(): boolean {
    return this.#consumers.length === 0 && this.#entries.length === 0;
  }

  /** Whether it was made with other attributes than these. */
  differsFrom(retention: Retention): boolean {
    const names = new Set([...Object.keys(this.#retention), ...Object.keys(retention)]) as Set<keyof Retention>;
    return [...names].some((name) => this.#retention[name] !== retention[name]);
  }

  push(entry: Entry): void {
    entry.place = this.#places++;
    this.#entries.push(entry);
    const { maxLength } = this.#retention;
    if (maxLength !== undefined && this.#entries.length > maxLength) this.#entries.shift();
    this.#pump();
  }

  attach(consumer: Consumer): void {
    clearTimeout(this.#expiry);
    this.#consumers.push(consumer);
    this.#pump();
  }

  /** Ends intake for good; what it holds can still be settled. */
  detach(consumer: Consumer): void {
    this.#consumers = this.#consumers.filter((other) => other !== consumer);
    this.#rest();
  }

  /** Gives back what the consumer holds, in the old order. */
  giveBack(consumer: Consumer): void {
    const held = [...consumer.unsettled];
    consumer.unsettled.clear();
    for (const entry of held) this.#requeue(entry);
  }

  resume(consumer: Consumer): void {
    consumer.paused = false;
    this.#pump();
  }

  dispose(): void {
    clearTimeout(this.#expiry);
    this.#entries = [];
    this.#consumers = [];
  }

  #rest(): void {
    const { expiresMs } = this.#retention;
    if (expiresMs === undefined || this.#consumers.length > 0) return;
    this.#expiry = setTimeout(this.#onExpired, expiresMs).unref();
  }

  #requeue(entry: Entry): void {
    entry.deliveryCount++;
    const { place = 0 } = entry;
    const next = this.#entries.findIndex((other) => (other.place ?? 0) > place);
    this.#entries.splice(next < 0 ? this.#entries.length : next, 0, entry);
    this.#pump();
  }

  #pump(): void {
    if (this.#pumping || this.#entries.length === 0 || this.#consumers.length === 0) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    // Only what is here now: what handlers send back waits for the next turn.
    for (let left = this.#entries.length; left > 0; left--) {
      const consumer = this.#next();
      const entry = consumer && this.#entries.shift();
      if (consumer === undefined || entry === undefined) return;
      if (entry.expiresAt !== undefined && entry.expiresAt <= performance.now()) continue;
      consumer.unsettled.add(entry);
      consumer.receive(this.#delivery(entry, consumer));
    }
    this.#pump();
  }

  /** The next consumer with room, which then goes to the end of the line. */
  #next(): Consumer | undefined {
    const index = this.#consumers.findIndex(({ paused, unsettled, prefetch }) => !paused && unsettled.size < prefetch);
    const [consumer] = index < 0 ? [] : this.#consumers.splice(index, 1);
    if (consumer !== undefined) this.#consumers.push(consumer);
    return consumer;
  }

  #delivery(entry: Entry, consumer: Consumer): Delivery {
    const { message, deliveryCount } = entry;
    return {
      // What a receiver does to its copy is not seen by another, nor by itself the next time.
      message: { ...message, body: new Uint8Array(message.body) },
      to: consumer.to,
      redelivered: deliveryCount > 0,
      deliveryCount,
      settle: (outcome) => Promise.resolve(this.#settle(entry, deliveryCount, consumer, outcome)),
    };
  }

  #settle(entry: Entry, deliveryCount: number, consumer: Consumer, outcome: Outcome): boolean {
    if (entry.deliveryCount !== deliveryCount || !consumer.unsettled.delete(entry)) return false;
    if (outcome === 'release') this.#requeue(entry);
    else if (outcome === 'reject') this.#onRejected(entry, this.#retention.deadLetter);
    this.#pump();
    return true;
  }
}
