/**
 * The process of the twin on RabbitMQ: a peer in plain amqplib, as an expert would write it by hand for the same
 * promises. It shares nothing with Posthorn but the broker.
 */
import { randomUUID } from 'node:crypto';
import { type Channel, type ChannelModel, type ConsumeMessage, connect, type Message, type Options } from 'amqplib';
import { obey, type Peer, type Role, type Setup, Tally } from '../peer.ts';
import {
  ARGS,
  type Args,
  BATCH_MS,
  CONTENT_TYPE,
  EVENT,
  METHOD,
  PAYLOAD,
  PREFETCH,
  PUBLISHER,
  reboot,
  TIMEOUT_MS,
} from '../work.ts';
import { corker } from './corker.ts';

type Part = Omit<Peer, 'close' | 'broker'> & { readonly queues?: readonly string[] };
type Methods = Readonly<Record<string, (args: Args) => unknown>>;

/** A connection, and what is to be called before each write. */
interface Line {
  readonly model: ChannelModel;
  readonly cork: () => void;
  readonly untuned: boolean;
}

obey(async (setup) => {
  const line = await open(setup);
  const { model } = line;
  const { queues = [], ...part } = await roles[setup.role](line, setup);
  return {
    ...part,
    broker: `RabbitMQ ${model.connection.serverProperties.version}`,
    close: async () => {
      const channel = await model.createChannel();
      for (const queue of queues) await channel.deleteQueue(queue);
      await model.close();
    },
  };
});

const roles: Readonly<Record<Role, (line: Line, setup: Setup) => Promise<Part>>> = {
  async caller({ model, cork }, { topic }) {
    const waiters = new Waiters();
    const channel = await model.createChannel();
    const { queue: replyTo } = await channel.assertQueue('', { exclusive: true });
    const receive = (reply: Message | null): void => {
      if (reply !== null) waiters.take(reply.properties.correlationId)?.resolve(JSON.parse(reply.content.toString()));
    };
    // The queue dies with the connection: there is nothing that an acknowledgement could save.
    await channel.consume(replyTo, receive, { noAck: true });
    channel.on('return', ({ properties }: Message) => {
      waiters.take(properties.correlationId)?.reject(new Error('unroutable'));
    });
    return {
      operate: () =>
        waiters.wait(TIMEOUT_MS, (id) => {
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
        }),
    };
  },

  async server(line, { topic, mute, prefetch = PREFETCH }) {
    const { model, cork } = line;
    const methods: Methods = { [METHOD]: reboot };
    const channel = await model.createChannel();
    const ack = acker(line, channel);
    await channel.assertQueue(topic, { durable: true });
    if (mute) return { queues: [topic] };
    await channel.prefetch(prefetch);
    await channel.consume(topic, (request) => {
      if (request === null) return;
      cork();
      ack(request);
      const { type, replyTo, correlationId } = request.properties;
      const result = methods[type]?.(JSON.parse(request.content.toString()));
      channel.publish('', replyTo, Buffer.from(JSON.stringify(result)), {
        contentType: CONTENT_TYPE,
        correlationId,
        deliveryMode: 1,
        mandatory: true,
      });
    });
    return { queues: [topic] };
  },

  async loopback(line, setup) {
    return { ...(await roles.server(line, setup)), ...(await roles.caller(line, setup)) };
  },

  async caster(line, { topic }) {
    const publish = await publisher(line);
    return {
      operate: () =>
        publish('', topic, ARGS, { type: METHOD, messageId: randomUUID(), contentType: CONTENT_TYPE, deliveryMode: 2 }),
    };
  },

  /** On demand it reads what Posthorn's casters send. */
  async sink(line, { topic, onDemand }) {
    const { model, cork } = line;
    const tally = new Tally();
    const methods: Methods = { [METHOD]: () => tally.add() };
    const queue = onDemand ? `posthorn/${topic}` : topic;
    const channel = await model.createChannel();
    await channel.assertQueue(queue, { durable: true });
    if (onDemand) {
      await channel.assertExchange('posthorn/rpc', 'direct', { durable: true });
      await channel.bindQueue(queue, 'posthorn/rpc', queue);
    }
    await channel.prefetch(PREFETCH);
    const ack = acker(line, channel);
    const receive = (request: ConsumeMessage): void => {
      cork();
      ack(request);
      methods[request.properties.type]?.(JSON.parse(request.content.toString()));
    };
    return { queues: [queue], ...(await receiver(channel, queue, receive, tally, onDemand)) };
  },

  async notifier(line, { topic }) {
    const publish = await publisher(line);
    await (await line.model.createChannel()).assertExchange(topic, 'topic', { durable: true });
    return {
      operate: () =>
        publish(topic, `${topic}.info`, PAYLOAD, {
          type: EVENT,
          appId: PUBLISHER,
          messageId: randomUUID(),
          timestamp: Math.floor(Date.now() / 1_000),
          contentType: CONTENT_TYPE,
          deliveryMode: 2,
          mandatory: true,
        }),
    };
  },

  async listener(line, { topic, batch }) {
    const { model, cork } = line;
    const tally = new Tally();
    const queue = `${topic}.info`;
    const channel = await model.createChannel();
    await bound(channel, queue, topic, queue);
    await channel.prefetch(batch === undefined ? PREFETCH : 2 * batch);
    const ack = acker(line, channel);
    const handle = (notifications: readonly unknown[]): void => tally.add(notifications.length);
    const settle = (messages: readonly ConsumeMessage[]): void => {
      handle(messages.map(({ content }) => JSON.parse(content.toString())));
      cork();
      for (const message of messages) ack(message);
    };
    let waiting: ConsumeMessage[] = [];
    let timer: NodeJS.Timeout | undefined;
    const flush = (): void => {
      clearTimeout(timer);
      timer = undefined;
      const messages = waiting;
      waiting = [];
      settle(messages);
    };
    const collect = (message: ConsumeMessage): void => {
      timer ??= setTimeout(flush, BATCH_MS);
      if (waiting.push(message) === batch) flush();
    };
    const receive = batch === undefined ? (message: ConsumeMessage) => settle([message]) : collect;
    return { queues: [queue], ...(await receiver(channel, queue, receive, tally, false)) };
  },

  async publisher(line, { topic, keep }) {
    const channel = await line.model.createChannel();
    await channel.assertExchange(topic, 'topic', { durable: true });
    if (keep !== undefined) await bound(channel, topic, topic, '#', { maxLength: keep });
    const publish = await publisher(line);
    return {
      queues: keep === undefined ? [] : [topic],
      operate: () => {
        const id = randomUUID();
        const envelope = {
          message_id: id,
          publisher_id: PUBLISHER,
          timestamp: new Date().toISOString(),
          message_type: EVENT,
          message_type_version: '1.0',
          payload: PAYLOAD,
        };
        return publish(topic, EVENT, envelope, { messageId: id, contentType: CONTENT_TYPE, deliveryMode: 2 });
      },
    };
  },

  async subscriber(line, { topic, many = 1 }) {
    const { model } = line;
    const tally = new Tally();
    for (let left = many; left > 0; left--) {
      const channel = await model.createChannel();
      await channel.assertExchange(topic, 'topic', { durable: true });
      const { queue } = await channel.assertQueue('', { exclusive: true });
      await channel.bindQueue(queue, topic, '#');
      await channel.prefetch(PREFETCH);
      await receiver(channel, queue, afterwards(line, channel, tally), tally, false);
    }
    return { tally };
  },

  async worker(line, { topic, onDemand, prefetch = PREFETCH }) {
    const tally = new Tally();
    const channel = await line.model.createChannel();
    await bound(channel, topic, topic, '#');
    await channel.prefetch(prefetch);
    const part = await receiver(channel, topic, afterwards(line, channel, tally), tally, onDemand);
    return { queues: [topic], ...part };
  },
};

async function open({ url, untuned: how }: Setup): Promise<Line> {
  const untuned = how !== undefined;
  const { hostname, port, username, password, pathname } = new URL(url.replace(/^rabbit:/i, 'amqp:'));
  const address = {
    hostname,
    port: Number(port || 5_672),
    username: decodeURIComponent(username || 'guest'),
    password: decodeURIComponent(password || 'guest'),
    vhost: pathname.length > 1 ? pathname.slice(1) : '%2F',
    frameMax: 131_072,
    heartbeat: 30,
  };
  const tuning = untuned ? {} : { writableHighWaterMark: 262_144 };
  const model = await connect(address, { noDelay: how !== 'defaults', timeout: 10_000, keepAlive: true, ...tuning });
  model.on('error', (error) => {
    throw error;
  });
  return { model, cork: untuned ? () => undefined : corker(model), untuned };
}

interface Waiter {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** Who waits for an answer or a confirmation, each until its deadline. */
class Waiters {
  readonly #waiters = new Map<string, Waiter>();

  wait(timeoutMs: number, write: (id: string) => void, id: string = randomUUID()): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.take(id)?.reject(new Error('timeout')), timeoutMs);
      this.#waiters.set(id, { resolve, reject, timer });
      write(id);
    });
  }

  take(id: string): Waiter | undefined {
    const waiter = this.#waiters.get(id);
    if (waiter === undefined) return undefined;
    this.#waiters.delete(id);
    clearTimeout(waiter.timer);
    return waiter;
  }
}

type Publish = (
  exchange: string,
  key: string,
  content: unknown,
  properties: Options.Publish & { readonly messageId: string },
) => Promise<unknown>;

/** Publishes with confirms: resolves when the broker has the message. */
async function publisher({ model, cork }: Line): Promise<Publish> {
  const waiters = new Waiters();
  const channel = await model.createConfirmChannel();
  channel.on('return', ({ properties }: Message) => {
    waiters.take(properties.messageId)?.reject(new Error('unroutable'));
  });
  return (exchange, key, content, properties) => {
    const { messageId } = properties;
    const write = (): void => {
      cork();
      channel.publish(exchange, key, Buffer.from(JSON.stringify(content)), properties, (error) => {
        const waiter = waiters.take(messageId);
        if (error) waiter?.reject(error);
        else waiter?.resolve(undefined);
      });
    };
    return waiters.wait(30_000, write, messageId);
  };
}

/**
 * Acknowledges, those of one turn with one frame, as Posthorn does: for who is done with messages in the order in which they
 * came. Untuned, with a frame each.
 */
function acker({ untuned }: Line, channel: Channel): (message: ConsumeMessage) => void {
  if (untuned) return (message) => channel.ack(message);
  let last: ConsumeMessage | undefined;
  const write = (): void => {
    if (last !== undefined) channel.ack(last, true);
    last = undefined;
  };
  return (message) => {
    // A tick after all that the socket had: still before the immediate in which amqplib writes.
    if (last === undefined) process.nextTick(write);
    last = message;
  };
}

/** Settles after its work: at least once. */
function afterwards(line: Line, channel: Channel, tally: Tally): (message: ConsumeMessage) => void {
  const { cork } = line;
  const ack = acker(line, channel);
  const handle = (_content: unknown): void => tally.add();
  return (message) => {
    cork();
    try {
      handle(JSON.parse(message.content.toString()));
      ack(message);
    } catch {
      channel.nack(message);
    }
  };
}

async function bound(
  channel: Channel,
  queue: string,
  exchange: string,
  key: string,
  options: Options.AssertQueue = {},
): Promise<void> {
  await channel.assertExchange(exchange, 'topic', { durable: true });
  await channel.assertQueue(queue, { durable: true, ...options });
  await channel.bindQueue(queue, exchange, key);
}

/** Receives at once, or, on demand, while it drains. */
async function receiver(
  channel: Channel,
  queue: string,
  receive: (message: ConsumeMessage) => void,
  tally: Tally,
  onDemand: boolean | undefined,
): Promise<Part> {
  const begin = () => channel.consume(queue, (message) => message !== null && receive(message));
  if (!onDemand) {
    await begin();
    return { tally };
  }
  return {
    async drain(count) {
      const timed = tally.time(count);
      const { consumerTag } = await begin();
      const elapsedMs = await timed;
      await channel.cancel(consumerTag);
      return elapsedMs;
    },
  };
}
