import type { Message } from '@posthorn/core';
import { newId } from '@posthorn/core';
import type { Request } from '@posthorn/rpc';

/** The inner message of a body that must be envelope 2.0. */
export function innerOf({ body }: Message): Record<string, unknown> {
  const { 'oslo.version': version, 'oslo.message': inner, ...more } = JSON.parse(Buffer.from(body).toString());
  if (version !== '2.0' || typeof inner !== 'string' || Object.keys(more).length > 0)
    throw new Error(`not envelope 2.0: ${Buffer.from(body).toString()}`);
  return JSON.parse(inner);
}

export function enveloped(inner: unknown, version: unknown = '2.0'): Message {
  return { body: Buffer.from(JSON.stringify({ 'oslo.version': version, 'oslo.message': JSON.stringify(inner) })) };
}

export function requestOf(more: Partial<Request> = {}): Request {
  return { id: newId(), method: 'echo', args: {}, context: {}, ...more };
}
