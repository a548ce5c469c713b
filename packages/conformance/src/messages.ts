import { type Address, bufferOf, type Message, newId, type Source } from '@posthorn/core';

type Of<Kind extends Address['kind']> = Extract<Address, { kind: Kind }>;

/** A name that no other case uses. */
export function name(hint = 'c'): string {
  return `${hint}-${newId().slice(0, 12)}`;
}

export function anycast(exchange: string = name('e'), topic: string = name('t')): Of<'anycast'> {
  return { kind: 'anycast', exchange, topic };
}

export function unicast(server: string, exchange: string = name('e'), topic: string = name('t')): Of<'unicast'> {
  return { kind: 'unicast', exchange, topic, server };
}

export function multicast(exchange: string = name('e'), topic: string = name('t')): Of<'multicast'> {
  return { kind: 'multicast', exchange, topic };
}

export function topic(exchange: string, key: string): Of<'topic'> {
  return { kind: 'topic', exchange, key };
}

export function pattern(exchange: string, text: string): Extract<Source, { kind: 'topic' }> {
  return { kind: 'topic', exchange, pattern: text };
}

export function group(groupName: string = name('g')): Of<'group'> {
  return { kind: 'group', name: groupName };
}

export function mailbox(mailboxName: string = name('m')): Of<'mailbox'> {
  return { kind: 'mailbox', name: mailboxName };
}

export function text(body: string, properties: Partial<Message> = {}): Message {
  return { body: Buffer.from(body), ...properties };
}

export function textOf({ body }: Message): string {
  return bufferOf(body).toString();
}

/** `m0`, `m1`, … */
export function numbered(count: number, hint = 'm'): string[] {
  return Array.from({ length: count }, (_, index) => `${hint}${index}`);
}

/** Names with which drivers get into trouble: separators, escapes, wildcards' neighbours, other scripts, length. */
export const AWKWARD_NAMES: readonly string[] = [
  'a/b',
  'a.b',
  'a b',
  'a%2Fb',
  '100%',
  'grün-鳥-🎺',
  'quote\'"`;--',
  '$SYS?&=+,:@',
  '-',
  'x'.repeat(64),
];
