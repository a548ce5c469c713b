/** Ids that came too early, kept for a while: at most so many, the oldest forgotten first. */
export class Remembered {
  readonly #capacity: number;
  readonly #forMs: number;
  readonly #until = new Map<string, number>();

  constructor(capacity: number, forMs: number) {
    this.#capacity = capacity;
    this.#forMs = forMs;
  }

  add(id: string): void {
    const oldest = this.#until.keys().next();
    if (this.#until.size >= this.#capacity && !oldest.done) this.#until.delete(oldest.value);
    this.#until.set(id, performance.now() + this.#forMs);
  }

  /** Whether the id was remembered; forgets it. */
  delete(id: string): boolean {
    // Mostly there are none, and a look-up would take the hash of the text.
    if (this.#until.size === 0) return false;
    const until = this.#until.get(id);
    return until !== undefined && this.#until.delete(id) && until > performance.now();
  }
}
