import { isDeepStrictEqual } from 'node:util';
import type { Activity } from '@posthorn/core';

/**
 * What something seen must be like: equal in what is named here, of objects at least in the keys that are named, and matching where
 * a pattern stands in place of a text.
 */
export interface Wanted {
  readonly way?: 'sent' | 'handled';
  readonly state?: 'running' | 'done' | 'failed';
  readonly pattern?: Activity['pattern'];
  /** `call`, `cast`, `notify`, `publish`, `serve`, `listen`, …. */
  readonly operation?: string | RegExp;
  /** The method, the event type, or the type of the message. */
  readonly name?: string | RegExp;
  readonly exchange?: string | RegExp;
  readonly topic?: string | RegExp;
  readonly server?: string | RegExp;
  readonly id?: string | RegExp;
  readonly context?: unknown;
  /** The arguments or the payload. */
  readonly content?: unknown;
  readonly headers?: unknown;
  readonly result?: unknown;
  readonly error?: unknown;
}

/** Whether the actual value is like the wanted one. */
export function matches(wanted: unknown, actual: unknown): boolean {
  if (wanted instanceof RegExp) return typeof actual === 'string' && wanted.test(actual);
  if (typeof wanted !== 'object' || wanted === null) return Object.is(wanted, actual);
  if (typeof actual !== 'object' || actual === null) return false;
  if (wanted instanceof Date) return actual instanceof Date && +wanted === +actual;
  if (wanted instanceof Uint8Array) return actual instanceof Uint8Array && Buffer.compare(wanted, actual) === 0;
  if (Array.isArray(wanted))
    return (
      Array.isArray(actual) &&
      wanted.length === actual.length &&
      wanted.every((one, index) => matches(one, actual[index]))
    );
  if (wanted instanceof Map || wanted instanceof Set) return isDeepStrictEqual(wanted, actual);
  const values: Readonly<Record<string, unknown>> = { ...actual, ...named(actual) };
  return Object.entries({ ...wanted, ...named(wanted) }).every(([key, value]) => matches(value, values[key]));
}

/** What an error shows that is not enumerable. */
function named(one: object): object {
  if (!(one instanceof Error)) return {};
  const { name, message, cause } = one;
  return { name, message, ...(cause !== undefined && { cause }) };
}
