import { percentile } from './percentile.ts';

/** What goes before the measurement, so that everything is open and compiled. */
export const WARM_MS = 300;

interface Load {
  readonly inFlight: number;
  readonly ms: number;
  readonly signal: AbortSignal;
  readonly most?: number;
}

export interface Measured {
  readonly count: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/**
 * Keeps so many going at any time, until the time is over, `most` were done or the signal aborts. What ends in the warm-up
 * is not counted; what is under way in the end is waited for, and counts with its time.
 */
export async function underLoad(
  { inFlight, ms, signal, most = Number.POSITIVE_INFINITY }: Load,
  act: () => Promise<unknown>,
): Promise<Measured> {
  const begin = performance.now() + WARM_MS;
  const end = begin + ms;
  const times: number[] = [];
  let [all, last] = [0, begin];
  const lane = async (): Promise<void> => {
    for (let now = performance.now(); now < end && all < most && !signal.aborted; ) {
      all++;
      await act();
      const done = performance.now();
      if (done >= begin) {
        times.push(done - now);
        last = done;
      }
      now = done;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return measured(times, Math.max(1, last - begin));
}

function measured(times: readonly number[], ms: number): Measured {
  const rounded = (value: number): number => (Number.isNaN(value) ? 0 : Number(value.toFixed(2)));
  return {
    count: times.length,
    perSecond: Math.round((times.length * 1_000) / ms),
    p50Ms: rounded(percentile(times, 0.5)),
    p99Ms: rounded(percentile(times, 0.99)),
  };
}
