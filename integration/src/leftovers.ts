/** Something outside of this process that must not outlive it. */
export interface Leftover {
  /** Ends it in good order; must be harmless when it has ended already. */
  stop(): Promise<void>;
  /** The same without waiting, for the last moments of this process. Must not throw. */
  kill(): void;
}

const leftovers = new Set<Leftover>();
let watching = false;

/** From now on `stopAll`, and the end of this process, end `leftover` too. Returns the function that takes this back. */
export function track(leftover: Leftover): () => void {
  watchForTheEnd();
  leftovers.add(leftover);
  return () => void leftovers.delete(leftover);
}

/**
 * Ends everything that was started, newest first: Python peers, brokers, their folders. For the end of a test process;
 * what was found before is not to be had again afterwards.
 */
export async function stopAll(): Promise<void> {
  const errors: unknown[] = [];
  for (const leftover of newestFirst()) {
    leftovers.delete(leftover);
    await leftover.stop().catch((error: unknown) => errors.push(error));
  }
  if (errors.length > 0) throw new AggregateError(errors, 'some of what the tests started did not stop');
}

function killAll(): void {
  for (const leftover of newestFirst()) leftover.kill();
  leftovers.clear();
}

function newestFirst(): Leftover[] {
  return [...leftovers].reverse();
}

function watchForTheEnd(): void {
  if (watching) return;
  watching = true;
  process.on('exit', killAll);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    const onSignal = (): void => {
      killAll();
      // Another listener is the test runner's, which ends in its own way. Without one the signal was meant to end us.
      // Not `once`: a second Ctrl-C, or the one that the runner passes on, must not end us in the middle of this.
      if (process.listenerCount(signal) > 1) return;
      process.off(signal, onSignal);
      process.kill(process.pid, signal);
    };
    process.on(signal, onSignal);
  }
}
