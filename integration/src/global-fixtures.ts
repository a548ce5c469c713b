import { stopAll } from './leftovers.ts';

/** Mocha calls this once, after the last test of the process. */
export async function mochaGlobalTeardown(): Promise<void> {
  await stopAll();
}
