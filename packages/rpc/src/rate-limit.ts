/** At most so many in any second that begins with the first. */
export class RateLimit {
  readonly #perSecond: number;
  #began = Number.NEGATIVE_INFINITY;
  #taken = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  take(): boolean {
    const now = performance.now();
    if (now - this.#began >= 1_000) {
      this.#began = now;
      this.#taken = 0;
    }
    return ++this.#taken <= this.#perSecond;
  }
}
