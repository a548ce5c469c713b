import { type HeaderValue, MalformedError, type Message } from '@posthorn/core';

/** A message as it came, with what AMQP 1.0 tells besides. */
export interface Received {
  readonly message: Message;
  /** Somebody had it before. */
  readonly redelivered: boolean;
  /** How often its delivery failed before. */
  readonly deliveryCount: number;
  readonly durable: boolean;
  readonly priority: number | undefined;
  readonly to: string | undefined;
  readonly replyTo: string | undefined;
  /** When it was sent, in milliseconds of the epoch. */
  readonly creationTime: number | undefined;
  readonly annotations: Readonly<Record<string, unknown>>;
}

type Writable<T> = { -readonly [Field in keyof T]: T[Field] };

const NO_ANNOTATIONS = {};
const NOTHING = Buffer.alloc(0);

/**
 * Reads a message: all of its sections, in any of the encodings of their values. Data sections are joined; an amqp-value
 * that is text or binary is its bytes; another body is handed over as it is encoded, since nobody here can tell what it
 * means.
 *
 * The type of the message is its subject, or else the annotation of that name.
 *
 * @throws {MalformedError} the bytes are no AMQP 1.0 message
 */
export function decode(bytes: Buffer, typeAnnotation?: string): Received {
  try {
    return new Reader(bytes).message(typeAnnotation);
  } catch (error) {
    if (error instanceof MalformedError) throw error;
    // Buffer's own: a length that points beyond the end.
    throw new MalformedError('the message is cut short', { cause: error });
  }
}

/** What a value becomes: scalars, lists and maps as they are; big integers where a number would be wrong. */
type Value = string | number | bigint | boolean | null | Buffer | Value[] | { [name: string]: Value };

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  message(typeAnnotation: string | undefined): Received {
    const message: Writable<Message> = { body: NOTHING };
    const received: Writable<Received> = {
      message,
      redelivered: false,
      deliveryCount: 0,
      durable: false,
      priority: undefined,
      to: undefined,
      replyTo: undefined,
      creationTime: undefined,
      annotations: NO_ANNOTATIONS,
    };
    let firstAcquirer = true;
    let data: Buffer[] | undefined;
    while (this.#at < this.#bytes.length) {
      const code = this.#descriptor();
      switch (code) {
        case 0x70: {
          const [durable, priority, ttl, first, count] = this.#fields();
          received.durable = durable === true;
          if (typeof priority === 'number') received.priority = priority;
          if (typeof ttl === 'number') message.ttlMs = ttl;
          firstAcquirer = first !== false;
          if (typeof count === 'number') received.deliveryCount = count;
          break;
        }
        case 0x72:
          received.annotations = this.#named();
          break;
        case 0x73:
          this.#properties(message, received);
          break;
        case 0x74:
          message.headers = plain(this.#named());
          break;
        case 0x75: {
          const part = this.#value();
          if (!Buffer.isBuffer(part)) throw new MalformedError('a data section without binary data');
          data ??= [];
          data.push(part);
          break;
        }
        case 0x76:
        case 0x77:
          message.body = this.#opaque();
          break;
        default:
          // Delivery annotations, a footer, and what is not known.
          this.#value();
      }
    }
    if (typeAnnotation !== undefined) {
      const type = received.annotations[typeAnnotation];
      if (typeof type === 'string') message.type = type;
      else delete message.type;
    }
    if (data !== undefined) message.body = data.length === 1 && data[0] !== undefined ? data[0] : Buffer.concat(data);
    received.redelivered = !firstAcquirer || received.deliveryCount > 0;
    return received;
  }

  #properties(message: Writable<Message>, received: Writable<Received>): void {
    const [messageId, , to, subject, replyTo, correlationId, contentType, contentEncoding, , created] = this.#fields();
    if (typeof created === 'number') received.creationTime = created;
    const id = idText(messageId);
    if (id !== undefined) message.messageId = id;
    const correlation = idText(correlationId);
    if (correlation !== undefined) message.correlationId = correlation;
    if (typeof contentType === 'string') message.contentType = contentType;
    if (typeof contentEncoding === 'string') message.contentEncoding = contentEncoding;
    if (typeof to === 'string') received.to = to;
    if (typeof subject === 'string') message.type = subject;
    if (typeof replyTo === 'string') received.replyTo = replyTo;
  }

  #descriptor(): number {
    if (this.#byte() !== 0x00) throw new MalformedError('a section without a descriptor');
    const descriptor = this.#value();
    if (typeof descriptor === 'string') return SYMBOLIC[descriptor] ?? -1;
    return Number(descriptor);
  }

  #fields(): readonly Value[] {
    const value = this.#value();
    if (!Array.isArray(value)) throw new MalformedError('a section that should be a list');
    return value;
  }

  #named(): { [name: string]: Value } {
    const value = this.#value();
    if (value === null) return {};
    if (typeof value !== 'object' || Array.isArray(value) || Buffer.isBuffer(value))
      throw new MalformedError('a section that should be a map');
    return value;
  }

  /** Text and binary as bytes, nothing as nothing, and the rest as it is encoded. */
  #opaque(): Buffer {
    const from = this.#at;
    const code = this.#bytes[from];
    const value = this.#value();
    if (Buffer.isBuffer(value) && code !== 0x98) return value;
    if (typeof value === 'string')
      return this.#bytes.subarray(from + (code === 0xa1 || code === 0xa3 ? 2 : 5), this.#at);
    return value === null ? NOTHING : this.#bytes.subarray(from, this.#at);
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new MalformedError('the message is cut short');
    return byte;
  }

  #take(size: number): Buffer {
    const end = this.#at + size;
    if (end > this.#bytes.length) throw new MalformedError('the message is cut short');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  #uint32(): number {
    const value = this.#bytes.readUInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  #value(depth = 0): Value {
    const code = this.#byte();
    if (code !== 0x00) return this.#of(code, depth);
    this.#nest(depth);
    this.#value(depth + 1);
    return this.#value(depth + 1);
  }

  #nest(depth: number): void {
    if (depth > DEEPEST) throw new MalformedError(`values nested deeper than ${DEEPEST}`);
  }

  #of(code: number, depth: number): Value {
    switch (code) {
      case 0xa1:
      case 0xa3:
        return this.#text(this.#byte());
      case 0xb1:
      case 0xb3:
        return this.#text(this.#uint32());
      case 0xa0:
        return this.#take(this.#byte());
      case 0xb0:
        return this.#take(this.#uint32());
      case 0x40:
        return null;
      case 0x41:
        return true;
      case 0x42:
        return false;
      case 0x56:
        return this.#byte() !== 0;
      case 0x43:
      case 0x44:
        return 0;
      case 0x50:
      case 0x52:
      case 0x53:
        return this.#byte();
      case 0x51:
      case 0x54:
      case 0x55:
        return this.#take(1).readInt8();
      case 0x60:
        return this.#take(2).readUInt16BE();
      case 0x61:
        return this.#take(2).readInt16BE();
      case 0x70:
      case 0x73:
        return this.#uint32();
      case 0x71:
        return this.#take(4).readInt32BE();
      case 0x72:
        return this.#take(4).readFloatBE();
      case 0x80:
        return narrow(this.#take(8).readBigUInt64BE());
      case 0x81:
      case 0x83:
        return narrow(this.#take(8).readBigInt64BE());
      case 0x82:
        return this.#take(8).readDoubleBE();
      case 0x98:
        return this.#take(16);
      case 0x74:
        return this.#take(4);
      case 0x84:
        return this.#take(8);
      case 0x94:
        return this.#take(16);
      case 0x45:
        return [];
      case 0xc0:
        return this.#list(this.#byte(), 1, depth);
      case 0xd0:
        return this.#list(this.#uint32(), 4, depth);
      case 0xc1:
        return this.#map(this.#byte(), 1, depth);
      case 0xd1:
        return this.#map(this.#uint32(), 4, depth);
      case 0xe0:
        return this.#array(this.#byte(), 1, depth);
      case 0xf0:
        return this.#array(this.#uint32(), 4, depth);
      default:
        throw new MalformedError(`no AMQP type has the code 0x${code.toString(16)}`);
    }
  }

  #text(size: number): string {
    const from = this.#at;
    this.#take(size);
    return this.#bytes.toString('utf8', from, this.#at);
  }

  /** Reads the count of a compound value, and makes sure that its items can be there: each has a byte at least. */
  #count(size: number, width: 1 | 4, depth: number): number {
    this.#nest(depth);
    const end = this.#at + size;
    if (end > this.#bytes.length) throw new MalformedError('the message is cut short');
    const count = width === 1 ? this.#byte() : this.#uint32();
    if (count > size) throw new MalformedError('a list that claims more items than it has bytes');
    return count;
  }

  #list(size: number, width: 1 | 4, depth: number): Value[] {
    const end = this.#at + size;
    const count = this.#count(size, width, depth);
    const items: Value[] = [];
    for (let index = 0; index < count; index++) items.push(this.#value(depth + 1));
    this.#checkEnd(end);
    return items;
  }

  /** Who trusts the size must find what those find who read item by item. */
  #checkEnd(end: number): void {
    if (this.#at !== end) throw new MalformedError('a list whose size is not that of its items');
  }

  #map(size: number, width: 1 | 4, depth: number): { [name: string]: Value } {
    const end = this.#at + size;
    const count = this.#count(size, width, depth);
    const map: { [name: string]: Value } = Object.create(null);
    for (let index = 0; index + 1 < count; index += 2) {
      const name = this.#value(depth + 1);
      const value = this.#value(depth + 1);
      if (typeof name === 'string') map[name] = value;
    }
    this.#checkEnd(end);
    return map;
  }

  #array(size: number, width: 1 | 4, depth: number): Value[] {
    const end = this.#at + size;
    const count = this.#count(size, width, depth);
    let code = this.#byte();
    if (code === 0x00) {
      this.#value(depth + 1);
      code = this.#byte();
    }
    const items: Value[] = [];
    for (let index = 0; index < count; index++) items.push(this.#of(code, depth + 1));
    this.#at = end;
    return items;
  }
}

const DEEPEST = 64;

const SYMBOLIC: Readonly<Record<string, number>> = {
  'amqp:header:list': 0x70,
  'amqp:delivery-annotations:map': 0x71,
  'amqp:message-annotations:map': 0x72,
  'amqp:properties:list': 0x73,
  'amqp:application-properties:map': 0x74,
  'amqp:data:binary': 0x75,
  'amqp:amqp-sequence:list': 0x76,
  'amqp:amqp-value:*': 0x77,
  'amqp:footer:map': 0x78,
};

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** The sender's headers, as far as they are texts, numbers or booleans. */
function plain(values: { readonly [name: string]: Value }): Record<string, HeaderValue> {
  const headers: Record<string, HeaderValue> = {};
  for (const name in values) {
    const value = values[name];
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') continue;
    if (name === '__proto__') Object.defineProperty(headers, name, { value, enumerable: true });
    else headers[name] = value;
  }
  return headers;
}

/** Message ids are texts here; the peer's may be a number, a UUID, or bytes. */
function idText(id: Value | undefined): string | undefined {
  if (typeof id === 'string') return id;
  if (typeof id === 'number' || typeof id === 'bigint') return String(id);
  if (!Buffer.isBuffer(id)) return undefined;
  const hex = id.toString('hex');
  return id.length === 16 ? hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') : hex;
}
