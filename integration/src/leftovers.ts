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

/** Ends everything that was started: brokers, Python peers. Runs once per test process; may be called again. */
export async function stopAll(): Promise<void> {
  const all = [...leftovers];
  leftovers.clear();
  const results = await Promise.allSettled(all.map((leftover) => leftover.stop()));
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  if (errors.length > 0) throw new AggregateError(errors, 'some of what the tests started did not stop');
}

function killAll(): void {
  for (const leftover of leftovers) leftover.kill();
  leftovers.clear();
}

function watchForTheEnd(): void {
  if (watching) return;
  watching = true;
  process.on('exit', killAll);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      killAll();
      // Without another listener (the test runner's), the signal was meant to end this process.
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
    });
  }
}
