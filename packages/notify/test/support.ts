import { type MemoryFaults, memory, Transport } from '@posthorn/core';
import type { Notification, OutletContext } from '../src/index.ts';

export const NOTIFICATION: Notification = {
  id: '3cf20014-1b51-4c14-a127-77c8c62e2c95',
  publisherId: 'compute.host1',
  eventType: 'compute.instance.create.end',
  priority: 'info',
  payload: { id: 12, state: 'active', vcpus: 2 },
  timestamp: new Date('2026-11-20T22:13:31.688Z'),
  context: { user_id: 'alice' },
};

export function notification(more: Partial<Notification> = {}): Notification {
  return { ...NOTIFICATION, ...more };
}

/** A transport of its own broker, or of the one of that name. */
export function open(name?: string, faults?: MemoryFaults): Promise<Transport> {
  return Transport.open((context) => memory(context, { ...(name && { name }), ...(faults && { faults }) }));
}

export function surroundings(transport: Transport): OutletContext {
  return {
    transport,
    topics: ['notifications'],
    exchange: undefined,
    retention: undefined,
    timeoutMs: undefined,
    signal: undefined,
  };
}

/** The error that the function throws. */
export function thrownBy(act: () => unknown): Error {
  try {
    act();
  } catch (error) {
    if (error instanceof Error) return error;
    throw new Error('threw something that is no Error', { cause: error });
  }
  throw new Error('threw nothing');
}

/** The error that the promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  const [result] = await Promise.allSettled([promise]);
  return thrownBy(() => {
    if (result.status === 'rejected') throw result.reason;
  });
}
