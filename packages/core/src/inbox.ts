import { onAbort } from './abort.ts';
import type { Address } from './address.ts';
import type { Driver, Subscription } from './driver.ts';
import { ClosedError, ConnectionError, OutcomeUnknownError, UnroutableError } from './errors.ts';
import type { Delivery, Message } from './message.ts';

export interface Expectation {
  /** What is waited for, for errors: `call reboot to anycast nova/compute`. */
  readonly what: string;
  /** Made only when the time is up. */
  readonly timeoutError: () => Error;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Whether the request may have left already: only then is a lost connection an unknown outcome. */
  readonly isWritten: () => boolean;
  /** Looks at a message before it ends the wait: true keeps waiting (a sign of life, a part of the answer). */
  readonly interim?: (message: Message) => boolean;
}

interface Waiter {
  readonly expectation: Expectation;
  readonly resolve: (message: Message) => void;
  readonly reject: (reason: unknown) => void;
  readonly timer: NodeJS.Timeout;
  readonly unlisten: () => void;
}

/**
 * The replies of one transport: one reply address for all its requests, and who waits for which. Replies, time-outs,
 * aborts, returned requests and lost connections all end a wait through one `#settle`.
 */
export class Inbox {
  readonly #driver: Driver;
  readonly #correlate: (message: Message) => string | undefined;
  readonly #onUnknown: (message: Message) => void;
  /** An object and no `Map`, for the reason that `Bag` gives. */
  readonly #waiters: Record<string, Waiter> = Object.create(null);
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
    return this.#waiters[id] !== undefined;
  }

  /** Registers a wait. Call it before the request is written, so that no reply can be missed. */
  expect(id: string, expectation: Expectation): Promise<Message> {
    if (this.#closed) return Promise.reject(new ClosedError('the transport'));
    const { signal, timeoutMs } = expectation;
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.fail(id, expectation.timeoutError()), timeoutMs);
      const unlisten = onAbort(signal, () => this.fail(id, signal?.reason));
      this.#waiters[id] = { expectation, resolve, reject, timer, unlisten };
      this.#size++;
    });
  }

  /** Ends one wait with an error, if it is still on. */
  fail(id: string, reason: unknown): void {
    this.#settle(id)?.reject(reason);
  }

  /** Ends the wait for an answer to a request that came back undelivered. */
  unroutable(id: string, to: Address): void {
    const waiter = this.#waiters[id];
    if (waiter !== undefined) this.fail(id, new UnroutableError(waiter.expectation.what, to));
  }

  /** Ends every wait: the reply address is gone. Nobody knows what became of the requests that were written. */
  lose(cause: Error): void {
    for (const [id, { expectation }] of Object.entries(this.#waiters)) {
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
    for (const id of Object.keys(this.#waiters)) this.fail(id, new ClosedError('the transport'));
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
    const waiter = id === undefined ? undefined : this.#waiters[id];
    if (id === undefined || waiter === undefined) return this.#onUnknown(message);
    let interim = false;
    try {
      interim = waiter.expectation.interim?.(message) ?? false;
    } catch (error) {
      return this.fail(id, error);
    }
    if (!interim) this.#settle(id)?.resolve(message);
  }

  #idOf(message: Message): string | undefined {
    try {
      return this.#correlate(message);
    } catch {
      // A reply that cannot be read answers nobody.
      return undefined;
    }
  }

  #settle(id: string): Waiter | undefined {
    const waiter = this.#waiters[id];
    if (waiter === undefined) return undefined;
    delete this.#waiters[id];
    this.#size--;
    clearTimeout(waiter.timer);
    waiter.unlisten();
    return waiter;
  }
}

function nameOf({ address }: Subscription): string {
  return address.kind === 'reply' ? address.name : '';
}
