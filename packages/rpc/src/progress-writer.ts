import {
  type Cancellation,
  type Expectation,
  type Message,
  MessagingError,
  onAbort,
  profiles,
  TimeoutError,
  type Transport,
} from '@posthorn/core';
import type { Producer, Request, RPCCodec } from './codec.ts';

/**
 * The producing end of a stream: sends what a method yields as far as its reader has made room. The reader answers
 * to the inbox of the server's transport, where this waits for as long as the method runs.
 */
export class ProgressWriter implements Expectation {
  readonly what: string;
  readonly timeoutMs: number = Number.POSITIVE_INFINITY;
  readonly #transport: Transport;
  readonly #codec: RPCCodec;
  readonly #request: Request;
  readonly #cancellation: Cancellation;
  #granted: number;
  #sent = 0;
  #id: string | undefined;
  #producer: Producer | undefined;
  #stopped = false;
  #wake: () => void = () => {};

  constructor(transport: Transport, codec: RPCCodec, request: Request, cancellation: Cancellation) {
    this.what = `the progress of ${request.method}`;
    this.#transport = transport;
    this.#codec = codec;
    this.#request = request;
    this.#cancellation = cancellation;
    this.#granted = request.window ?? 0;
  }

  /** How many parts went out. */
  get sent(): number {
    return this.#sent;
  }

  /** Resolves when it was written, which waits for the reader. */
  async write(value: unknown, signal: AbortSignal): Promise<void> {
    const producer = this.#producer ?? (await unlessAborted(signal, this.#open()));
    while (this.#sent >= this.#granted) {
      const room = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await unlessAborted(signal, room);
    }
    const part = { kind: 'progress', value, part: this.#sent + 1, producer } as const;
    const to = { kind: 'reply', name: this.#request.replyTo ?? '' } as const;
    try {
      await this.#transport.send(to, this.#codec.encodeReply(this.#request, part), { ...profiles.reply, signal });
    } catch (error) {
      if (error instanceof MessagingError && error.code === 'UNROUTABLE') this.#cancellation.cancel(error);
      throw error;
    }
    this.#sent++;
  }

  stop(): void {
    this.#stopped = true;
    if (this.#id !== undefined) this.#transport.inbox.fail(this.#id, undefined);
  }

  timeoutError(): Error {
    return new TimeoutError(this.what, this.timeoutMs);
  }

  isWritten(): boolean {
    return this.#sent > 0;
  }

  answer(message: Message): boolean {
    const control = this.#codec.control?.decode(message);
    if (control?.kind === 'cancel') this.#cancellation.cancel(new MessagingError('CLOSED', 'the caller gave up'));
    if (control?.kind !== 'credit') return false;
    this.#granted = Math.max(this.#granted, control.granted);
    this.#wake();
    return false;
  }

  /** The reader can no longer be heard. */
  fail(reason: unknown): void {
    if (!this.#stopped) this.#cancellation.cancel(reason);
  }

  /** Waits before it has an address, so that the loss of that cannot be missed. */
  async #open(): Promise<Producer> {
    const { inbox } = this.#transport;
    const id = inbox.expect(this);
    this.#id = id;
    this.#producer = { id, replyTo: await inbox.address() };
    return this.#producer;
  }
}

function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const unlisten = onAbort(signal, () => reject(signal.reason));
    work.then(resolve, reject).finally(unlisten);
    if (signal.aborted) reject(signal.reason);
  });
}
