import { type Context, MessagingError, TimeoutError } from '@posthorn/core';
import type { RPCClient } from './client.ts';
import type { EndpointTarget } from './dispatcher.ts';

/** oslo.messaging's ping: a method of the default namespace that every server may offer. */
export const PING_METHOD = 'oslo_rpc_server_ping' as const;

export class PingEndpoint {
  oslo_rpc_server_ping(): string {
    return 'pong';
  }
}

/** What nova's services offer to each other: namespace `baseapi`, version 1.1. */
export class BaseEndpoint {
  readonly target: EndpointTarget = { namespace: 'baseapi', version: '1.1' };
  readonly #service: string;

  constructor(service: string) {
    this.#service = service;
  }

  ping(_context: Context, { arg }: { readonly arg?: unknown }): { service: string; arg: unknown } {
    return { service: this.#service, arg: arg ?? null };
  }
}

export interface WaitOptions {
  /** Default 60,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const FIRST_TRY_MS = 250;
const LONGEST_TRY_MS = 5_000;
const PAUSE_MS = 100;

/**
 * Resolves when a server of the client's target answers a ping.
 *
 * @throws {TimeoutError} when none did in time; the last failure is its cause
 */
export async function waitUntilReady<Api>(
  client: RPCClient<Api>,
  { timeoutMs = 60_000, signal }: WaitOptions = {},
): Promise<void> {
  // The ping is in the default namespace, whatever the client's methods are in.
  const plain: object = { namespace: undefined, version: undefined, versionCap: undefined };
  const pinger = client.prepare(plain) as unknown as RPCClient;
  const deadline = performance.now() + timeoutMs;
  let tryMs = FIRST_TRY_MS;
  for (;;) {
    const left = deadline - performance.now();
    try {
      await pinger.call(
        {},
        PING_METHOD,
        {},
        { timeoutMs: Math.max(1, Math.min(tryMs, left)), ...(signal && { signal }) },
      );
      return;
    } catch (error) {
      if (!(error instanceof MessagingError) || !TRY_AGAIN.has(error.code)) throw error;
      if (performance.now() + PAUSE_MS >= deadline)
        throw Object.assign(new TimeoutError('waiting for a server', timeoutMs), { cause: error });
    }
    await pause(signal);
    tryMs = Math.min(tryMs * 2, LONGEST_TRY_MS);
  }
}

const TRY_AGAIN: ReadonlySet<string> = new Set(['UNROUTABLE', 'TIMEOUT', 'UNKNOWN', 'CONNECTION', 'OVERLOADED']);

function pause(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, PAUSE_MS);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
