const PATIENCE_MS = 8_000;
const INTERVAL_MS = 5;

/**
 * Asks until the answer is truthy, and returns it: for facts that no event tells. A probe that throws counts as "not
 * yet"; its last error becomes the cause of the time-out.
 */
export async function waitFor<T>(
  what: string,
  probe: () => T | Promise<T>,
  timeoutMs: number = PATIENCE_MS,
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
    if (performance.now() >= deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`, { cause });
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
}
