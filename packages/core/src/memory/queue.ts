import { Buffer } from 'node:buffer';
import { performance } from 'node:perf_hooks';
import type { Address } from '../address.ts';
import type { Bag, Bagged } from '../bag.ts';
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

/** A message in a queue. */
export class Entry implements Bagged {
  message: Message;
  /** Where it was sent. */
  readonly to: Address;
  readonly priority: number;
  /** When it is too late to deliver it, on the clock of `performance.now()`. */
  readonly expiresAt: number | undefined;
  /** How often it failed: was given back by its receiver, or lost with it. */
  deliveryCount = 0;
  /** How often it was handed out. */
  handedOut = 0;
  /** Its place in the queue, kept when it is given back. */
  place = 0;
  /** Among what its consumer holds. */
  slot = 0;
  /** Those that do not want it again. */
  refusedBy: WeakSet<Consumer> | undefined = undefined;

  constructor(message: Message, to: Address, priority: number, expiresAt: number | undefined) {
    this.message = message;
    this.to = to;
    this.priority = priority;
    this.expiresAt = expiresAt;
  }
}

export interface Consumer {
  readonly receive: (delivery: MemoryDelivery) => void;
  readonly unsettled: Bag<Entry>;
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
  /** How many of them this turn has taken already: to shift the list for each would cost as much as all the rest. */
  #taken = 0;
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

  /** Messages that nobody was given yet. */
  get ready(): number {
    return this.#entries.length - this.#taken;
  }

  get consumers(): number {
    return this.#consumers.length;
  }

  get unused(): boolean {
    return this.#consumers.length === 0 && this.ready === 0;
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
    if (maxLength !== undefined && this.ready > maxLength) this.#count(this.#entries.splice(this.#taken, 1)[0], -1);
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
    for (const entry of consumer.unsettled.items()) {
      consumer.unsettled.delete(entry);
      this.#requeue(entry, { failed: true });
    }
  }

  /** A consumer has room again. */
  wake(): void {
    this.#pump();
  }

  dispose(): void {
    clearTimeout(this.#expiry);
    this.#entries = [];
    this.#taken = 0;
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
    const newest = this.#entries.at(-1);
    if (newest === undefined || (maxPriority === 0 && newest.place < entry.place))
      return void this.#entries.push(entry);
    const rank = (one: Entry): number => Math.min(one.priority, maxPriority);
    const isLater = (other: Entry): boolean =>
      rank(other) < rank(entry) || (rank(other) === rank(entry) && other.place > entry.place);
    const next = this.#entries.findIndex((other, index) => index >= this.#taken && isLater(other));
    this.#entries.splice(next < 0 ? this.#entries.length : next, 0, entry);
  }

  #pump(): void {
    if (this.#pumping || this.#consumers.length === 0) return;
    if (this.ready === 0) return this.#tellEmpty();
    this.#pumping = true;
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#pumping = false;
    this.#deliver();
    this.#entries.splice(0, this.#taken);
    this.#taken = 0;
  };

  #deliver(): void {
    const now = performance.now();
    let index = this.#taken;
    // Only what is here now: what handlers send back waits for the next turn.
    for (let left = this.ready; left > 0; left--) {
      const entry = this.#entries[index];
      if (entry === undefined) break;
      const isLate = entry.expiresAt !== undefined && entry.expiresAt <= now;
      const consumer = isLate ? undefined : this.#next(entry);
      if (!isLate && consumer === undefined) {
        if (entry.refusedBy === undefined) return;
        index++;
        continue;
      }
      if (index === this.#taken) index = ++this.#taken;
      else this.#entries.splice(index, 1);
      if (consumer === undefined) {
        this.#count(entry, -1);
        continue;
      }
      consumer.unsettled.add(entry);
      consumer.receive(new EntryDelivery(this, entry, consumer));
    }
    // What is left then was refused by all who have room.
    if (index > this.#taken && index >= this.#entries.length) this.#tellEmpty();
    else this.#pump();
  }

  #tellEmpty(): void {
    for (const { onEmpty, hasRoom } of this.#consumers) if (hasRoom()) onEmpty?.();
  }

  /** The next consumer that takes it, which then goes to the end of the line. */
  #next(entry: Entry): Consumer | undefined {
    const [only] = this.#consumers;
    if (this.#consumers.length === 1 && only !== undefined)
      return only.hasRoom() && !entry.refusedBy?.has(only) ? only : undefined;
    const index = this.#consumers.findIndex((each) => each.hasRoom() && !entry.refusedBy?.has(each));
    const [consumer] = index < 0 ? [] : this.#consumers.splice(index, 1);
    if (consumer !== undefined) this.#consumers.push(consumer);
    return consumer;
  }

  /** What a delivery was settled with. */
  settled(entry: Entry, consumer: Consumer, outcome: Outcome | GivenBack): void {
    if (typeof outcome === 'object') {
      entry.refusedBy ??= outcome.elsewhere ? new WeakSet() : undefined;
      if (outcome.elsewhere) entry.refusedBy?.add(consumer);
      this.#requeue(entry, outcome);
    } else if (outcome === 'release') this.#requeue(entry, FAILED);
    else this.#drop(entry, outcome);
    this.#pump();
  }

  #drop(entry: Entry, outcome: Exclude<Outcome, 'release'>): void {
    this.#count(entry, -1);
    if (outcome === 'reject') this.#onRejected(entry, this.#retention.deadLetter);
  }
}

const FAILED: GivenBack = { failed: true };
const SETTLED = Promise.resolve(true);
const LATE = Promise.resolve(false);

/** One time that an entry was handed out. A class, because closures for each message are dear. */
class EntryDelivery implements MemoryDelivery {
  readonly message: Message;
  readonly to: Address;
  readonly redelivered: boolean;
  readonly deliveryCount: number;
  readonly expiresAt: number | undefined;
  readonly #queue: MemoryQueue;
  readonly #entry: Entry;
  readonly #consumer: Consumer;
  readonly #turn: number;
  #settled = false;

  constructor(queue: MemoryQueue, entry: Entry, consumer: Consumer) {
    const { handedOut } = entry;
    this.message = copyOf(entry.message);
    this.to = entry.to;
    this.redelivered = handedOut > 0;
    this.deliveryCount = entry.deliveryCount;
    this.expiresAt = entry.expiresAt;
    this.#queue = queue;
    this.#entry = entry;
    this.#consumer = consumer;
    this.#turn = handedOut + 1;
    entry.handedOut = this.#turn;
  }

  settle(outcome: Outcome): Promise<boolean> {
    return this.#end(outcome) ? SETTLED : LATE;
  }

  giveBack(how: GivenBack): boolean {
    return this.#end(how);
  }

  #end(outcome: Outcome | GivenBack): boolean {
    const isLate = this.#entry.handedOut !== this.#turn || !this.#consumer.unsettled.delete(this.#entry);
    if (isLate && !this.#settled) this.#consumer.onLateSettle?.();
    this.#settled = true;
    if (!isLate) this.#queue.settled(this.#entry, this.#consumer, outcome);
    return !isLate;
  }
}

/**
 * What a receiver does to its copy is not seen by another, nor by itself the next time. Field by field: V8 spreads what was
 * spread already ten times as slowly.
 */
export function copyOf(message: Message): Message {
  const body = Buffer.allocUnsafe(message.body.length);
  body.set(message.body);
  const copy: { -readonly [Field in keyof Message]: Message[Field] } = { body };
  if (message.contentType !== undefined) copy.contentType = message.contentType;
  if (message.contentEncoding !== undefined) copy.contentEncoding = message.contentEncoding;
  if (message.headers !== undefined) copy.headers = message.headers;
  if (message.type !== undefined) copy.type = message.type;
  if (message.messageId !== undefined) copy.messageId = message.messageId;
  if (message.correlationId !== undefined) copy.correlationId = message.correlationId;
  if (message.replyTo !== undefined) copy.replyTo = message.replyTo;
  if (message.ttlMs !== undefined) copy.ttlMs = message.ttlMs;
  return copy;
}
