import { newId } from '@posthorn/core';
import { type Channel, connect, type Options } from 'amqplib';
import { innerOf } from './oslo-inner.ts';
import { waitFor } from './wait-for.ts';

type ChannelModel = Awaited<ReturnType<typeof connect>>;

export type Inner = Readonly<Record<string, unknown>>;

/** A peer that writes oslo.messaging's messages by hand, correct or not. */
export class RawOslo implements AsyncDisposable {
  /** The queue to which replies can be sent, as `_reply_q` names it. */
  readonly replyQueue: string;
  /** The inner messages that came to the reply queue, oldest first. */
  readonly replies: Inner[] = [];
  readonly #connection: ChannelModel;
  readonly #channel: Channel;

  private constructor(connection: ChannelModel, channel: Channel, replyQueue: string) {
    this.#connection = connection;
    this.#channel = channel;
    this.replyQueue = replyQueue;
  }

  static async open(url: string): Promise<RawOslo> {
    const connection = await connect(url.replace(/^rabbit:/, 'amqp:'), { noDelay: true });
    const channel = await connection.createChannel();
    const { queue } = await channel.assertQueue(`reply_${newId()}`, { exclusive: true });
    const peer = new RawOslo(connection, channel, queue);
    await channel.consume(queue, (message) => message && peer.replies.push(innerOf(message.content)), { noAck: true });
    return peer;
  }

  /** Publishes an inner message in an envelope. */
  send(exchange: string, key: string, inner: Inner, options: Options.Publish = {}): void {
    this.sendBody(exchange, key, envelope(inner), options);
  }

  sendBody(exchange: string, key: string, body: Buffer, options: Options.Publish = {}): void {
    this.#channel.publish(exchange, key, body, {
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      headers: {},
      ...options,
    });
  }

  /** Resolves with the reply to the request with that `_msg_id`. */
  reply(id: string): Promise<Inner> {
    return waitFor(`the reply to ${id}`, () => this.replies.find(({ _msg_id }) => _msg_id === id));
  }

  /** Takes the requests to a topic, with the default flags of oslo.messaging. */
  async serve(exchange: string, topic: string, answer: (request: Inner) => void): Promise<void> {
    await this.#channel.assertExchange(exchange, 'topic', { durable: false });
    await this.#channel.assertQueue(topic, { durable: false });
    await this.#channel.bindQueue(topic, exchange, topic);
    await this.#channel.consume(topic, (message) => message && answer(innerOf(message.content)), { noAck: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.close();
  }
}

export function envelope(inner: Inner, version = '2.0'): Buffer {
  return Buffer.from(JSON.stringify({ 'oslo.version': version, 'oslo.message': JSON.stringify(inner) }));
}
