import type { HeaderValue, Message } from '@posthorn/core';
import type { Annotation } from './profile.ts';

/** What goes onto the wire besides the message itself. */
export interface Envelope {
  readonly durable: boolean;
  readonly priority?: number | undefined;
  readonly to?: string | undefined;
  readonly replyTo?: string | undefined;
  readonly annotations?: Readonly<Record<string, Annotation>> | undefined;
  /** The annotation that the type of the message is. Without it the subject is the type. */
  readonly typeAnnotation?: string | undefined;
  /** When it was sent, in milliseconds of the epoch. */
  readonly creationTime?: number | undefined;
  /** `data`: one data section, which RabbitMQ hands to readers of AMQP 0-9-1 as it is. `string`: an amqp-value. */
  readonly body: 'data' | 'string';
}

const HEADER = 0x70;
const ANNOTATIONS = 0x72;
const PROPERTIES = 0x73;
const APPLICATION_PROPERTIES = 0x74;
const DATA = 0x75;
const VALUE = 0x77;
const LIST8 = 0xc0;
const LIST32 = 0xd0;
const MAP32 = 0xd1;
const ARRAY32 = 0xf0;
const NULL = 0x40;
const TRUE = 0x41;
const FALSE = 0x42;
const UBYTE = 0x50;
const SMALL_ULONG = 0x53;
const SMALL_INT = 0x54;
const UINT = 0x70;
const INT = 0x71;
const LONG = 0x81;
const DOUBLE = 0x82;
const TIMESTAMP = 0x83;
const BINARY8 = 0xa0;
const BINARY32 = 0xb0;
const STRING8 = 0xa1;
const STRING32 = 0xb1;
const SYMBOL8 = 0xa3;
const SYMBOL32 = 0xb3;

/** UTF-8 has at most so many bytes for a unit of UTF-16. */
const WIDEST = 3;
const SHORTEST_LONG = Math.floor(255 / WIDEST);
const LONGEST_TTL_MS = 0xffff_ffff;

/**
 * Writes bare messages: header, message annotations, properties, application properties, and one body section. Sections
 * and trailing properties without content are left out. rhea's own encoder wraps each value in an object first, which
 * takes twice the time.
 */
export class Encoder {
  /** Holds the sections before the body while they are made. */
  #scratch: Buffer = Buffer.allocUnsafe(1_024);
  #at = 0;

  encode(message: Message, envelope: Envelope): Buffer {
    this.#at = 0;
    this.#header(message, envelope);
    this.#annotations(message, envelope);
    this.#properties(message, envelope);
    if (message.headers !== undefined) this.#applicationProperties(message.headers);
    return this.#withBody(message.body, envelope.body);
  }

  #header({ ttlMs }: Message, { durable, priority }: Envelope): void {
    if (!durable && priority === undefined && ttlMs === undefined) return;
    this.#section(HEADER);
    const start = this.#list();
    this.#byte(durable ? TRUE : FALSE);
    if (priority === undefined) this.#byte(NULL);
    else {
      this.#byte(UBYTE);
      this.#byte(priority);
    }
    if (ttlMs === undefined) return this.#endList(start, 2);
    this.#room(5);
    this.#byte(UINT);
    // Rounded down: the sender no longer waits then, and a fast broker would still deliver it.
    this.#at = this.#scratch.writeUInt32BE(
      Math.min(LONGEST_TTL_MS, ttlMs < 1 ? Math.ceil(ttlMs) : Math.floor(ttlMs)),
      this.#at,
    );
    this.#endList(start, 3);
  }

  #annotations({ type }: Message, { annotations, typeAnnotation }: Envelope): void {
    const isTyped = type !== undefined && typeAnnotation !== undefined;
    const all = isTyped ? { [typeAnnotation]: type, ...annotations } : annotations;
    if (all === undefined) return;
    this.#section(ANNOTATIONS);
    this.#map(all, SYMBOL8);
  }

  #properties(message: Message, { to, replyTo, creationTime, typeAnnotation }: Envelope): void {
    const { messageId, correlationId, contentType, contentEncoding } = message;
    const subject = typeAnnotation === undefined ? message.type : undefined;
    const count =
      creationTime !== undefined
        ? 10
        : contentEncoding !== undefined
          ? 8
          : contentType !== undefined
            ? 7
            : correlationId !== undefined
              ? 6
              : replyTo !== undefined
                ? 5
                : subject !== undefined
                  ? 4
                  : to !== undefined
                    ? 3
                    : messageId !== undefined
                      ? 1
                      : 0;
    if (count === 0) return;
    this.#section(PROPERTIES);
    const start = this.#list();
    this.#text(messageId, STRING8);
    if (count > 1) this.#byte(NULL);
    if (count > 2) this.#text(to, STRING8);
    if (count > 3) this.#text(subject, STRING8);
    if (count > 4) this.#text(replyTo, STRING8);
    if (count > 5) this.#text(correlationId, STRING8);
    if (count > 6) this.#text(contentType, SYMBOL8);
    if (count > 7) this.#text(contentEncoding, SYMBOL8);
    if (creationTime !== undefined) {
      this.#byte(NULL);
      this.#byte(TIMESTAMP);
      this.#at = this.#scratch.writeBigInt64BE(BigInt(creationTime), this.#at);
    }
    this.#endList(start, count);
  }

  #applicationProperties(headers: Readonly<Record<string, HeaderValue>>): void {
    for (const _ in headers) {
      this.#section(APPLICATION_PROPERTIES);
      return this.#map(headers, STRING8);
    }
  }

  #withBody(body: Uint8Array, form: Envelope['body']): Buffer {
    const isShort = body.length < 256;
    this.#section(form === 'data' ? DATA : VALUE);
    this.#room(5);
    // A message must have a body. Python's peers, which write none where there is no content, read this as the same.
    if (form === 'string' && body.length === 0) {
      this.#byte(NULL);
      return Buffer.from(this.#scratch.subarray(0, this.#at));
    }
    if (form === 'data') this.#byte(isShort ? BINARY8 : BINARY32);
    else this.#byte(isShort ? STRING8 : STRING32);
    if (isShort) this.#byte(body.length);
    else this.#at = this.#scratch.writeUInt32BE(body.length, this.#at);
    const whole = Buffer.allocUnsafe(this.#at + body.length);
    this.#scratch.copy(whole, 0, 0, this.#at);
    whole.set(body, this.#at);
    return whole;
  }

  #section(code: number): void {
    this.#room(16);
    this.#byte(0x00);
    this.#byte(SMALL_ULONG);
    this.#byte(code);
  }

  /** Begins a list whose size is not known yet; returns where it begins. */
  #list(): number {
    this.#byte(LIST32);
    this.#at += 8;
    return this.#at - 8;
  }

  #endList(start: number, count: number): void {
    const size = this.#at - start - 8;
    if (size > 254) {
      this.#scratch.writeUInt32BE(size + 4, start);
      this.#scratch.writeUInt32BE(count, start + 4);
      return;
    }
    this.#scratch[start - 1] = LIST8;
    this.#scratch[start] = size + 1;
    this.#scratch[start + 1] = count;
    this.#scratch.copyWithin(start + 2, start + 8, this.#at);
    this.#at -= 6;
  }

  #map(values: Readonly<Record<string, Annotation>>, keys: typeof STRING8 | typeof SYMBOL8): void {
    this.#room(16);
    this.#byte(MAP32);
    const start = this.#at;
    this.#at += 8;
    let count = 0;
    for (const name in values) {
      const value = values[name];
      if (value === undefined) continue;
      this.#text(name, keys);
      this.#value(value);
      count += 2;
    }
    this.#scratch.writeUInt32BE(this.#at - start - 4, start);
    this.#scratch.writeUInt32BE(count, start + 4);
  }

  #value(value: Annotation): void {
    this.#room(16);
    switch (typeof value) {
      case 'string':
        return this.#text(value, STRING8);
      case 'boolean':
        return this.#byte(value ? TRUE : FALSE);
      case 'number':
        return this.#number(value);
      default:
        return this.#strings(value);
    }
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      this.#byte(DOUBLE);
      this.#at = this.#scratch.writeDoubleBE(value, this.#at);
    } else if (value >= -128 && value <= 127) {
      this.#byte(SMALL_INT);
      this.#at = this.#scratch.writeInt8(value, this.#at);
    } else if (value >= -0x8000_0000 && value <= 0x7fff_ffff) {
      this.#byte(INT);
      this.#at = this.#scratch.writeInt32BE(value, this.#at);
    } else {
      this.#byte(LONG);
      this.#at = this.#scratch.writeBigInt64BE(BigInt(value), this.#at);
    }
  }

  #strings(values: readonly string[]): void {
    this.#byte(ARRAY32);
    const start = this.#at;
    this.#at += 8;
    this.#byte(STRING32);
    for (const value of values) {
      this.#room(value.length * WIDEST + 16);
      const size = this.#scratch.write(value, this.#at + 4);
      this.#at = this.#scratch.writeUInt32BE(size, this.#at) + size;
    }
    this.#scratch.writeUInt32BE(this.#at - start - 4, start);
    this.#scratch.writeUInt32BE(values.length, start + 4);
  }

  #text(text: string | undefined, short: typeof STRING8 | typeof SYMBOL8): void {
    if (text === undefined) {
      this.#room(16);
      return this.#byte(NULL);
    }
    this.#room(text.length * WIDEST + 16);
    if (text.length <= SHORTEST_LONG) {
      const size = this.#scratch.write(text, this.#at + 2);
      this.#byte(short);
      this.#byte(size);
      this.#at += size;
    } else {
      const size = this.#scratch.write(text, this.#at + 5);
      this.#byte(short === STRING8 ? STRING32 : SYMBOL32);
      this.#at = this.#scratch.writeUInt32BE(size, this.#at) + size;
    }
  }

  /** One byte, for which there is room. */
  #byte(value: number): void {
    this.#scratch[this.#at++] = value;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#scratch.length) return;
    const wider = Buffer.allocUnsafe(Math.max(this.#scratch.length * 2, this.#at + bytes));
    this.#scratch.copy(wider, 0, 0, this.#at);
    this.#scratch = wider;
  }
}
