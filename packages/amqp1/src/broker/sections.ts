import type { HeaderValue } from '@posthorn/core';

/**
 * Messages as they pass through: the bare message stays as it came, byte by byte; the header is written anew for each
 * delivery, and message annotations may be added or taken away.
 */

const HEADER = 0x70;
const DELIVERY_ANNOTATIONS = 0x71;
const MESSAGE_ANNOTATIONS = 0x72;

/** The message without its header and delivery annotations, which are between two peers alone. Expects sound bytes. */
export function withoutHeader(bytes: Buffer): Buffer {
  let at = 0;
  while (at < bytes.length) {
    const { code, end } = sectionAt(bytes, at);
    if (code !== HEADER && code !== DELIVERY_ANNOTATIONS) break;
    at = end;
  }
  return bytes.subarray(at);
}

export interface Header {
  readonly durable: boolean;
  readonly priority: number | undefined;
  readonly ttlMs: number | undefined;
  readonly firstAcquirer: boolean;
  readonly deliveryCount: number;
}

const LONGEST_TTL_MS = 0xffff_ffff;

export function headerSection({ durable, priority, ttlMs, firstAcquirer, deliveryCount }: Header): Buffer {
  const section = Buffer.alloc(21);
  section.set([0x00, 0x53, HEADER, 0xc0, 0, 5, durable ? 0x41 : 0x42]);
  let at = 7;
  if (priority === undefined) section[at++] = 0x40;
  else at = section.writeUInt8(priority, section.writeUInt8(0x50, at));
  if (ttlMs === undefined) section[at++] = 0x40;
  else at = section.writeUInt32BE(Math.min(Math.floor(ttlMs), LONGEST_TTL_MS), section.writeUInt8(0x70, at));
  section[at++] = firstAcquirer ? 0x41 : 0x42;
  at = section.writeUInt32BE(deliveryCount, section.writeUInt8(0x70, at));
  section[4] = at - 5;
  return section.subarray(0, at);
}

/** Adds message annotations to what `withoutHeader` made, in place of those of the same names and of `removed`. */
export function annotate(
  message: Buffer,
  added: Readonly<Record<string, HeaderValue>>,
  removed: readonly string[] = [],
): Buffer {
  const first = message.length === 0 ? undefined : sectionAt(message, 0);
  const has = first?.code === MESSAGE_ANNOTATIONS;
  const pairs = has
    ? pairsOf(message, first.value).filter(({ name }) => !(name in added) && !removed.includes(name))
    : [];
  const rest = message.subarray(has ? first.end : 0);
  const items = [
    ...pairs.map(({ bytes }) => bytes),
    ...Object.entries(added).flatMap(([name, value]) => [text(name, 0xb3), encode(value)]),
  ];
  if (items.length === 0) return rest;
  const head = Buffer.from([0x00, 0x53, MESSAGE_ANNOTATIONS, 0xd1, 0, 0, 0, 0, 0, 0, 0, 0]);
  const size = items.reduce((sum, { length }) => sum + length, 4);
  head.writeUInt32BE(size, 4);
  head.writeUInt32BE(2 * (pairs.length + Object.keys(added).length), 8);
  return Buffer.concat([head, ...items, rest]);
}

function encode(value: HeaderValue): Buffer {
  if (typeof value === 'string') return text(value, 0xb1);
  if (typeof value === 'boolean') return Buffer.from([value ? 0x41 : 0x42]);
  const bytes = Buffer.alloc(9);
  if (Number.isSafeInteger(value)) bytes.writeBigInt64BE(BigInt(value), bytes.writeUInt8(0x81));
  else bytes.writeDoubleBE(value, bytes.writeUInt8(0x82));
  return bytes;
}

function text(value: string, code: 0xb1 | 0xb3): Buffer {
  const bytes = Buffer.from(value);
  const head = Buffer.from([code, 0, 0, 0, 0]);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

interface Pair {
  readonly name: string;
  /** Name and value as they came. */
  readonly bytes: Buffer;
}

function pairsOf(bytes: Buffer, at: number): readonly Pair[] {
  const code = bytes[at];
  if (code !== 0xc1 && code !== 0xd1) return [];
  const count = code === 0xc1 ? bytes.readUInt8(at + 2) : bytes.readUInt32BE(at + 5);
  const pairs: Pair[] = [];
  let from = at + (code === 0xc1 ? 3 : 9);
  for (let index = 0; index + 1 < count; index += 2) {
    const value = endOf(bytes, from);
    const end = endOf(bytes, value);
    const start = from + (bytes[from] === 0xa3 ? 2 : 5);
    pairs.push({ name: bytes.toString('utf8', start, value), bytes: bytes.subarray(from, end) });
    from = end;
  }
  return pairs;
}

interface Section {
  readonly code: number;
  /** Where its value begins. */
  readonly value: number;
  readonly end: number;
}

const SYMBOLIC: Readonly<Record<string, number>> = {
  'amqp:header:list': HEADER,
  'amqp:delivery-annotations:map': DELIVERY_ANNOTATIONS,
  'amqp:message-annotations:map': MESSAGE_ANNOTATIONS,
};

function sectionAt(bytes: Buffer, at: number): Section {
  const value = endOf(bytes, at + 1);
  return { code: descriptorAt(bytes, at + 1, value), value, end: endOf(bytes, value) };
}

function descriptorAt(bytes: Buffer, at: number, end: number): number {
  switch (bytes[at]) {
    case 0x53:
      return bytes.readUInt8(at + 1);
    case 0x80:
      return Number(bytes.readBigUInt64BE(at + 1));
    case 0xa3:
      return SYMBOLIC[bytes.toString('latin1', at + 2, end)] ?? 0;
    case 0xb3:
      return SYMBOLIC[bytes.toString('latin1', at + 5, end)] ?? 0;
    default:
      return 0;
  }
}

/** Widths of values by the upper half of their type's code; from 0xa on the width of their size. */
const WIDTHS = [0, 1, 2, 4, 8, 16, 1, 4, 1, 4, 1, 4] as const;

/** Where the value that begins at `at` ends. */
function endOf(bytes: Buffer, at: number): number {
  const code = bytes.readUInt8(at);
  if (code === 0x00) return endOf(bytes, endOf(bytes, at + 1));
  const kind = (code >> 4) - 4;
  const width = WIDTHS[kind] ?? 0;
  if (kind < 6) return at + 1 + width;
  return at + 1 + width + (width === 1 ? bytes.readUInt8(at + 1) : bytes.readUInt32BE(at + 1));
}
