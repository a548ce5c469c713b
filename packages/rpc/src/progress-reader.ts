import { ConfigError, MessagingError, onAbort, profiles, type Transport } from '@posthorn/core';
import type { Control, ControlCodec, Part, Producer } from './codec.ts';
import type { ProgressSink } from './outgoing.ts';

const WINDOW = 16;
const LARGEST_WINDOW = 10_000;

/**
 * A call that tells of its progress. Its progress has one reader; leaving the loop gives the call up. What came before a
 * failure is read before the loop throws it.
 */
export interface CallStream<Part, End> extends AsyncIterable<Part>, AsyncDisposable {
  /** Rejects as a call does, and with `CLOSED` when the loop was left before the result came. */
  readonly result: Promise<End>;
}

interface Taker {
  readonly resolve: (result: IteratorResult<unknown, undefined>) => void;
  readonly reject: (reason: unknown) => void;
}

/** @throws {ConfigError} */
export function checkWindow(window: number): void {
  if (!(Number.isInteger(window) && window >= 1 && window <= LARGEST_WINDOW))
    throw new ConfigError('window', `expected a whole number from 1 to ${LARGEST_WINDOW}`);
}

/**
 * The reading end of a stream: holds what was not read yet, and lets the producer make more as it is. Credit is the count
 * of parts that the producer may have sent since the beginning, so that telling it twice does no harm.
 */
export class ProgressReader implements ProgressSink, AsyncIterator<unknown, undefined> {
  readonly window: number;
  readonly #what: string;
  readonly #transport: Transport;
  readonly #control: ControlCodec | undefined;
  readonly #leaving = new AbortController();
  readonly #takers: Taker[] = [];
  #unread: unknown[] = [];
  #received = 0;
  #granted: number;
  #producer: Producer | undefined;
  /** The producer has ended. */
  #complete = false;
  /** The call has ended, for whatever reason. */
  #end: { readonly failure: { readonly reason: unknown } | undefined } | undefined;

  constructor(what: string, transport: Transport, control: ControlCodec | undefined, window: number = WINDOW) {
    this.window = window;
    this.#what = what;
    this.#transport = transport;
    this.#control = control;
    this.#granted = window;
  }

  /** Aborted when the reader leaves. */
  get left(): AbortSignal {
    return this.#leaving.signal;
  }

  get isFull(): boolean {
    return this.#unread.length >= this.window;
  }

  /** The handle of the call that ends with that promise. */
  follow<Result>(result: Promise<Result>, signal: AbortSignal | undefined): CallStream<unknown, Result> {
    // Who aborts wants no more of it, at once.
    const unlisten = onAbort(signal, () => this.#finish({ reason: signal?.reason }, []));
    result.finally(unlisten).then(
      () => this.#finish(undefined),
      (reason: unknown) => this.#finish({ reason }),
    );
    return {
      result,
      [Symbol.asyncIterator]: () => this,
      [Symbol.asyncDispose]: async () => void (await this.return()),
    };
  }

  take({ value, part, producer }: Part): void {
    const isOther = this.#producer !== undefined && this.#producer.id !== producer.id;
    this.#producer = producer;
    if (isOther)
      throw new MessagingError('UNSUPPORTED', `${this.#what}: cannot be made again once it told of progress`);
    if (part <= this.#received) return;
    if (part > this.#received + 1) throw this.#lost(part - 1);
    if (part > this.#granted)
      throw new MessagingError('MALFORMED', `${this.#what}: the server sends more progress than there is room for`);
    this.#received = part;
    const taker = this.#takers.shift();
    if (taker === undefined) this.#unread.push(value);
    else {
      taker.resolve({ done: false, value });
      this.#grant();
    }
  }

  complete(parts = 0): void {
    this.#complete = this.#producer !== undefined;
    if (parts > this.#received) throw this.#lost(parts);
  }

  cancel(): boolean {
    if (this.#producer === undefined) return false;
    if (!this.#complete) this.#tell(this.#producer, { kind: 'cancel' });
    return true;
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    if (this.#unread.length > 0) {
      const value = this.#unread.shift();
      this.#grant();
      return Promise.resolve({ done: false, value });
    }
    if (this.#end === undefined) return new Promise((resolve, reject) => this.#takers.push({ resolve, reject }));
    const { failure } = this.#end;
    this.#end = { failure: undefined };
    return failure === undefined ? Promise.resolve(DONE) : Promise.reject(failure.reason);
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    this.#unread = [];
    this.#finish(undefined);
    this.#leaving.abort(new MessagingError('CLOSED', `${this.#what}: its reader left before the result`));
    return Promise.resolve(DONE);
  }

  #finish(failure: { readonly reason: unknown } | undefined, unread: unknown[] = this.#unread): void {
    if (this.#end !== undefined) return;
    this.#unread = unread;
    const takers = this.#takers.splice(0);
    const first = failure && takers.shift();
    first?.reject(failure?.reason);
    for (const taker of takers) taker.resolve(DONE);
    this.#end = { failure: first === undefined ? failure : undefined };
  }

  /** Credit goes out for half a window at a time. */
  #grant(): void {
    const grant = this.#received - this.#unread.length + this.window;
    if (this.#producer === undefined || this.#complete || grant - this.#granted < this.window / 2) return;
    this.#granted = grant;
    this.#tell(this.#producer, { kind: 'credit', granted: grant });
  }

  #tell(producer: Producer, control: Control): void {
    const { logger } = this.#transport;
    if (this.#control === undefined) return;
    const to = { kind: 'reply', name: producer.replyTo } as const;
    this.#transport
      .send(to, this.#control.encode(producer, control), profiles.reply)
      .catch((error: unknown) => logger.debug({ err: error, id: producer.id }, `could not send ${control.kind}`));
  }

  #lost(parts: number): MessagingError {
    const lost = `${parts - this.#received} of the first ${parts} parts of its progress were lost`;
    return new MessagingError('UNKNOWN', `${this.#what}: ${lost}, so the stream was given up`);
  }
}

const DONE = { done: true, value: undefined } as const;
