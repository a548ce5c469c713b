/** A streaming method at work: what it yields is progress, what it returns is the result. */
export type Steps = AsyncGenerator<unknown, unknown, unknown>;

export function isSteps(returned: unknown): returned is Steps {
  return typeof returned === 'object' && returned !== null && Symbol.asyncIterator in returned && 'return' in returned;
}

/**
 * Runs the generator to its end. It goes on when what it yielded was taken; once the signal is aborted, or what it yielded
 * cannot be taken, it is made to return at its `yield`, and the reason is thrown.
 */
export async function follow(
  steps: Steps,
  signal: AbortSignal,
  take: (value: unknown) => Promise<void>,
): Promise<unknown> {
  for (;;) {
    const step = await steps.next();
    if (step.done) return step.value;
    try {
      signal.throwIfAborted();
      await take(step.value);
    } catch (error) {
      await steps.return(undefined);
      throw error;
    }
  }
}

/** A turn for each: a generator that waits for nothing would keep all else from running, its own deadline included. */
export function dropProgress(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
