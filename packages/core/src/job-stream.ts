import type { JobEnd } from './server.ts';

interface Waiting<T> {
  readonly item: T;
  readonly resolve: (end: JobEnd) => void;
}

/**
 * Items for `for await` loops; several loops share them. An item is done when its loop asks for the next one. What it
 * holds is bounded by its server's prefetch: each entry is a job that runs.
 */
export class JobStream<T> {
  #waiting: Waiting<T>[] = [];
  #idle: (() => void)[] = [];
  #ended = false;

  /** Resolves when the loop is done with it. */
  add(item: T): Promise<JobEnd> {
    if (this.#ended) return Promise.resolve('release');
    return new Promise((resolve) => {
      this.#waiting.push({ item, resolve });
      this.#wake();
    });
  }

  /** Ends the loops; what they did not get is given back. */
  end(): void {
    this.#ended = true;
    for (const { resolve } of this.#waiting) resolve('release');
    this.#waiting = [];
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    let current: Waiting<T> | undefined;
    try {
      for (;;) {
        current = this.#waiting.shift();
        if (current !== undefined) {
          yield current.item;
          current.resolve('accept');
          current = undefined;
        } else if (this.#ended) return;
        else await new Promise<void>((resolve) => this.#idle.push(resolve));
      }
    } finally {
      current?.resolve({ outcome: 'release', reason: 'its loop was left' });
    }
  }

  #wake(): void {
    for (const go of this.#idle.splice(0)) go();
  }
}
