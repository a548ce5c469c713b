import { createHistogram } from 'node:perf_hooks';

/** So many calls wait at any time, until the time is over or the number is reached. */
export interface Load {
  readonly inFlight: number;
  readonly ms?: number;
  readonly calls?: number;
}

export interface Loop {
  readonly calls: number;
  readonly elapsedMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Each of the callers makes its next call when it has the answer to its last one. */
export async function closedLoop(call: () => unknown, load: Load): Promise<Loop> {
  const { inFlight, ms = Number.POSITIVE_INFINITY, calls = Number.POSITIVE_INFINITY } = load;
  const nanoseconds = createHistogram();
  let begun = 0;
  const start = performance.now();
  const end = start + ms;
  const caller = async (): Promise<void> => {
    for (let now = performance.now(); now < end && begun < calls; ) {
      begun++;
      await call();
      const done = performance.now();
      nanoseconds.record(Math.max(1, Math.round((done - now) * 1e6)));
      now = done;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  return {
    calls: begun,
    elapsedMs: performance.now() - start,
    p50Ms: nanoseconds.percentile(50) / 1e6,
    p99Ms: nanoseconds.percentile(99) / 1e6,
  };
}
