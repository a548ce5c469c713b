import type { Logger } from '@posthorn/core';

const QUIET_MS = 10_000;

/** Warns of the first of many alike, then at most once in ten seconds, and says how many there were since. */
export class BurstLog {
  readonly #logger: Logger;
  #quietUntil = Number.NEGATIVE_INFINITY;
  #times = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  warn(fields: object, message: string): void {
    this.#times++;
    const now = performance.now();
    if (now < this.#quietUntil) return;
    this.#quietUntil = now + QUIET_MS;
    this.#logger.warn({ ...fields, times: this.#times }, message);
    this.#times = 0;
  }
}
