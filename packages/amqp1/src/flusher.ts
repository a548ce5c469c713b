import type { Connection } from './rhea.ts';

const NOTHING = Buffer.alloc(0);

/**
 * Collects what one turn of the event loop writes into one system call, and tells when the socket has taken it. rhea
 * writes each frame with a call of its own, in a tick after the one that asked for it.
 */
export class Flusher {
  readonly #socket: Connection['socket'];
  #corked = false;
  #closed = false;
  #waiting: ((written: boolean) => void)[] = [];

  constructor(socket: Connection['socket']) {
    this.#socket = socket;
  }

  /** Call before anything is written. */
  touch(): void {
    if (this.#corked || this.#closed) return;
    this.#corked = true;
    this.#socket.cork?.();
    setImmediate(this.#uncork);
  }

  /** Calls back when all that was written so far is with the operating system; with false when that is not known. */
  onWritten(callback: (written: boolean) => void): void {
    if (this.#closed) return callback(false);
    this.#waiting.push(callback);
    this.touch();
  }

  /** Bytes that the socket did not take yet. */
  get backlogBytes(): number {
    return this.#socket.writableLength ?? 0;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#finish(this.#take(), false);
  }

  readonly #uncork = (): void => {
    this.#corked = false;
    this.#socket.uncork?.();
    if (this.#closed) return;
    const waiting = this.#take();
    if (waiting.length === 0) return;
    if (!this.#socket.writableLength) return this.#finish(waiting, true);
    this.#socket.write(NOTHING, (error) => this.#finish(waiting, !error && !this.#closed));
  };

  #take(): ((written: boolean) => void)[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    return waiting;
  }

  #finish(waiting: readonly ((written: boolean) => void)[], written: boolean): void {
    for (const callback of waiting) callback(written);
  }
}
