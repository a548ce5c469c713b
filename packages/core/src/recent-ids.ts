/**
 * The ids seen last: between `capacity` and twice as many. Two sets take turns, so that forgetting costs nothing per id.
 */
export class RecentIds {
  readonly #capacity: number;
  #current = new Set<string>();
  #previous = new Set<string>();

  constructor(capacity = 10_000) {
    this.#capacity = capacity;
  }

  has(id: string): boolean {
    return this.#current.has(id) || this.#previous.has(id);
  }

  add(id: string): void {
    if (this.#current.size >= this.#capacity) {
      this.#previous = this.#current;
      this.#current = new Set();
    }
    this.#current.add(id);
  }

  delete(id: string): void {
    this.#current.delete(id);
    this.#previous.delete(id);
  }
}
