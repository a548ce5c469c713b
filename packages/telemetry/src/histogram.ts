/** How often something fell into which bucket of a histogram; the empty ones are left out. */
export type Buckets = readonly (readonly [bucket: number, count: number])[];

/** Eight buckets to a doubling: what is read out of them is at most 5 % off. */
const PER_DOUBLING = 8;
const LEAST_MS = 0.001;
/** Up to 71 minutes; what takes longer falls into the last. */
const BUCKETS = 32 * PER_DOUBLING;

/** Counts durations from a microsecond up, in buckets that are the same everywhere, so that those of many processes add up. */
export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS);

  record(ms: number): void {
    const bucket = ms > LEAST_MS ? Math.min(BUCKETS - 1, Math.floor(Math.log2(ms / LEAST_MS) * PER_DOUBLING)) : 0;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
  }

  /** What was counted since the last time. */
  take(): Buckets {
    const taken = [...this.#counts.entries()].filter(([, count]) => count > 0);
    this.#counts.fill(0);
    return taken;
  }
}

/** One out of many. */
export function addUp(all: Iterable<Buckets>): Buckets {
  const sums = new Map<number, number>();
  for (const buckets of all) for (const [bucket, count] of buckets) sums.set(bucket, (sums.get(bucket) ?? 0) + count);
  return [...sums].sort(([a], [b]) => a - b);
}

/**
 * The milliseconds that this part of what was counted did not exceed: 0.99 asks for the 99th percentile. Undefined where
 * nothing was.
 *
 * @param buckets in their order
 */
export function quantile(buckets: Buckets, part: number): number | undefined {
  const total = buckets.reduce((sum, [, count]) => sum + count, 0);
  let left = Math.max(1, Math.ceil(total * part));
  for (const [bucket, count] of buckets) {
    left -= count;
    if (left <= 0) return LEAST_MS * 2 ** ((bucket + 0.5) / PER_DOUBLING);
  }
  return undefined;
}
