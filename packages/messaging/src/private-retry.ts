import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type JobEnd, type Logger, messageOf, type RetryPolicy } from '@posthorn/core';

/**
 * Retries for subscribers without a group. Their queue goes with them, and nobody could find dead letters of theirs: a
 * failed message is held and tried again in place, and is discarded, with an error in the log, after the last attempt.
 */
export class PrivateRetry {
  readonly #limit: number;
  readonly #minDelayMs: number;
  readonly #maxDelayMs: number;
  readonly #logger: Logger;
  readonly #closing = new AbortController();

  constructor({ limit = 5, minDelayMs = 1_000, maxDelayMs = 60_000 }: RetryPolicy, logger: Logger) {
    this.#limit = limit;
    this.#minDelayMs = minDelayMs;
    this.#maxDelayMs = maxDelayMs;
    this.#logger = logger;
    // Each message that waits listens.
    setMaxListeners(0, this.#closing.signal);
  }

  async run(messageId: string, work: (attempt: number) => Promise<JobEnd>): Promise<JobEnd> {
    for (let attempt = 1; ; attempt++) {
      const end = await work(attempt);
      if (typeof end === 'string') return end;
      if (end.outcome === 'reject' || attempt >= this.#limit) {
        const { reason } = end;
        this.#logger.error({ err: reason, messageId, attempts: attempt }, `discarded: ${messageOf(reason)}`);
        return 'reject';
      }
      const delayMs = Math.min(this.#maxDelayMs, this.#minDelayMs * 2 ** (attempt - 1));
      const closed = await sleep(delayMs, false, { signal: this.#closing.signal, ref: false }).catch(() => true);
      if (closed) return 'release';
    }
  }

  /** Nothing is tried again. */
  close(): void {
    this.#closing.abort();
  }
}
