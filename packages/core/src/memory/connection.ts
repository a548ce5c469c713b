import { onAbort } from '../abort.ts';
import { type Address, describe } from '../address.ts';
import type { DriverContext, SendOptions } from '../driver.ts';
import { ClosedError, ConnectionError, OverloadedError, TimeoutError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { MemoryBroker } from './broker.ts';
import type { Faulty } from './faults.ts';
import type { MemorySubscription } from './subscription.ts';

const DEFAULT_TIMEOUT_MS = 30_000;
const LONGEST_LINE = 10_000;

interface Waiting {
  /** What it waits for: to be connected, or also not to be blocked. */
  readonly canGo: () => boolean;
  readonly go: () => void;
  readonly fail: (error: unknown) => void;
}

/** One transport's way to a memory broker, which can be cut and mended. */
export class MemoryConnection implements Faulty {
  readonly broker: MemoryBroker;
  readonly subscriptions: Set<MemorySubscription> = new Set();
  readonly #context: DriverContext;
  readonly #host: string;
  readonly #leave: () => void;
  readonly #line = new Set<Waiting>();
  #generation = 1;
  #down: Error | undefined;
  #blocked: string | undefined;
  #closed = false;
  #closing: Promise<void> | undefined;

  constructor(broker: MemoryBroker, context: DriverContext, host: string, leave: () => void) {
    this.broker = broker;
    this.#context = context;
    this.#host = host;
    this.#leave = leave;
    this.#tellConnected();
  }

  get logger(): Logger {
    return this.#context.logger;
  }

  readonly onLateSettle = (): void => this.#context.onLateSettle?.();

  get closed(): boolean {
    return this.#closed;
  }

  get canSend(): boolean {
    return !this.#closed && this.#down === undefined && this.#blocked === undefined;
  }

  /** Waits until messages can be sent, in a bounded line. */
  async ready(to: Address, { timeoutMs = DEFAULT_TIMEOUT_MS, signal }: SendOptions): Promise<void> {
    if (this.#closed) throw new ClosedError('the transport');
    const what = `sending to ${describe(to)}`;
    if (this.#line.size >= LONGEST_LINE) throw new OverloadedError(`${what}: ${LONGEST_LINE} messages wait already`);
    let timer: NodeJS.Timeout | undefined;
    try {
      await this.#wait(
        () => this.canSend,
        signal,
        (fail) => {
          timer = setTimeout(() => fail(new TimeoutError(what, timeoutMs)), timeoutMs);
        },
      );
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for the connection, as long as the signal lets it. */
  async connected(signal: AbortSignal | undefined): Promise<void> {
    if (this.#closed) throw new ClosedError('the transport');
    if (this.#down !== undefined) await this.#wait(() => this.#down === undefined, signal);
  }

  #wait(
    canGo: () => boolean,
    signal: AbortSignal | undefined,
    started?: (fail: (error: unknown) => void) => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        unlisten();
        this.#line.delete(waiting);
      };
      const waiting: Waiting = {
        canGo,
        go: () => {
          end();
          resolve();
        },
        fail: (error) => {
          end();
          reject(error);
        },
      };
      const unlisten = onAbort(signal, () => waiting.fail(signal?.reason));
      this.#line.add(waiting);
      started?.(waiting.fail);
    });
  }

  down(): void {
    if (this.#closed || this.#down !== undefined) return;
    const error = new ConnectionError(`${this.#host}: connection lost`);
    this.#down = error;
    this.#blocked = undefined;
    this.#context.onStatus({ state: 'disconnected', error, attempt: 0, retryInMs: 0 });
    for (const subscription of [...this.subscriptions]) subscription.down(error);
    this.#context.onLost(error);
  }

  up(): void {
    if (this.#closed || this.#down === undefined) return;
    this.#down = undefined;
    this.#generation++;
    this.#tellConnected();
    for (const subscription of this.subscriptions) subscription.up();
    this.#drain();
  }

  setBlocked(reason: string | undefined): void {
    if (this.#closed || this.#down !== undefined || this.#blocked === reason) return;
    this.#blocked = reason;
    if (reason === undefined) this.#tellConnected();
    else this.#context.onStatus({ state: 'blocked', reason });
    this.#drain();
  }

  deleteQueue(address: Address): void {
    const queue = this.broker.find(address);
    if (queue === undefined) return;
    this.broker.remove(queue);
    for (const subscription of [...this.subscriptions]) subscription.queueDeleted(queue);
  }

  /** Always the same promise. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#closed = true;
    for (const { fail } of [...this.#line]) fail(new ClosedError('the transport'));
    for (const subscription of [...this.subscriptions]) await subscription.close();
    this.#leave();
    this.#context.onStatus({ state: 'closed' });
  }

  #drain(): void {
    for (const { canGo, go } of [...this.#line]) if (canGo()) go();
  }

  #tellConnected(): void {
    this.#context.onStatus({ state: 'connected', host: this.#host, generation: this.#generation });
  }
}
