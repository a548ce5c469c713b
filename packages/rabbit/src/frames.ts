import type { HeaderValue } from '@posthorn/core';
import type { Publish } from './amqplib.ts';
import {
  BODY,
  BOOLEAN,
  CLASS_BASIC,
  CONTENT_ENCODING,
  CONTENT_TYPE,
  CORRELATION_ID,
  DELIVERY_MODE,
  DOUBLE,
  END,
  EXPIRATION,
  HEADER,
  HEADERS,
  INTEGER,
  LONG_INTEGER,
  LONG_TEXT,
  MESSAGE_ID,
  METHOD,
  PRIORITY,
  REPLY_TO,
  TYPE,
} from './frame-format.ts';

/**
 * The frames of the methods that go with each message, written straight into the batch that goes to the socket. amqplib
 * makes a Buffer of each part of each frame, which costs more than all the rest of a message.
 *
 * AMQP 0-9-1, sections 4.2.3 (frames), 4.2.5.5 (tables), 4.2.6.1 (content header), 1.8.3 (class basic).
 */

const PUBLISH = 40;
const ACK = 80;
const NACK = 120;

/** UTF-8 needs at most this many bytes for a UTF-16 code unit. */
const MOST_BYTES = 3;
const SHORTEST_INT = -(2 ** 31);
const LONGEST_INT = 2 ** 31 - 1;

/** An ack or nack frame. */
export const SETTLEMENT_BYTES = 21;

/** At least as many bytes as `writePublish` will need for everything but the body. */
export function publishBytes(exchange: string, key: string, properties: Publish): number {
  const { contentType, contentEncoding, correlationId, replyTo, expiration, messageId, type, headers } = properties;
  let units = exchange.length + key.length;
  if (contentType !== undefined) units += contentType.length;
  if (contentEncoding !== undefined) units += contentEncoding.length;
  if (correlationId !== undefined) units += correlationId.length;
  if (replyTo !== undefined) units += replyTo.length;
  if (expiration !== undefined) units += expiration.length;
  if (messageId !== undefined) units += messageId.length;
  if (type !== undefined) units += type.length;
  let fixed = 64;
  for (const name in headers) {
    const value = headers[name];
    units += name.length;
    fixed += 16;
    if (typeof value === 'string') units += value.length;
  }
  return fixed + units * MOST_BYTES;
}

/**
 * Writes the method and header frames of `basic.publish` for a body of that many bytes. Returns where they end.
 *
 * @throws {RangeError} a name or property above 255 bytes
 */
export function writePublish(
  into: Buffer,
  start: number,
  channel: number,
  exchange: string,
  key: string,
  properties: Publish,
  bodyBytes: number,
): number {
  let at = begin(into, start, METHOD, channel);
  at = into.writeUInt16BE(CLASS_BASIC, at);
  at = into.writeUInt16BE(PUBLISH, at);
  at = into.writeUInt16BE(0, at);
  at = writeShort(into, at, exchange, 'exchange');
  at = writeShort(into, at, key, 'routing key');
  into[at++] = properties.mandatory ? 1 : 0;
  at = end(into, start, at);
  return writeHeader(into, at, channel, properties, bodyBytes);
}

/** Writes the head of a body frame; the body and `END` follow. */
export function writeBodyHead(into: Buffer, start: number, channel: number, bytes: number): number {
  const at = begin(into, start, BODY, channel);
  into.writeUInt32BE(bytes, start + 3);
  return at;
}

export function writeEnd(into: Buffer, at: number): number {
  into[at] = END;
  return at + 1;
}

/** `basic.ack`: that delivery, or with `multiple` all that are unsettled up to it. */
export function writeAck(into: Buffer, start: number, channel: number, tag: number, multiple: boolean): number {
  return writeSettlement(into, start, channel, ACK, tag, multiple ? 1 : 0);
}

/** `basic.nack` of one delivery. */
export function writeNack(into: Buffer, start: number, channel: number, tag: number, requeue: boolean): number {
  return writeSettlement(into, start, channel, NACK, tag, requeue ? 2 : 0);
}

function writeSettlement(
  into: Buffer,
  start: number,
  channel: number,
  method: number,
  tag: number,
  flags: number,
): number {
  let at = begin(into, start, METHOD, channel);
  at = into.writeUInt16BE(CLASS_BASIC, at);
  at = into.writeUInt16BE(method, at);
  at = writeLong(into, at, tag);
  into[at++] = flags;
  return end(into, start, at);
}

function writeHeader(into: Buffer, start: number, channel: number, properties: Publish, bodyBytes: number): number {
  const { contentType, contentEncoding, headers, deliveryMode, priority } = properties;
  const { correlationId, replyTo, expiration, messageId, type } = properties;
  let at = begin(into, start, HEADER, channel);
  at = into.writeUInt16BE(CLASS_BASIC, at);
  at = into.writeUInt16BE(0, at);
  at = writeLong(into, at, bodyBytes);
  const flagsAt = at;
  at += 2;
  let flags = 0;
  if (contentType !== undefined) {
    flags |= CONTENT_TYPE;
    at = writeShort(into, at, contentType, 'contentType');
  }
  if (contentEncoding !== undefined) {
    flags |= CONTENT_ENCODING;
    at = writeShort(into, at, contentEncoding, 'contentEncoding');
  }
  if (headers !== undefined) {
    flags |= HEADERS;
    at = writeTable(into, at, headers);
  }
  if (deliveryMode !== undefined) {
    flags |= DELIVERY_MODE;
    into[at++] = deliveryMode;
  }
  if (priority !== undefined) {
    flags |= PRIORITY;
    into[at++] = priority;
  }
  if (correlationId !== undefined) {
    flags |= CORRELATION_ID;
    at = writeShort(into, at, correlationId, 'correlationId');
  }
  if (replyTo !== undefined) {
    flags |= REPLY_TO;
    at = writeShort(into, at, replyTo, 'replyTo');
  }
  if (expiration !== undefined) {
    flags |= EXPIRATION;
    at = writeShort(into, at, expiration, 'expiration');
  }
  if (messageId !== undefined) {
    flags |= MESSAGE_ID;
    at = writeShort(into, at, messageId, 'messageId');
  }
  if (type !== undefined) {
    flags |= TYPE;
    at = writeShort(into, at, type, 'type');
  }
  into.writeUInt16BE(flags, flagsAt);
  return end(into, start, at);
}

function writeTable(into: Buffer, start: number, table: Readonly<Record<string, HeaderValue>>): number {
  let at = start + 4;
  for (const name in table) {
    const value = table[name];
    if (value === undefined) continue;
    at = writeShort(into, at, name, 'header name');
    at = writeValue(into, at, value);
  }
  into.writeUInt32BE(at - start - 4, start);
  return at;
}

function writeValue(into: Buffer, start: number, value: HeaderValue): number {
  let at = start;
  if (typeof value === 'string') {
    into[at] = LONG_TEXT;
    at = writeText(into, start + 5, value);
    into.writeUInt32BE(at - start - 5, start + 1);
    return at;
  }
  if (typeof value === 'boolean') {
    into[at++] = BOOLEAN;
    into[at++] = value ? 1 : 0;
    return at;
  }
  if (Number.isSafeInteger(value)) {
    if (value >= SHORTEST_INT && value <= LONGEST_INT) {
      into[at++] = INTEGER;
      return into.writeInt32BE(value, at);
    }
    into[at++] = LONG_INTEGER;
    return into.writeBigInt64BE(BigInt(value), at);
  }
  into[at++] = DOUBLE;
  return into.writeDoubleBE(value, at);
}

function writeShort(into: Buffer, start: number, text: string, what: string): number {
  const at = writeText(into, start + 1, text);
  const bytes = at - start - 1;
  if (bytes > 255) throw new RangeError(`${what}: ${bytes} bytes, where AMQP 0-9-1 has room for 255`);
  into[start] = bytes;
  return at;
}

/** Short texts, most of them ASCII, are copied faster here than by a call into C++. */
function writeText(into: Buffer, start: number, text: string): number {
  const { length } = text;
  if (length > 64) return start + into.write(text, start);
  let at = start;
  for (let index = 0; index < length; index++) {
    const unit = text.charCodeAt(index);
    if (unit > 0x7f) return start + into.write(text, start);
    into[at++] = unit;
  }
  return at;
}

function writeLong(into: Buffer, at: number, value: number): number {
  into.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  return into.writeUInt32BE(value >>> 0, at + 4);
}

function begin(into: Buffer, at: number, type: number, channel: number): number {
  into[at] = type;
  into[at + 1] = channel >>> 8;
  into[at + 2] = channel & 0xff;
  return at + 7;
}

function end(into: Buffer, start: number, at: number): number {
  into.writeUInt32BE(at - start - 7, start + 3);
  into[at] = END;
  return at + 1;
}
