import type { Comparison, Declaration, Transport } from '@posthorn/core';
import type { ExchangeInfo, ManagementApi, QueueInfo } from './management-api.ts';

/** A declaration beside what the broker has. */
export interface Compared {
  readonly comparison: Comparison;
  /** What the queue is like, where the management API told. */
  readonly found?: QueueInfo;
}

/** Compares by the management API, which tells everything, or by asking the broker, which tells no bindings. */
export async function compare(
  transport: Transport,
  declaration: Declaration,
  api: ManagementApi | undefined,
): Promise<Compared> {
  if (api === undefined) return { comparison: await transport.declare(declaration, 'compare') };
  switch (declaration.kind) {
    case 'exchange': {
      const found = await api.exchange(declaration.name);
      return { comparison: compared(found && exchangeDifferences(declaration, found)) };
    }
    case 'queue': {
      const found = await api.queue(declaration.name);
      if (found === undefined) return { comparison: { state: 'absent' } };
      return { comparison: compared(queueDifferences(declaration, found)), found };
    }
    case 'binding': {
      const { exchange, queue, key } = declaration;
      return { comparison: { state: (await api.isBound(exchange, queue, key)) ? 'same' : 'absent' } };
    }
  }
}

function compared(differences: readonly string[] | undefined): Comparison {
  if (differences === undefined) return { state: 'absent' };
  if (differences.length === 0) return { state: 'same' };
  return { state: 'differs', reason: differences.join('; ') };
}

function exchangeDifferences(
  { type, durable, autoDelete }: Extract<Declaration, { kind: 'exchange' }>,
  found: ExchangeInfo,
): readonly string[] {
  return differences(
    { type, durable, 'auto-delete': autoDelete },
    { type: found.type, durable: found.durable, 'auto-delete': found.auto_delete },
  );
}

function queueDifferences(
  { durable, exclusive, autoDelete, arguments: args }: Extract<Declaration, { kind: 'queue' }>,
  found: QueueInfo,
): readonly string[] {
  return differences(
    { durable, exclusive, 'auto-delete': autoDelete, 'x-queue-type': 'classic', ...args },
    {
      durable: found.durable,
      exclusive: found.exclusive,
      'auto-delete': found.auto_delete,
      'x-queue-type': 'classic',
      ...found.arguments,
    },
  );
}

type Attributes = Readonly<Record<string, unknown>>;

function differences(wanted: Attributes, found: Attributes): readonly string[] {
  const names = [...new Set([...Object.keys(wanted), ...Object.keys(found)])];
  const text = (value: unknown): string => (value === undefined ? 'none' : String(value));
  return names
    .filter((name) => text(wanted[name]) !== text(found[name]))
    .map((name) => `${name}: wanted ${text(wanted[name])}, is ${text(found[name])}`);
}
