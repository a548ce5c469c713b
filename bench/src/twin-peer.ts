/**
 * The process of the twin: a client or server in plain amqplib, as an expert would write it by hand for the same
 * promises. It shares nothing with Posthorn but the broker.
 */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { parseTransportUrl } from '@posthorn/core';
import { type ChannelModel, connect, type Message } from 'amqplib';
import { obey, type Peer, type Setup } from './peer.ts';
import { ARGS, type Args, CONTENT_TYPE, METHOD, PREFETCH, type Result, reboot, TIMEOUT_MS } from './work.ts';

obey(async (setup) => {
  const model = await open(setup.url);
  const broker = String(model.connection.serverProperties.version);
  const peer = setup.role === 'client' ? await client(model, setup) : await server(model, setup);
  return { broker, ...peer };
});

async function open(url: string): Promise<ChannelModel> {
  const { hosts, vhost = '/' } = parseTransportUrl(url);
  const [first] = hosts;
  const socket = { noDelay: true, timeout: 10_000, keepAlive: true, writableHighWaterMark: 262_144 };
  const address = {
    hostname: first?.host ?? 'localhost',
    port: first?.port ?? 5_672,
    vhost: encodeURIComponent(vhost),
  };
  const { username = 'guest', password = 'guest' } = first ?? {};
  const model = await connect({ ...address, username, password, frameMax: 131_072, heartbeat: 30 }, socket);
  model.on('error', (error) => {
    throw error;
  });
  return model;
}

/** One system call for all that one turn writes: amqplib writes in an immediate, so the cork is out after that one. */
function corker(model: ChannelModel): () => void {
  const { stream } = model.connection as unknown as { readonly stream: Socket };
  let corked = false;
  const uncork = (): void => {
    corked = false;
    stream.uncork();
  };
  return () => {
    if (corked) return;
    corked = true;
    stream.cork();
    setImmediate(() => setImmediate(uncork));
  };
}

async function server(model: ChannelModel, { topic }: Setup): Promise<Peer> {
  const methods: Readonly<Record<string, (args: Args) => Result>> = { [METHOD]: reboot };
  const channel = await model.createChannel();
  const cork = corker(model);
  await channel.assertQueue(topic, { durable: true });
  await channel.prefetch(PREFETCH);
  await channel.consume(topic, (request) => {
    if (request === null) return;
    cork();
    channel.ack(request);
    const { type, replyTo, correlationId } = request.properties;
    const result = methods[type]?.(JSON.parse(request.content.toString()));
    channel.publish('', replyTo, Buffer.from(JSON.stringify(result)), {
      contentType: CONTENT_TYPE,
      correlationId,
      deliveryMode: 1,
      mandatory: true,
    });
  });
  return {
    close: async () => {
      await channel.deleteQueue(topic);
      await model.close();
    },
  };
}

async function client(model: ChannelModel, { topic }: Setup): Promise<Peer> {
  interface Waiter {
    resolve(result: unknown): void;
    reject(error: Error): void;
    readonly timer: NodeJS.Timeout;
  }
  const waiters = new Map<string, Waiter>();
  const settle = (id: string): Waiter | undefined => {
    const waiter = waiters.get(id);
    waiters.delete(id);
    clearTimeout(waiter?.timer);
    return waiter;
  };
  const channel = await model.createChannel();
  const cork = corker(model);
  const { queue: replyTo } = await channel.assertQueue('', { exclusive: true });
  const receive = (reply: Message | null): void => {
    if (reply === null) return;
    settle(reply.properties.correlationId)?.resolve(JSON.parse(reply.content.toString()));
  };
  // The queue dies with the connection: there is nothing that an acknowledgement could save.
  await channel.consume(replyTo, receive, { noAck: true });
  channel.on('return', ({ properties }: Message) => {
    settle(properties.correlationId)?.reject(new Error('unroutable'));
  });
  const call = (): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const id = randomUUID();
      const timer = setTimeout(() => settle(id)?.reject(new Error('timeout')), TIMEOUT_MS);
      waiters.set(id, { resolve, reject, timer });
      cork();
      channel.publish('', topic, Buffer.from(JSON.stringify(ARGS)), {
        type: METHOD,
        contentType: CONTENT_TYPE,
        correlationId: id,
        replyTo,
        expiration: String(TIMEOUT_MS),
        deliveryMode: 1,
        mandatory: true,
      });
    });
  return { call, close: () => model.close() };
}
