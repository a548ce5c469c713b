/** What is called, the same for both: small arguments, a small result, no work. */
export const METHOD = 'reboot';
export const ARGS = { instance: 'i-0f3a9c51', hard: false, reason: 'nightly maintenance', tries: 3 };
export const CONTENT_TYPE = 'application/json';

export type Args = typeof ARGS;
export type Result = { readonly instance: string; readonly state: string };

export function reboot({ instance }: Args): Result {
  return { instance, state: 'rebooting' };
}

/** What is published and notified: the whole of it, with what tells whose it is, is about 300 bytes. */
export const EVENT = 'compute.instance.update';
export const PUBLISHER = 'compute.host1';
export const PAYLOAD = {
  instance: 'i-0f3a9c51',
  state: 'active',
  previous: 'building',
  flavor: { name: 'm1.small', vcpus: 1, memoryMb: 2_048 },
};

/** Messages taken and not yet settled, at most: the default of `RPCServer`. */
export const PREFETCH = 64;
export const TIMEOUT_MS = 60_000;
/** How long a batch of notifications may wait to become full. */
export const BATCH_MS = 50;
