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
