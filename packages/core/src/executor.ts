/** Runs jobs, and knows nothing else. A custom one is any object with this method. */
export interface Executor {
  /** Runs the job now or later. Settles as the job does. Jobs of one key belong together, where the executor cares. */
  submit<T>(job: () => Promise<T>, key?: string): Promise<T>;
}

/** One job at a time, in the order of submission. */
export function serial(): Executor {
  return concurrent(1);
}

/** Up to `limit` jobs at a time, started in the order of submission. */
export function concurrent(limit: number): Executor {
  if (!Number.isInteger(limit) || limit < 1) throw new RangeError(`concurrent(${limit}): the limit must be 1 or more`);
  const waiting: (() => void)[] = [];
  let running = 0;

  const finish = (): void => {
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  };
  const run = <T>(job: () => Promise<T>): Promise<T> => {
    const result = job();
    result.then(finish, finish);
    return result;
  };
  return {
    submit<T>(job: () => Promise<T>): Promise<T> {
      if (running < limit) {
        running++;
        return run(job);
      }
      return new Promise((resolve, reject) => waiting.push(() => run(job).then(resolve, reject)));
    },
  };
}

/**
 * Jobs of one key one after the other, in the order of submission; up to `limit` jobs of different keys, or without one,
 * at a time.
 */
export function keyed(limit: number): Executor {
  const pool = concurrent(limit);
  /** The last job of each key that has not ended. */
  const last = new Map<string, Promise<unknown>>();

  return {
    submit<T>(job: () => Promise<T>, key?: string): Promise<T> {
      if (key === undefined) return pool.submit(job);
      // It takes a place of the pool only when its turn in its key has come.
      const before = last.get(key);
      const run = (): Promise<T> => pool.submit(job);
      const result = before === undefined ? run() : before.then(run, run);
      last.set(key, result);
      const forget = (): void => {
        if (last.get(key) === result) last.delete(key);
      };
      result.then(forget, forget);
      return result;
    },
  };
}
