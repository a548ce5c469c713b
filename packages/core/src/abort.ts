import { setMaxListeners } from 'node:events';

/**
 * Calls back once when the signal aborts. Returns how to stop listening. One signal may bear any number of calls, so Node
 * is told not to warn of a leak at the eleventh.
 */
export function onAbort(signal: AbortSignal | undefined, callback: () => void): () => void {
  if (signal === undefined) return nothing;
  setMaxListeners(0, signal);
  signal.addEventListener('abort', callback, { once: true });
  return () => signal.removeEventListener('abort', callback);
}

function nothing(): void {}

/** Waits for the work, at most so long and until the signal is aborted. What becomes of it later is nobody's concern. */
export async function within(
  work: Promise<unknown>,
  timeoutMs: number | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (signal?.aborted || timeoutMs === 0) return void work.catch(nothing);
  let timer: NodeJS.Timeout | undefined;
  let unlisten = nothing;
  const enough = new Promise<void>((resolve) => {
    if (timeoutMs !== undefined) timer = setTimeout(resolve, timeoutMs);
    unlisten = onAbort(signal, resolve);
  });
  try {
    await Promise.race([work, enough]);
  } finally {
    clearTimeout(timer);
    unlisten();
  }
}

/** The promise, or the signal's reason. What becomes of the work then is nobody's concern. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
