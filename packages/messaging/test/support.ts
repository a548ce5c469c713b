import { type Delivery, type Logger, type MemoryFaults, memory, silent, Transport } from '@posthorn/core';
import type { Envelope, Place } from '../src/envelope.ts';

export const ENVELOPE: Envelope = {
  message_id: '3cf200141b514c14a12777c8c62e2c95',
  publisher_id: 'compute.host1',
  timestamp: '2026-11-20T22:13:31.688Z',
  message_type: 'compute.instance.create',
  message_type_version: '1.0',
  payload: { id: 12, state: 'active', tags: ['ä', '😂'], size: 0.1 },
};

export const PLACE: Place = { exchange: 'compute', key: 'compute.instance.create' };

export function envelope(more: Partial<Envelope> = {}): Envelope {
  return { ...ENVELOPE, ...more };
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

/** A transport of its own memory broker, or of the one of that name. */
export function open(
  options: { readonly name?: string; readonly faults?: MemoryFaults; readonly logger?: Logger } = {},
): Promise<Transport> {
  const { name, faults, logger = silent } = options;
  return Transport.open((context) => memory(context, { ...(name && { name }), ...(faults && { faults }) }), { logger });
}

/** The payloads of all that is published to an exchange from now on, in order. */
export async function tap(transport: Transport, exchange: string): Promise<unknown[]> {
  const payloads: unknown[] = [];
  const receive = (delivery: Delivery): void => {
    payloads.push(JSON.parse(Buffer.from(delivery.message.body).toString()).payload);
    void delivery.settle('accept');
  };
  await transport.subscribe([{ kind: 'topic', exchange, pattern: '#' }], receive);
  return payloads;
}

/** Lets everything that a memory broker has in hand happen. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}
