/** What a closed loop achieved in one slice of time. */
export interface Slice {
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** User and system time of client and server together. */
  readonly cpuUsPerCall: number;
}

/** One measurement. The keys are those of a line of `--json`; null where there is nothing to compare with or to count. */
export interface Figures {
  readonly scenario: 'rpc';
  readonly transport: string;
  readonly inFlight: number;
  readonly rate: number;
  readonly twinRate: number | null;
  readonly ratio: number | null;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly twinP50Ms: number | null;
  readonly cpuUsPerCall: number;
  readonly twinCpuUsPerCall: number | null;
  readonly framesPerCall: number | null;
}

/** The slice in the middle of each figure: what a disturbance of the machine does to one slice is left out. */
export function medians(slices: readonly Slice[]): Slice {
  const of = (figure: keyof Slice): number => median(slices.map((slice) => slice[figure]));
  return { rate: of('rate'), p50Ms: of('p50Ms'), p99Ms: of('p99Ms'), cpuUsPerCall: of('cpuUsPerCall') };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = 0, high = 0] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (low + high) / 2;
}

export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
