import { setTimeout as pause } from 'node:timers/promises';

const INTERVAL_MS = 40;

/**
 * Asks `probe` again and again until it answers with something truthy, and returns that answer.
 * For facts that can only be polled (an HTTP API, a port of another process); what emits an event is awaited instead.
 * A probe that throws counts as "not yet"; its last error becomes the cause of the time-out.
 *
 * @param what names the awaited fact in the error: `waitFor('the queue q1 to vanish', …)`
 */
export async function waitFor<T>(
  what: string,
  probe: () => T | Promise<T>,
  timeoutMs = 10_000,
): Promise<Exclude<T, undefined | null | false | 0 | ''>> {
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await probe();
      if (answer) return answer as Exclude<T, undefined | null | false | 0 | ''>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadline) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`, { cause });
    await pause(INTERVAL_MS);
  }
}
