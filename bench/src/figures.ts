/** What one side achieved in one slice of time. */
export interface Slice {
  readonly operations: number;
  readonly elapsedMs: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  /** User and system time of all processes of this side. */
  readonly cpuUs: number;
  /** Of the broker, where it runs on this machine. */
  readonly brokerCpuUs?: number | undefined;
}

/** The slice in the middle of each figure: what a disturbance of the machine does to one slice is left out. */
export interface Middle {
  /** Operations a second. */
  readonly rate: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly cpuUs: number;
  readonly brokerCpuUs: number | null;
}

export function middle(slices: readonly Slice[]): Middle {
  const of = (figure: (slice: Slice) => number | undefined): number | null => {
    const values = slices.map(figure).filter((value) => value !== undefined);
    return values.length === 0 ? null : median(values);
  };
  return {
    rate: of(rateOf) ?? 0,
    p50Ms: of(({ p50Ms }) => p50Ms),
    p99Ms: of(({ p99Ms }) => p99Ms),
    cpuUs: of(({ cpuUs, operations }) => cpuUs / operations) ?? 0,
    // The system counts the broker's time in hundredths of a second: too coarse for one slice.
    brokerCpuUs: slices.every(({ brokerCpuUs }) => brokerCpuUs !== undefined)
      ? sum(slices.map(({ brokerCpuUs = 0 }) => brokerCpuUs)) / sum(slices.map(({ operations }) => operations))
      : null,
  };
}

/** How many times as much as the other, in the worst and in the best turn. */
export function spread(ours: readonly Slice[], theirs: readonly Slice[]): readonly [low: number, high: number] {
  const ratios = ours.flatMap((slice, turn) => {
    const other = theirs[turn];
    return other === undefined ? [] : [rateOf(slice) / rateOf(other)];
  });
  return [Math.min(...ratios), Math.max(...ratios)];
}

export function rateOf({ operations, elapsedMs }: Slice): number {
  return (operations / elapsedMs) * 1_000;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  const [low = 0, high = 0] = [sorted[Math.ceil(half) - 1], sorted[Math.floor(half)]];
  return (low + high) / 2;
}

export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
