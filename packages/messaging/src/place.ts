import { type Address, TargetError } from '@posthorn/core';
import type { Place } from './envelope.ts';

/** Where a message is published: an exchange and a key, or a mailbox. */
export type PublishAddress = Extract<Address, { kind: 'topic' | 'mailbox' }>;

export function placeOf(to: PublishAddress): Place {
  return to.kind === 'topic' ? { exchange: to.exchange, key: to.key } : { exchange: '', key: to.name };
}

/** Refuses names that could be taken for a pattern, or for nothing. */
export function checkName(what: string, name: string): void {
  if (typeof name !== 'string' || name === '') throw new TargetError(`${what} must be a non-empty string`);
  if (/[*#]/.test(name)) throw new TargetError(`${what} "${name}" must not contain the wildcards * and #`);
}
