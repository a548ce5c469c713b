import type { Channel, Incoming, Model } from './amqplib.ts';
import {
  BODY,
  BOOLEAN,
  CLASS_BASIC,
  CONTENT_ENCODING,
  CONTENT_TYPE,
  CORRELATION_ID,
  DELIVERY_MODE,
  END,
  EXPIRATION,
  FRAME_OVERHEAD,
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

/** Type, channel and size. */
const FRAME_HEAD = FRAME_OVERHEAD - 1;
/** The class and the method of `basic.deliver`. */
const DELIVER = (CLASS_BASIC << 16) | 60;
/** Class, weight, the size of the body, and the flags of the properties. */
const HEADER_LEAST = 14;
const TEXTS = CONTENT_TYPE | CONTENT_ENCODING | CORRELATION_ID | REPLY_TO | EXPIRATION | MESSAGE_ID | TYPE;
const UNDERSTOOD = TEXTS | HEADERS | DELIVERY_MODE | PRIORITY;

/** Who gets the deliveries of a channel, and the texts of the last one: most are those of the next, too. */
interface Consumer {
  readonly channel: Channel;
  readonly receive: (message: Incoming) => void;
  /** amqplib's state between two messages. */
  readonly idle: unknown;
  exchange: string;
  routingKey: string;
  contentType: string;
  type: string;
  readonly headers: string[];
}

/**
 * Reads deliveries in place of amqplib, in a third of the time: those that are there as a whole (a method, a header, and at
 * most one body frame, one behind the other: AMQP 0-9-1, section 4.2) and have no properties but those of most messages.
 * Whatever else comes is left to amqplib, frame by frame: it goes on to hold the state of the connection and its channels.
 */
export class DeliveryReader {
  readonly #connection: Model['connection'];
  /** amqplib's way to take frames while the connection is open; it has others for connections that close. */
  readonly #accept: unknown;
  /** By the channel's number. */
  readonly #consumers: (Consumer | undefined)[] = [];
  /** Of the delivery that is being read: where the fields of its header and the frame of its body begin, and where it ends. */
  #header = 0;
  #body = 0;
  #end = 0;
  /** Where the next field stands. */
  #at = 0;

  constructor({ connection }: Pick<Model, 'connection'>) {
    this.#connection = connection;
    this.#accept = connection.accept;
    const { recvFrame } = connection;
    connection.recvFrame = () => {
      if (connection.accept === this.#accept) this.#readAll();
      return recvFrame.call(connection);
    };
  }

  /** From now on, `receive` gets the deliveries of the channel. amqplib's consumer gets those that are left to it. */
  attach(channel: Channel, receive: (message: Incoming) => void): void {
    const texts = { exchange: '', routingKey: '', contentType: '', type: '', headers: [] };
    this.#consumers[channel.ch] = { channel, receive, idle: channel.handleMessage, ...texts };
  }

  /** The channel is closed: its number may be that of another. */
  detach(channel: Channel): void {
    if (this.#consumers[channel.ch]?.channel === channel) this.#consumers[channel.ch] = undefined;
  }

  #readAll(): void {
    const connection = this.#connection;
    const { rest } = connection;
    let from = 0;
    while (connection.accept === this.#accept) {
      const end = this.#read(rest, from);
      if (end === from) break;
      from = end;
    }
    if (from > 0) connection.rest = rest.subarray(from);
  }

  /** Hands out the message that begins there, and returns where it ends; or returns `from`, where it is amqplib's. */
  #read(bytes: Buffer, from: number): number {
    const consumer = this.#consumerOf(bytes, from);
    if (consumer === undefined || !this.#isWhole(bytes, from)) return from;
    const [body, end] = [this.#body, this.#end];
    const message = this.#message(bytes, from + FRAME_HEAD + 4, consumer);
    if (message === undefined) return from;
    message.content = body === end ? bytes.subarray(end, end) : bytes.subarray(body + FRAME_HEAD, end - 1);
    try {
      consumer.receive(message);
    } catch (error) {
      consumer.channel.emit('handler-error', error);
    }
    return end;
  }

  /** Who gets what begins there, if that is a delivery. */
  #consumerOf(bytes: Buffer, from: number): Consumer | undefined {
    if (bytes.length < from + FRAME_OVERHEAD + 4 || bytes[from] !== METHOD) return undefined;
    const consumer = this.#consumers[bytes.readUInt16BE(from + 1)];
    const isDelivery = consumer !== undefined && bytes.readUInt32BE(from + FRAME_HEAD) === DELIVER;
    return isDelivery && isReady(consumer) ? consumer : undefined;
  }

  /** Whether all frames of a delivery are there, well-formed and one behind the other. Notes where they stand. */
  #isWhole(bytes: Buffer, method: number): boolean {
    const header = method + FRAME_OVERHEAD + bytes.readUInt32BE(method + 3);
    const fields = header + FRAME_HEAD;
    if (bytes.length < fields + HEADER_LEAST) return false;
    const bodySize = bytes.readUInt32BE(fields + 8);
    const body = header + FRAME_OVERHEAD + bytes.readUInt32BE(header + 3);
    const end = bodySize === 0 ? body : body + FRAME_OVERHEAD + bodySize;
    if (bytes.length < end || bytes.readUInt32BE(fields + 4) !== 0) return false;
    this.#header = fields;
    this.#body = body;
    this.#end = end;
    const number = bytes.readUInt16BE(method + 1);
    return (
      !this.#isTooLong(Math.max(header - method, body - header, end - body)) &&
      bytes[header - 1] === END &&
      bytes[body - 1] === END &&
      bytes[end - 1] === END &&
      isFrame(bytes, header, HEADER, number, body - header) &&
      (bodySize === 0 || isFrame(bytes, body, BODY, number, end - body))
    );
  }

  /** Frames above what was agreed are an error, which is amqplib's to find. */
  #isTooLong(bytes: number): boolean {
    const { frameMax } = this.#connection;
    return frameMax > 0 && bytes > frameMax;
  }

  /** Without its content; undefined where there is a property, or a kind of header, that is left to amqplib. */
  #message(
    bytes: Buffer,
    method: number,
    consumer: Consumer,
  ): { -readonly [Field in keyof Incoming]: Incoming[Field] } | undefined {
    const flags = bytes.readUInt16BE(this.#header + HEADER_LEAST - 2);
    if ((flags & ~UNDERSTOOD) !== 0) return undefined;
    // Behind the tag of the consumer, of which a channel of ours has but one.
    const tag = method + 1 + (bytes[method] ?? 0);
    const deliveryTag = bytes.readUInt32BE(tag) * 2 ** 32 + bytes.readUInt32BE(tag + 4);
    const redelivered = ((bytes[tag + 8] ?? 0) & 1) === 1;
    this.#at = tag + 9;
    consumer.exchange = this.#text(bytes, consumer.exchange);
    consumer.routingKey = this.#text(bytes, consumer.routingKey);
    const { exchange, routingKey } = consumer;
    this.#at = this.#header + HEADER_LEAST;
    // In the order in which they stand there.
    if (flags & CONTENT_TYPE) consumer.contentType = this.#text(bytes, consumer.contentType);
    const contentEncoding = flags & CONTENT_ENCODING ? this.#text(bytes) : undefined;
    const headers = flags & HEADERS ? this.#headers(bytes, consumer.headers) : undefined;
    if (flags & HEADERS && headers === undefined) return undefined;
    return {
      content: bytes,
      fields: { deliveryTag, redelivered, exchange, routingKey },
      properties: {
        contentType: flags & CONTENT_TYPE ? consumer.contentType : undefined,
        contentEncoding,
        headers,
        deliveryMode: flags & DELIVERY_MODE ? bytes[this.#at++] : undefined,
        priority: flags & PRIORITY ? bytes[this.#at++] : undefined,
        correlationId: flags & CORRELATION_ID ? this.#text(bytes) : undefined,
        replyTo: flags & REPLY_TO ? this.#text(bytes) : undefined,
        expiration: flags & EXPIRATION ? this.#text(bytes) : undefined,
        messageId: flags & MESSAGE_ID ? this.#text(bytes) : undefined,
        type: flags & TYPE ? this.#type(bytes, consumer) : undefined,
      },
    };
  }

  #type(bytes: Buffer, consumer: Consumer): string {
    consumer.type = this.#text(bytes, consumer.type);
    return consumer.type;
  }

  /** A table of headers, behind its length. Undefined where there is a value of another kind. */
  #headers(bytes: Buffer, lastNames: string[]): Record<string, string | number | boolean> | undefined {
    const headers: Record<string, string | number | boolean> = {};
    const end = this.#at + 4 + bytes.readUInt32BE(this.#at);
    this.#at += 4;
    for (let index = 0; this.#at < end; index++) {
      const name = this.#text(bytes, lastNames[index]);
      lastNames[index] = name;
      const value = this.#value(bytes);
      if (value === undefined) return undefined;
      headers[name] = value;
    }
    return headers;
  }

  #value(bytes: Buffer): string | number | boolean | undefined {
    const kind = bytes[this.#at];
    const start = this.#at + 1;
    switch (kind) {
      case LONG_TEXT: {
        const length = bytes.readUInt32BE(start);
        this.#at = start + 4 + length;
        return bytes.toString('utf8', start + 4, this.#at);
      }
      case BOOLEAN:
        this.#at = start + 1;
        return bytes[start] !== 0;
      case INTEGER:
        this.#at = start + 4;
        return bytes.readInt32BE(start);
      case LONG_INTEGER:
        this.#at = start + 8;
        return bytes.readInt32BE(start) * 2 ** 32 + bytes.readUInt32BE(start + 4);
      default:
        return undefined;
    }
  }

  /** A text of at most 255 bytes, behind its length. The last one, where it is the same in ASCII: that takes no memory. */
  #text(bytes: Buffer, last = ''): string {
    const start = this.#at + 1;
    const length = bytes[this.#at] ?? 0;
    this.#at = start + length;
    let same = last.length === length;
    for (let at = 0; same && at < length; at++) {
      const code = last.charCodeAt(at);
      same = code < 0x80 && code === bytes[start + at];
    }
    return same ? last : bytes.toString('utf8', start, start + length);
  }
}

/** Whether its channel is open, and not amid a message of which amqplib has read the beginning. */
function isReady({ channel, idle }: Consumer): boolean {
  return channel.handleMessage === idle && !Object.hasOwn(channel, 'accept');
}

/** Whether a frame of that type, with its overhead as long as that, begins there. */
function isFrame(bytes: Buffer, at: number, type: number, channel: number, length: number): boolean {
  return (
    bytes[at] === type &&
    bytes.readUInt16BE(at + 1) === channel &&
    bytes.readUInt32BE(at + 3) === length - FRAME_OVERHEAD
  );
}
