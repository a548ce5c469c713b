import { stopAll } from './leftovers.ts';

const unhandled: unknown[] = [];
/** By then a process with nothing left to do has ended. */
const LEFT_OPEN_MS = 15_000;

/** Rejections that nobody handles fail the run: Mocha alone would let them pass. */
export function mochaGlobalSetup(): void {
  process.on('unhandledRejection', (reason) => unhandled.push(reason));
}

/** Mocha calls this once, after the last test of the process. */
export async function mochaGlobalTeardown(): Promise<void> {
  await stopAll();
  setTimeout(() => {
    console.error('the tests left open, so that the process does not end:', process.getActiveResourcesInfo());
    process.exit(1);
  }, LEFT_OPEN_MS).unref();
  for (const reason of unhandled) console.error('unhandled rejection:', reason);
  if (unhandled.length > 0) throw new Error(`${unhandled.length} rejections that nobody handled`);
}
