import { newId } from '@posthorn/core';
import { type ChannelModel, connect } from 'amqplib';
import type { RabbitAddress } from './rabbit.ts';

/** Calls and answers on the plain library, as its tutorials have them, with the promises of ours: the least that a call costs. */
export class PlainEcho implements AsyncDisposable {
  readonly #model: ChannelModel;
  readonly #call: (args: unknown) => Promise<unknown>;

  private constructor(model: ChannelModel, call: (args: unknown) => Promise<unknown>) {
    this.#model = model;
    this.#call = call;
  }

  static async open({ host: hostname, port, user: username, password, vhost }: RabbitAddress): Promise<PlainEcho> {
    const address = { hostname, port, username, password, vhost: encodeURIComponent(vhost), heartbeat: 10 };
    const model = await connect(address, { noDelay: true });
    const channel = await model.createChannel();
    const queue = newId();
    const waiting = new Map<string, (result: unknown) => void>();
    await channel.assertQueue(queue, { exclusive: true });
    await channel.consume(queue, (request) => {
      if (request === null) return;
      channel.ack(request);
      const { replyTo, correlationId } = request.properties;
      channel.publish('', replyTo, request.content, {
        contentType: 'application/json',
        correlationId,
        mandatory: true,
      });
    });
    const { queue: replyTo } = await channel.assertQueue('', { exclusive: true });
    await channel.consume(
      replyTo,
      (reply) => {
        const id = reply?.properties.correlationId;
        waiting.get(id)?.(JSON.parse(reply?.content.toString() ?? 'null'));
        waiting.delete(id);
      },
      { noAck: true },
    );
    return new PlainEcho(model, (args) => {
      const id = newId();
      const options = { type: 'echo', contentType: 'application/json', expiration: '60000', mandatory: true };
      channel.publish('', queue, Buffer.from(JSON.stringify(args)), { ...options, correlationId: id, replyTo });
      return new Promise((resolve) => waiting.set(id, resolve));
    });
  }

  /** One call; resolves with its answer. */
  call(args: unknown): Promise<unknown> {
    return this.#call(args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#model.close();
  }
}
