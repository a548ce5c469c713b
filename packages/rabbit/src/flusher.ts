import type { Socket } from 'node:net';
import type { Model } from './amqplib.ts';

const NOTHING = Buffer.alloc(0);

/**
 * Collects what one turn of the event loop writes into one system call, and tells when the socket has taken it.
 *
 * amqplib writes each message with a call of its own, in a `setImmediate` of its multiplexer. The socket is corked at
 * the first write of a turn and uncorked right after that immediate.
 */
export class Flusher {
  readonly #model: Pick<Model, 'connection'>;
  #corked = false;
  #closed = false;
  #awaitsDrain = false;
  /** Bytes given to amqplib since its multiplexer was last seen empty. */
  #heldBytes = 0;
  #waiting: ((written: boolean) => void)[] = [];

  constructor(model: Pick<Model, 'connection'>) {
    this.#model = model;
  }

  /** Call before anything is written, with how much of it counts. */
  touch(bytes = 0): void {
    this.#heldBytes += bytes;
    if (this.#corked || this.#closed) return;
    this.#corked = true;
    this.#model.connection.stream?.cork();
    // amqplib schedules its immediate in a tick that the coming write queues. Ours must be scheduled after it: two ticks
    // from now, since this one comes before that one. Were it ever too early, `#uncork` would notice and try again.
    process.nextTick(this.#nextTick);
  }

  readonly #nextTick = (): void => process.nextTick(this.#schedule);
  readonly #schedule = (): void => void setImmediate(this.#uncork);

  /** Calls back when all that was written so far is with the operating system; with false when that is not known. */
  onWritten(callback: (written: boolean) => void): void {
    if (this.#closed) return callback(false);
    this.#waiting.push(callback);
    this.touch();
  }

  /** Bytes that the socket did not take yet: what it buffers itself, and what waits before it, in amqplib. */
  get backlogBytes(): number {
    return this.#heldBytes + (this.#model.connection.stream?.writableLength ?? 0);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#finish(this.#take(), false);
  }

  readonly #uncork = (): void => {
    this.#corked = false;
    const { stream, muxer } = this.#model.connection;
    stream?.uncork();
    if (this.#closed) return;
    const busy = muxer !== undefined && (muxer.blocked || muxer.newStreams.length > 0 || muxer.oldStreams.length > 0);
    // The multiplexer holds more than the socket's buffer: it goes on at `drain`, and we look again after it.
    if (busy) return stream?.writableNeedDrain ? this.#touchAtDrain(stream) : this.touch();
    this.#heldBytes = 0;
    const waiting = this.#take();
    if (waiting.length === 0) return;
    if (stream === undefined || stream.writableLength === 0) return this.#finish(waiting, true);
    stream.write(NOTHING, (error) => this.#finish(waiting, !error && !this.#closed));
  };

  #touchAtDrain(stream: Socket): void {
    if (this.#awaitsDrain) return;
    this.#awaitsDrain = true;
    stream.once('drain', () => {
      this.#awaitsDrain = false;
      this.touch();
    });
  }

  #take(): ((written: boolean) => void)[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    return waiting;
  }

  #finish(waiting: readonly ((written: boolean) => void)[], written: boolean): void {
    for (const callback of waiting) callback(written);
  }
}
