import { Schedule } from './schedule.ts';

/** Work under way. */
export interface Job {
  readonly done: () => void;
  ended: boolean;
}

/**
 * Cores that give all jobs the same share, as Erlang does: with more jobs than cores each becomes slower. A job ends when the
 * share that each has got since the beginning has grown by its work.
 */
export class SharedProcessor {
  readonly #cores: number;
  /** By the share at which they end. */
  readonly #jobs = new Schedule<Job>();
  #running = 0;
  #share = 0;
  #now = 0;

  constructor(cores: number) {
    this.#cores = cores;
  }

  /** When the next job ends, unless one comes or goes before that. */
  get nextAt(): number {
    while (this.#jobs.first?.item.ended) this.#jobs.take();
    const next = this.#jobs.first;
    return next === undefined ? Number.POSITIVE_INFINITY : this.#now + (next.at - this.#share) / this.#speed;
  }

  start(now: number, workMs: number, done: () => void): Job {
    this.#advance(now);
    const job = { done, ended: false };
    this.#running++;
    this.#jobs.add(this.#share + workMs, job);
    return job;
  }

  /** Breaks it off; what was done of it is lost. */
  cancel(now: number, job: Job): void {
    if (job.ended) return;
    this.#advance(now);
    job.ended = true;
    this.#running--;
  }

  /** Ends the job that ends at `nextAt`. */
  endNext(): void {
    const at = this.nextAt;
    const next = this.#jobs.take();
    if (next === undefined) return;
    this.#now = at;
    this.#share = next.at;
    next.item.ended = true;
    this.#running--;
    next.item.done();
  }

  get #speed(): number {
    return Math.min(1, this.#cores / this.#running);
  }

  #advance(now: number): void {
    if (this.#running > 0) this.#share += (now - this.#now) * this.#speed;
    this.#now = now;
  }
}
