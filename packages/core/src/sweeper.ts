/** Deadlines are kept to this many milliseconds. */
const RESOLUTION_MS = 1;

/**
 * One timer for many deadlines, most of which never come: a timer for each message would cost as much as the message.
 * `sweep` is called when the earliest deadline may have come; it ends what is due at `now` and returns the next deadline,
 * or infinity. Times are those of `performance.now()`.
 */
export class Sweeper {
  readonly #sweep: (now: number) => number;
  #timer: NodeJS.Timeout | undefined;
  #at = Number.POSITIVE_INFINITY;
  #resting = false;

  constructor(sweep: (now: number) => number) {
    this.#sweep = sweep;
  }

  /** Sees to it that there is a sweep by then. */
  by(deadline: number): void {
    if (this.#resting) {
      this.#resting = false;
      this.#timer?.ref();
    }
    if (deadline < this.#at) this.#schedule(deadline, performance.now());
  }

  /** Nothing waits any more: the timer keeps no process alive. */
  rest(): void {
    this.#resting = true;
    this.#timer?.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#at = Number.POSITIVE_INFINITY;
  }

  #schedule(deadline: number, now: number): void {
    clearTimeout(this.#timer);
    this.#at = deadline;
    this.#timer = setTimeout(this.#run, Math.max(RESOLUTION_MS, Math.ceil(deadline - now)));
    if (this.#resting) this.#timer.unref();
  }

  readonly #run = (): void => {
    this.stop();
    const now = performance.now();
    const next = this.#sweep(now);
    if (next < this.#at && next < Number.POSITIVE_INFINITY) this.#schedule(next, now);
  };
}
