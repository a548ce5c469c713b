/** A number that changes, as people read it. */
export function rate(value: number): string {
  if (value >= 10_000) return `${(value / 1_000).toFixed(1)}k`;
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1);
}

/** Milliseconds as people read them. */
export function time(ms: number | undefined): string {
  if (ms === undefined) return '-';
  if (ms >= 10_000) return `${(ms / 1_000).toFixed(0)} s`;
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms >= 100) return `${ms.toFixed(0)} ms`;
  return ms >= 1 ? `${ms.toFixed(1)} ms` : `${ms.toFixed(2)} ms`;
}

/** A moment, after a beginning; the milliseconds stay. */
export function clock(ms: number): string {
  return ms >= 1_000 ? `+${(ms / 1_000).toFixed(3)} s` : `+${time(ms)}`;
}
