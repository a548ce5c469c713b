import { createHistogram } from 'node:perf_hooks';
import type { TavridaCounts } from './task.ts';

/** What A counts, from its first request on. */
export class TavridaCounter {
  readonly #nanoseconds = createHistogram();
  #requests = 0;
  #sent = 0;
  #answers = 0;
  #began = 0;
  #counting = true;
  #limit = Number.POSITIVE_INFINITY;
  #first: () => void = () => {};
  #full: () => void = () => {};
  readonly #begun = new Promise<void>((resolve) => {
    this.#first = resolve;
  });

  /** A request arrived; false when it no longer counts. */
  request(sentAt: number): boolean {
    if (!this.#counting) return false;
    if (this.#requests++ === 0) {
      this.#began = performance.now();
      this.#first();
    }
    this.#nanoseconds.record(Math.max(1, Math.round((performance.timeOrigin + performance.now() - sentAt) * 1e6)));
    if (this.#requests === this.#limit) this.#full();
    return true;
  }

  sent(): void {
    this.#sent++;
  }

  answer(): void {
    this.#answers++;
  }

  get answers(): number {
    return this.#answers;
  }

  /** Resolves so long after the first request, or once there were so many. */
  async count(ms: number, upTo: number): Promise<TavridaCounts> {
    this.#limit = upTo;
    await this.#begun;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#full = resolve;
      timer = setTimeout(resolve, ms - (performance.now() - this.#began));
      if (this.#requests >= upTo) resolve();
    });
    clearTimeout(timer);
    this.#counting = false;
    return {
      ms: performance.now() - this.#began,
      requests: this.#requests,
      sent: this.#sent,
      answers: this.#answers,
      p50Ms: this.#nanoseconds.percentile(50) / 1e6,
      p99Ms: this.#nanoseconds.percentile(99) / 1e6,
    };
  }
}
