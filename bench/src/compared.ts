import { middle, rounded, type Slice, spread } from './figures.ts';
import type { Cell, Column } from './scenario.ts';

/** What is counted: `Call` makes `cpuUsPerCall`. */
export type Unit = 'Call' | 'Message';

/** The figures of ours beside those of the twin, where there is one. */
export function compared(
  unit: Unit,
  ours: readonly Slice[],
  theirs: readonly Slice[] | undefined,
): Readonly<Record<string, Cell>> {
  const our = middle(ours);
  const their = theirs && middle(theirs);
  return {
    rate: rounded(our.rate, 0),
    twinRate: maybe(their?.rate, 0),
    ratio: maybe(their && our.rate / their.rate, 3),
    p50Ms: maybe(our.p50Ms, 3),
    p99Ms: maybe(our.p99Ms, 3),
    twinP50Ms: maybe(their?.p50Ms, 3),
    [`cpuUsPer${unit}`]: rounded(our.cpuUs, 1),
    [`twinCpuUsPer${unit}`]: maybe(their?.cpuUs, 1),
  };
}

/** How far the turns lie apart, and what the broker had to do. */
export function besides(
  unit: Unit,
  ours: readonly Slice[],
  theirs: readonly Slice[] | undefined,
): Readonly<Record<string, Cell>> {
  const [low, high] = theirs === undefined ? [] : spread(ours, theirs);
  return {
    ratioLow: maybe(low, 3),
    ratioHigh: maybe(high, 3),
    [`brokerCpuUsPer${unit}`]: maybe(middle(ours).brokerCpuUs, 1),
    [`twinBrokerCpuUsPer${unit}`]: maybe(theirs && middle(theirs).brokerCpuUs, 1),
  };
}

/** The columns of both, for the table; `first` goes before them. */
export function comparedColumns(unit: Unit, ...first: readonly Column[]): readonly Column[] {
  const what = unit.toLowerCase();
  return [
    ...first,
    { key: 'rate', title: `${what}s/s`, digits: 0 },
    { key: 'twinRate', title: 'twin', digits: 0 },
    { key: 'ratio', title: 'ratio', digits: 2 },
    { key: 'ratioLow', title: 'low', digits: 2 },
    { key: 'ratioHigh', title: 'high', digits: 2 },
    { key: 'p50Ms', title: 'p50 ms', digits: 2 },
    { key: 'p99Ms', title: 'p99 ms', digits: 2 },
    { key: 'twinP50Ms', title: 'twin p50', digits: 2 },
    { key: `cpuUsPer${unit}`, title: `CPU µs/${what}`, digits: 0 },
    { key: `twinCpuUsPer${unit}`, title: 'twin CPU', digits: 0 },
    { key: `brokerCpuUsPer${unit}`, title: 'broker CPU', digits: 0 },
    { key: `twinBrokerCpuUsPer${unit}`, title: 'twin’s', digits: 0 },
  ];
}

export function maybe(value: number | null | undefined, digits: number): number | null {
  return value === undefined || value === null || !Number.isFinite(value) ? null : rounded(value, digits);
}
