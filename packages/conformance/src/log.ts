const PATIENCE_MS = 8_000;

/** Records what comes, in order, and lets a test wait for it. */
export class Log<T> {
  readonly items: T[] = [];
  readonly #what: string;
  readonly #show: (item: T) => string;
  readonly #patienceMs: number;
  readonly #waiting = new Set<() => void>();

  constructor(what: string, show: (item: T) => string, patienceMs: number = PATIENCE_MS) {
    this.#what = what;
    this.#show = show;
    this.#patienceMs = patienceMs;
  }

  add(item: T): void {
    this.items.push(item);
    for (const look of [...this.#waiting]) look();
  }

  /** The first `count` items, as soon as there are that many. */
  async first(count: number): Promise<readonly T[]> {
    await this.until(`${count} of them`, (items) => items.length >= count);
    return this.items.slice(0, count);
  }

  /** The n-th item, counted from 1. */
  async nth(n: number): Promise<T> {
    const item = (await this.first(n))[n - 1];
    if (item === undefined) throw new RangeError(`there is no item ${n}`);
    return item;
  }

  /** The first item, from `from` on, that the test accepts. */
  async find(wanted: string, accepts: (item: T) => boolean, from = 0): Promise<T> {
    const found = (): T | undefined => this.items.slice(from).find(accepts);
    await this.until(wanted, () => found() !== undefined);
    return found() as T;
  }

  /** Resolves as soon as the condition holds; rejects, with what came, when that takes too long. */
  until(wanted: string, holds: (items: readonly T[]) => boolean, withinMs: number = this.#patienceMs): Promise<void> {
    if (holds(this.items)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!holds(this.items)) return;
        end();
        resolve();
      };
      const timer = setTimeout(() => {
        end();
        reject(new Error(`${this.#what}: waited ${withinMs} ms for ${wanted}, there are ${this}`));
      }, withinMs);
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      this.#waiting.add(look);
    });
  }

  toString(): string {
    const shown = this.items.slice(-20).map(this.#show).join(', ');
    return `${this.items.length} (${this.items.length > 20 ? '…, ' : ''}${shown})`;
  }
}
