import type { Address } from '../address.ts';
import type { Retention } from '../driver.ts';
import type { Delivery, Message, Outcome } from '../message.ts';

/** How a delivery goes back into its queue. */
export interface GivenBack {
  /** Whether it counts as a failed attempt. */
  readonly failed: boolean;
  /** Never to this consumer again. */
  readonly elsewhere?: boolean;
  /** What goes back in place of what was delivered. */
  readonly message?: Message;
}

/** A delivery with what a broker on the wire tells its clients besides. */
export interface MemoryDelivery extends Delivery {
  readonly deliveryCount: number;
  /** On the clock of `performance.now()`. */
  readonly expiresAt: number | undefined;
  /** Ends the delivery as `release` does, in more ways. Whether it could still be settled. */
  giveBack(how: GivenBack): boolean;
}

export interface Entry {
  message: Message;
  /** Where it was sent. */
  readonly to: Address;
  readonly priority: number;
  /** When it is too late to deliver it, on the clock of `performance.now()`. */
  readonly expiresAt: number | undefined;
  /** How often it failed: was given back by its receiver, or lost with it. */
  deliveryCount: number;
  /** How often it was handed out. */
  handedOut?: number;
  /** Its place in the queue, kept when it is given back. */
  place?: number;
  /** Those that do not want it again. */
  refusedBy?: WeakSet<Consumer> | undefined;
}

export interface Consumer {
  readonly receive: (delivery: MemoryDelivery) => void;
  readonly unsettled: Set<Entry>;
  /** Whether it takes one more now. Who has room again wakes the queue. */
  readonly hasRoom: () => boolean;
  /** Told when it has room and nothing is left to deliver. */
  readonly onEmpty?: (() => void) | undefined;
  readonly onLateSettle?: (() => void) | undefined;
}

/** Sums the bodies that the queues of a broker hold: one message in three queues counts three times. */
export interface Stock {
  bytes: number;
}

/** Messages in order, and the consumers that take turns at them. Delivers in a later turn of the event loop, as a broker does. */
export class MemoryQueue {
  readonly name: string;
  readonly #retention: Retention;
  readonly #onRejected: (entry: Entry, deadLetter: string | undefined) => void;
  readonly #onExpired: () => void;
  readonly #stock: Stock;
  #bytes = 0;
  #entries: Entry[] = [];
  #consumers: Consumer[] = [];
  #pumping = false;
  #disposed = false;
  #places = 0;
  #expiry: NodeJS.Timeout | undefined;

  constructor(
    name: string,
    retention: Retention,
    onRejected: (entry: Entry, deadLetter: string | undefined) => void,
    onExpired: () => void,
    stock: Stock,
  ) {
    this.name = name;
    this.#retention = retention;
    this.#onRejected = onRejected;
    this.#onExpired = onExpired;
    this.#stock = stock;
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
    this.#count(entry, 1);
    this.#insert(entry);
    const { maxLength } = this.#retention;
    if (maxLength !== undefined && this.#entries.length > maxLength) this.#count(this.#entries.shift(), -1);
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
    for (const entry of held) this.#requeue(entry, { failed: true });
  }

  /** A consumer has room again. */
  wake(): void {
    this.#pump();
  }

  dispose(): void {
    clearTimeout(this.#expiry);
    this.#entries = [];
    this.#consumers = [];
    this.#stock.bytes -= this.#bytes;
    this.#bytes = 0;
    this.#disposed = true;
  }

  #count(entry: Entry | undefined, sign: 1 | -1): void {
    if (entry === undefined || this.#disposed) return;
    const bytes = sign * entry.message.body.length;
    this.#bytes += bytes;
    this.#stock.bytes += bytes;
  }

  #rest(): void {
    const { expiresMs } = this.#retention;
    if (expiresMs === undefined || this.#consumers.length > 0) return;
    this.#expiry = setTimeout(this.#onExpired, expiresMs).unref();
  }

  #requeue(entry: Entry, { failed, message = entry.message }: GivenBack): void {
    if (failed) entry.deliveryCount++;
    this.#count(entry, -1);
    entry.message = message;
    this.#count(entry, 1);
    this.#insert(entry);
    this.#pump();
  }

  /** Higher priorities first, in queues that have them; then in order of arrival. */
  #insert(entry: Entry): void {
    const { maxPriority = 0 } = this.#retention;
    const rank = (one: Entry): number => Math.min(one.priority, maxPriority);
    const isLater = (other: Entry): boolean =>
      rank(other) < rank(entry) || (rank(other) === rank(entry) && (other.place ?? 0) > (entry.place ?? 0));
    const last = this.#entries.at(-1);
    const next = last === undefined || !isLater(last) ? -1 : this.#entries.findIndex(isLater);
    this.#entries.splice(next < 0 ? this.#entries.length : next, 0, entry);
  }

  #pump(): void {
    if (this.#pumping || this.#consumers.length === 0) return;
    if (this.#entries.length === 0) return this.#tellEmpty();
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    let index = 0;
    // Only what is here now: what handlers send back waits for the next turn.
    for (let left = this.#entries.length; left > 0; left--) {
      const entry = this.#entries[index];
      if (entry === undefined) break;
      const isLate = entry.expiresAt !== undefined && entry.expiresAt <= performance.now();
      const consumer = isLate ? undefined : this.#next(entry);
      if (!isLate && consumer === undefined) {
        if (entry.refusedBy === undefined) return;
        index++;
        continue;
      }
      if (index === 0) this.#entries.shift();
      else this.#entries.splice(index, 1);
      if (consumer === undefined) {
        this.#count(entry, -1);
        continue;
      }
      consumer.unsettled.add(entry);
      consumer.receive(this.#delivery(entry, consumer));
    }
    // What is left then was refused by all who have room.
    if (index > 0 && index >= this.#entries.length) this.#tellEmpty();
    else this.#pump();
  }

  #tellEmpty(): void {
    for (const { onEmpty, hasRoom } of this.#consumers) if (hasRoom()) onEmpty?.();
  }

  /** The next consumer that takes it, which then goes to the end of the line. */
  #next(entry: Entry): Consumer | undefined {
    const index = this.#consumers.findIndex((each) => each.hasRoom() && !entry.refusedBy?.has(each));
    const [consumer] = index < 0 ? [] : this.#consumers.splice(index, 1);
    if (consumer !== undefined) this.#consumers.push(consumer);
    return consumer;
  }

  #delivery(entry: Entry, consumer: Consumer): MemoryDelivery {
    const { message, to, deliveryCount, expiresAt, handedOut = 0 } = entry;
    const turn = handedOut + 1;
    entry.handedOut = turn;
    let settled = false;
    const end = (how: () => void): boolean => {
      const isLate = entry.handedOut !== turn || !consumer.unsettled.delete(entry);
      if (isLate && !settled) consumer.onLateSettle?.();
      settled = true;
      if (isLate) return false;
      how();
      this.#pump();
      return true;
    };
    const giveBack = (how: GivenBack): boolean =>
      end(() => {
        entry.refusedBy ??= how.elsewhere ? new WeakSet() : undefined;
        if (how.elsewhere) entry.refusedBy?.add(consumer);
        this.#requeue(entry, how);
      });
    return {
      // What a receiver does to its copy is not seen by another, nor by itself the next time.
      message: { ...message, body: new Uint8Array(message.body) },
      to,
      redelivered: handedOut > 0,
      deliveryCount,
      expiresAt,
      giveBack,
      settle: (outcome) =>
        Promise.resolve(outcome === 'release' ? giveBack({ failed: true }) : end(() => this.#drop(entry, outcome))),
    };
  }

  #drop(entry: Entry, outcome: Exclude<Outcome, 'release'>): void {
    this.#count(entry, -1);
    if (outcome === 'reject') this.#onRejected(entry, this.#retention.deadLetter);
  }
}
