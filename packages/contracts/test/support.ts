import { type Logger, type MemoryFaults, memory, silent, Transport } from '@posthorn/core';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { z } from 'zod';
import { defineContract } from '../src/index.ts';

export const Compute = defineContract({
  topic: 'compute',
  version: '1.2',
  methods: {
    create: {
      description: 'Boots an instance.',
      params: z.object({ name: z.string(), flavor: z.object({ ram: z.number(), disk: z.number().default(20) }) }),
      result: z.object({ id: z.string(), disk: z.number(), state: z.string().default('building') }),
      errors: { QuotaExceeded: z.object({ limit: z.number() }) },
    },
    fetch: {
      params: z.object({ image: z.string() }),
      stream: z.object({ percent: z.number().max(100) }),
      result: z.object({ digest: z.string() }),
    },
    count: { result: z.number() },
    note: { params: z.object({ text: z.string() }) },
  },
  events: {
    'instance.create.end': { payload: z.object({ id: z.string(), tags: z.array(z.string()).default([]) }) },
    'instance.create.error': { priority: 'error', payload: z.object({ id: z.string(), reason: z.string() }) },
  },
});

/** A transport of its own memory broker. */
export function open(logger: Logger = silent, faults?: MemoryFaults): Promise<Transport> {
  return Transport.open((context) => memory(context, faults === undefined ? {} : { faults }), { logger });
}

/** A schema as any library's: a check that gives the output, or the issues. */
export function schema<Input, Output = Input>(
  validate: StandardSchemaV1.Props<Input, Output>['validate'],
): StandardSchemaV1<Input, Output> {
  return { '~standard': { version: 1, vendor: 'by hand', validate } };
}

/** What came out of it as JSON from another process would: without its type. */
export function untyped<T>(value: unknown): T {
  return JSON.parse(JSON.stringify(value));
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
