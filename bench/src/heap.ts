import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What one more operation holds of the heap while it waits for its end, which must not come meanwhile. */
export async function heapPerCall(operate: () => unknown, calls: number): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const used = async (): Promise<number> => {
    // What is on its way to the socket is not the call's any more once it was written.
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    collect();
    return process.memoryUsage().heapUsed;
  };
  const begin = (count: number): void => {
    for (let left = count; left > 0; left--) Promise.resolve(operate()).catch(() => undefined);
  };
  // The first ones make what all share: the way to the broker, compiled code.
  begin(Math.ceil(calls / 10));
  const before = await used();
  begin(calls);
  return ((await used()) - before) / calls;
}

const SETTLE_MS = 500;
