import { performance } from 'node:perf_hooks';
import { onAbort } from './abort.ts';
import type { Address } from './address.ts';
import type { Driver, Subscription } from './driver.ts';
import { ClosedError, ConnectionError, OutcomeUnknownError, UnroutableError } from './errors.ts';
import { newId, numberOf } from './id.ts';
import type { Delivery, Message } from './message.ts';
import { Sweeper } from './sweeper.ts';

/** Something that waits for an answer. */
export interface Expectation {
  /** What is waited for, for errors: `call reboot to anycast nova/compute`. */
  readonly what: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Made only when the time is up. */
  timeoutError(): Error;
  /** Whether the request may have left already: only then is a lost connection an unknown outcome. */
  isWritten(): boolean;
  /**
   * Takes a message that answers. True ends the wait; false goes on waiting (a sign of life, a part of the answer). A
   * throw ends the wait as `fail` does.
   */
  answer(message: Message): boolean;
  /** The wait has ended without an answer. Must not throw. */
  fail(reason: unknown): void;
}

interface Waiter {
  readonly id: string;
  readonly place: number;
  readonly expectation: Expectation;
  readonly deadline: number;
  readonly unlisten: (() => void) | undefined;
}

/**
 * The replies of one transport: one reply address for all its requests, and who waits for which. Replies, time-outs,
 * aborts, returned requests and lost connections all end a wait through one `#settle`.
 *
 * Ids end with the number of their place in a list, so that an answer finds who waits without a look-up by text.
 */
export class Inbox {
  readonly #driver: Driver;
  readonly #correlate: (message: Message) => string | undefined;
  readonly #onUnknown: (message: Message) => void;
  readonly #waiters: (Waiter | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #sweeper = new Sweeper((now) => this.#expire(now));
  #size = 0;
  #open: Promise<Subscription> | undefined;
  #name: string | undefined;
  #closed = false;

  constructor(
    driver: Driver,
    correlate: (message: Message) => string | undefined,
    onUnknown: (message: Message) => void,
  ) {
    this.#driver = driver;
    this.#correlate = correlate;
    this.#onUnknown = onUnknown;
  }

  /** How many replies are awaited. */
  get size(): number {
    return this.#size;
  }

  /** The name, if the inbox is open: what `address` would resolve with. */
  get name(): string | undefined {
    return this.#name;
  }

  /** The name to put into `replyTo`. Subscribes at the first need, and again after a loss. */
  address(): Promise<string> {
    if (this.#closed) return Promise.reject(new ClosedError('the transport'));
    if (this.#open === undefined) {
      const open = this.#subscribe();
      this.#open = open;
      open.catch(() => this.#forget(open));
    }
    return this.#open.then(nameOf);
  }

  has(id: string): boolean {
    return this.#find(id) !== undefined;
  }

  /**
   * Registers a wait and returns the id for its request. Call it before the request is written, so that no answer can be
   * missed.
   *
   * @throws {ClosedError}
   * @throws the signal's reason, when it was aborted before
   */
  expect(expectation: Expectation): string {
    if (this.#closed) throw new ClosedError('the transport');
    const { signal, timeoutMs } = expectation;
    signal?.throwIfAborted();
    const place = this.#free.pop() ?? this.#waiters.length;
    const id = newId(place);
    const deadline = performance.now() + timeoutMs;
    const unlisten = signal && onAbort(signal, () => this.fail(id, signal.reason));
    this.#waiters[place] = { id, place, expectation, deadline, unlisten };
    this.#size++;
    this.#sweeper.by(deadline);
    return id;
  }

  /** Ends one wait with an error, if it is still on. */
  fail(id: string, reason: unknown): void {
    const waiter = this.#find(id);
    if (waiter !== undefined) this.#settle(waiter).fail(reason);
  }

  /** Ends the wait for an answer to a request that came back undelivered. */
  unroutable(id: string, to: Address): void {
    const waiter = this.#find(id);
    if (waiter !== undefined) this.fail(id, new UnroutableError(waiter.expectation.what, to));
  }

  /** Ends every wait: the reply address is gone. Nobody knows what became of the requests that were written. */
  lose(cause: Error): void {
    for (const { id, expectation } of this.#all()) {
      const { what } = expectation;
      const written = expectation.isWritten();
      this.fail(
        id,
        written ? new OutcomeUnknownError(what, { cause }) : new ConnectionError(`${what}: not sent`, { cause }),
      );
    }
  }

  /**
   * Ends every wait. Its subscription may still be waiting for a connection: it is the driver that ends that, and closes
   * the subscriptions that there are.
   */
  close(): void {
    this.#closed = true;
    for (const { id } of this.#all()) this.fail(id, new ClosedError('the transport'));
    this.#sweeper.stop();
    if (this.#open !== undefined) this.#forget(this.#open);
  }

  async #subscribe(): Promise<Subscription> {
    const subscription = await this.#driver.subscribe([{ kind: 'reply' }], (delivery) => this.#receive(delivery), {
      prefetch: 1_000,
    });
    this.#name = nameOf(subscription);
    void subscription.ended.then((error) => {
      if (this.#open !== undefined) this.#forget(this.#open);
      if (error !== undefined) this.lose(error);
    });
    return subscription;
  }

  #forget(open: Promise<Subscription>): void {
    if (this.#open !== open) return;
    this.#open = undefined;
    this.#name = undefined;
  }

  #receive(delivery: Delivery): void {
    void delivery.settle('accept');
    const { message } = delivery;
    const id = this.#idOf(message);
    const waiter = id === undefined ? undefined : this.#find(id);
    if (waiter === undefined) return this.#onUnknown(message);
    try {
      if (!waiter.expectation.answer(message)) return;
    } catch (error) {
      return this.fail(waiter.id, error);
    }
    this.#settle(waiter);
  }

  #idOf(message: Message): string | undefined {
    try {
      return this.#correlate(message);
    } catch {
      // A reply that cannot be read answers nobody.
      return undefined;
    }
  }

  #find(id: string): Waiter | undefined {
    const waiter = this.#waiters[numberOf(id)];
    return waiter?.id === id ? waiter : undefined;
  }

  #all(): Waiter[] {
    return this.#waiters.filter((waiter) => waiter !== undefined);
  }

  #settle({ place, expectation, unlisten }: Waiter): Expectation {
    this.#waiters[place] = undefined;
    this.#free.push(place);
    if (--this.#size === 0) this.#sweeper.rest();
    unlisten?.();
    return expectation;
  }

  #expire(now: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { id, expectation, deadline } of this.#all()) {
      if (deadline <= now) this.fail(id, expectation.timeoutError());
      else next = Math.min(next, deadline);
    }
    return next;
  }
}

function nameOf({ address }: Subscription): string {
  return address.kind === 'reply' ? address.name : '';
}
