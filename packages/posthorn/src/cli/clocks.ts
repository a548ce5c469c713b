import type { SpanRecord } from '@posthorn/telemetry';
import { type Hop, isAnswered, whoIs } from './hops.ts';

/** How far one clock may be ahead of another, by what is known to have happened first. */
interface Bounds {
  least: number;
  most: number;
}

/**
 * Puts the clocks of all processes into one line: nothing is received before it was sent, and no answer comes back before it
 * was given. Clocks that agree with that already are left alone.
 *
 * @returns when a span began, by the clock of the first process
 */
export function aligned(hops: readonly Hop[]): (span: SpanRecord) => number {
  const between = new Map<string, Map<string, Bounds>>();
  const boundsOf = (from: string, to: string): Bounds => {
    const others = between.get(from) ?? new Map<string, Bounds>();
    between.set(from, others);
    const bounds = others.get(to) ?? { least: Number.NEGATIVE_INFINITY, most: Number.POSITIVE_INFINITY };
    others.set(to, bounds);
    return bounds;
  };
  for (const hop of hops) {
    const { sent, done } = hop;
    if (sent === undefined || done === undefined || whoIs(sent) === whoIs(done)) continue;
    const least = sent.startMs - done.startMs;
    const most = isAnswered(hop) ? least + sent.durationMs - done.durationMs : Number.POSITIVE_INFINITY;
    narrow(boundsOf(whoIs(sent), whoIs(done)), least, most);
    narrow(boundsOf(whoIs(done), whoIs(sent)), -most, -least);
  }
  const shifts = shiftsOf(hops, between);
  return (span) => span.startMs + (shifts.get(whoIs(span)) ?? 0);
}

function narrow(bounds: Bounds, least: number, most: number): void {
  bounds.least = Math.max(bounds.least, least);
  bounds.most = Math.min(bounds.most, most);
}

/** What is to be added to the times of each process: from neighbour to neighbour, the first sender being right. */
function shiftsOf(
  hops: readonly Hop[],
  between: ReadonlyMap<string, ReadonlyMap<string, Bounds>>,
): Map<string, number> {
  const shifts = new Map<string, number>();
  const roots = hops.flatMap(({ sent, done }) => {
    const span = sent ?? done;
    return span === undefined ? [] : [span];
  });
  // Those that nobody of this trace called come first.
  roots.sort((a, b) => Number(a.parentId !== undefined) - Number(b.parentId !== undefined));
  for (const who of roots.map(whoIs)) {
    if (shifts.has(who)) continue;
    shifts.set(who, 0);
    const line = [who];
    for (const one of line)
      for (const [other, bounds] of between.get(one) ?? []) {
        if (shifts.has(other)) continue;
        shifts.set(other, (shifts.get(one) ?? 0) + within(bounds));
        line.push(other);
      }
  }
  return shifts;
}

/** None, if that is possible; else halfway, as there is no better guess. */
function within({ least, most }: Bounds): number {
  if (least <= 0 && most >= 0) return 0;
  if (least === Number.NEGATIVE_INFINITY) return most;
  return most === Number.POSITIVE_INFINITY ? least : (least + most) / 2;
}
