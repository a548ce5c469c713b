import { setTimeout as pause } from 'node:timers/promises';

export async function nap(): Promise<void> {
  await pause(20);
}

export function fail(): never {
  throw new RangeError('as the test wants it');
}
