import type { JobEnd } from './server.ts';

export interface BatchOptions {
  /** Handle this many at once, at most. */
  readonly size: number;
  /** Handle what is there when the oldest has waited for this long. */
  readonly maxAgeMs: number;
}

interface Entry<T> {
  readonly item: T;
  readonly resolve: (end: JobEnd) => void;
}

/**
 * Collects items into batches, which share one end. The age is that of the oldest item: a steady trickle does not put the
 * batch off for ever.
 */
export class Batcher<T> {
  readonly #options: BatchOptions;
  readonly #handle: (items: readonly T[]) => Promise<JobEnd>;
  #entries: Entry<T>[] = [];
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: BatchOptions, handle: (items: readonly T[]) => Promise<JobEnd>) {
    this.#options = options;
    this.#handle = handle;
  }

  /** Resolves as the batch ends in which the item is handled. */
  add(item: T): Promise<JobEnd> {
    if (this.#closed) return Promise.resolve('release');
    return new Promise((resolve) => {
      this.#entries.push({ item, resolve });
      if (this.#entries.length >= this.#options.size) this.#flush();
      else this.#timer ??= setTimeout(() => this.#flush(), this.#options.maxAgeMs);
    });
  }

  /** Handles what is there, now; what comes later is given back. */
  close(): void {
    this.#closed = true;
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const entries = this.#entries;
    this.#entries = [];
    if (entries.length > 0) void this.#end(entries);
  }

  async #end(entries: readonly Entry<T>[]): Promise<void> {
    const end = await this.#handle(entries.map(({ item }) => item));
    for (const { resolve } of entries) resolve(end);
  }
}
