import type { Channel, Incoming, Model } from './amqplib.ts';

const METHOD = 1;
const HEADER = 2;
const BODY = 3;
const FRAME_END = 0xce;
/** Type, channel and size. */
const FRAME_HEAD = 7;
const FRAME_OVERHEAD = FRAME_HEAD + 1;
/** Class and method of `basic.deliver`. */
const DELIVER = (60 << 16) | 60;
/** Class, weight, the size of the body, and the flags of the properties. */
const HEADER_LEAST = 14;

const CONTENT_TYPE = 0x8000;
const CONTENT_ENCODING = 0x4000;
const DELIVERY_MODE = 0x1000;
const PRIORITY = 0x0800;
const CORRELATION_ID = 0x0400;
const REPLY_TO = 0x0200;
const EXPIRATION = 0x0100;
const MESSAGE_ID = 0x0080;
const TYPE = 0x0020;
const TEXTS = CONTENT_TYPE | CONTENT_ENCODING | CORRELATION_ID | REPLY_TO | EXPIRATION | MESSAGE_ID | TYPE;
const UNDERSTOOD = TEXTS | DELIVERY_MODE | PRIORITY;

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
  /** Where the next property stands. */
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
    const texts = { exchange: '', routingKey: '', contentType: '', type: '' };
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
    if (bytes.length < from + FRAME_OVERHEAD + 4 || bytes[from] !== METHOD) return from;
    const number = bytes.readUInt16BE(from + 1);
    const consumer = this.#consumers[number];
    if (consumer === undefined || bytes.readUInt32BE(from + FRAME_HEAD) !== DELIVER || !isReady(consumer)) return from;
    const methodEnd = from + FRAME_HEAD + bytes.readUInt32BE(from + 3);
    const header = methodEnd + 1;
    if (bytes.length < header + FRAME_HEAD + HEADER_LEAST) return from;
    const fields = header + FRAME_HEAD;
    const headerEnd = fields + bytes.readUInt32BE(header + 3);
    const bodySize = bytes.readUInt32BE(fields + 8);
    const body = headerEnd + 1;
    const end = bodySize === 0 ? body : body + FRAME_OVERHEAD + bodySize;
    if (bytes.length < end || bytes.readUInt32BE(fields + 4) !== 0 || this.#isTooLong(from, header, body, end))
      return from;
    if (bytes[methodEnd] !== FRAME_END || bytes[headerEnd] !== FRAME_END || bytes[end - 1] !== FRAME_END) return from;
    if (bytes[header] !== HEADER || bytes.readUInt16BE(header + 1) !== number) return from;
    if (bodySize > 0 && !isBody(bytes, body, number, bodySize)) return from;
    const flags = bytes.readUInt16BE(fields + 12);
    if ((flags & ~UNDERSTOOD) !== 0) return from;
    const message = this.#message(bytes, from + FRAME_HEAD + 4, fields + HEADER_LEAST, flags, consumer);
    message.content = bytes.subarray(bodySize === 0 ? end : body + FRAME_HEAD, bodySize === 0 ? end : end - 1);
    try {
      consumer.receive(message);
    } catch (error) {
      consumer.channel.emit('handler-error', error);
    }
    return end;
  }

  /** Frames above what was agreed are an error, which is amqplib's to find. */
  #isTooLong(method: number, header: number, body: number, end: number): boolean {
    const { frameMax } = this.#connection;
    return frameMax > 0 && Math.max(header - method, body - header, end - body) > frameMax;
  }

  #message(
    bytes: Buffer,
    method: number,
    properties: number,
    flags: number,
    consumer: Consumer,
  ): { -readonly [Field in keyof Incoming]: Incoming[Field] } {
    // Behind the tag of the consumer, of which a channel of ours has but one.
    const tag = method + 1 + (bytes[method] ?? 0);
    const deliveryTag = bytes.readUInt32BE(tag) * 2 ** 32 + bytes.readUInt32BE(tag + 4);
    const redelivered = ((bytes[tag + 8] ?? 0) & 1) === 1;
    this.#at = tag + 9;
    consumer.exchange = this.#text(bytes, consumer.exchange);
    consumer.routingKey = this.#text(bytes, consumer.routingKey);
    const { exchange, routingKey } = consumer;
    this.#at = properties;
    if (flags & CONTENT_TYPE) consumer.contentType = this.#text(bytes, consumer.contentType);
    return {
      content: bytes,
      fields: { deliveryTag, redelivered, exchange, routingKey },
      // In the order in which they stand there.
      properties: {
        contentType: flags & CONTENT_TYPE ? consumer.contentType : undefined,
        contentEncoding: flags & CONTENT_ENCODING ? this.#text(bytes) : undefined,
        headers: undefined,
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

function isBody(bytes: Buffer, at: number, channel: number, size: number): boolean {
  return bytes[at] === BODY && bytes.readUInt16BE(at + 1) === channel && bytes.readUInt32BE(at + 3) === size;
}
