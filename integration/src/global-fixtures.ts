import { stopAll } from './leftovers.ts';

const unhandled: unknown[] = [];

/** Rejections that nobody handles fail the run: Mocha alone would let them pass. */
export function mochaGlobalSetup(): void {
  process.on('unhandledRejection', (reason) => unhandled.push(reason));
}

/** Mocha calls this once, after the last test of the process. */
export async function mochaGlobalTeardown(): Promise<void> {
  await stopAll();
  for (const reason of unhandled) console.error('unhandled rejection:', reason);
  if (unhandled.length > 0) throw new Error(`${unhandled.length} rejections that nobody handled`);
}
