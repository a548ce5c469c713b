/** What is called, the same for both: small arguments, a small result, no work. */
export const METHOD = 'reboot';
export const ARGS = { instance: 'i-0f3a9c51', hard: false, reason: 'nightly maintenance', tries: 3 };
export const CONTENT_TYPE = 'application/json';

export type Args = typeof ARGS;
export type Result = { readonly instance: string; readonly state: string };

export function reboot({ instance }: Args): Result {
  return { instance, state: 'rebooting' };
}

/** Requests taken and not yet answered for, at most: the default of `RPCServer`. */
export const PREFETCH = 64;
export const TIMEOUT_MS = 60_000;
