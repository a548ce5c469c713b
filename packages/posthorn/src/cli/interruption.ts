import { stderr } from 'node:process';

/** For work that cleans up after itself, and is to end early. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** The exit code that says how it ended. */
  code(): number;
  /** The work is over: signals end the process as usual. */
  settled(): void;
}

/** Aborts at SIGINT or SIGTERM, and after so long. A second signal ends the process as usual. */
export function interruption(limitMs: number): Interruption {
  const controller = new AbortController();
  let isLate = false;
  const abort = (): void => controller.abort(new Error('interrupted'));
  const timer = setTimeout(() => {
    isLate = true;
    stderr.write(`no end within ${Math.ceil(limitMs / 1_000)} s: is the broker blocked?\n`);
    abort();
  }, limitMs);
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, abort);
  return {
    signal: controller.signal,
    code: () => (isLate ? 1 : 130),
    settled: () => {
      clearTimeout(timer);
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, abort);
    },
  };
}
