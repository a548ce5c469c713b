/** Runs jobs, and knows nothing else. A custom one is any object with this method. */
export interface Executor {
  /** Runs the job now or later. Settles as the job does. */
  submit<T>(job: () => Promise<T>): Promise<T>;
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
