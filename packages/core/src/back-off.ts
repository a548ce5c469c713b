/** The shortest and the longest pause, in milliseconds. */
export interface BackOffSettings {
  readonly reconnectMinMs: number;
  readonly reconnectMaxMs: number;
}

/**
 * The pause before an attempt to connect, in milliseconds: doubled with each that failed before it. The jitter is inside the
 * cap, so that the capped ones do not come in step.
 *
 * @param attempt how many failed in a row
 * @param random from 0 to below 1
 */
export function backOffMs(
  attempt: number,
  { reconnectMinMs, reconnectMaxMs }: BackOffSettings,
  random: () => number = Math.random,
): number {
  const top = Math.min(reconnectMaxMs, reconnectMinMs * 2 ** Math.min(attempt, 20));
  return Math.round(top * (0.5 + random() / 2));
}
