import { newId, silent } from '@posthorn/core';
import { Subscriber } from '@posthorn/messaging';
import { connect, NotificationListener, Notifier, RPCClient, RPCServer, type Transport } from 'posthorn';

const EXCHANGE = 'broker-cost';
const TOPIC = 'pong';

/** What a process of a fleet may consist of, each on the one connection of its transport. */
export const parts = {
  connection: async () => undefined,
  /** Has called once: it has a reply queue, and channels to publish on. */
  client: async (transport: Transport) => {
    await new RPCClient(transport, { target: { exchange: EXCHANGE, topic: TOPIC } }).call({}, 'ping', {});
  },
  /** A server among many of one topic. */
  server: async (transport: Transport) => {
    await rpcServer(transport, 'fleet').start();
  },
  notifier: async (transport: Transport) => {
    const notifier = new Notifier(transport, { publisherId: EXCHANGE, topics: [EXCHANGE] });
    await notifier.info({}, 'came', {});
  },
  /** A listener of the one default group. */
  listener: async (transport: Transport) => {
    const endpoints = [{ info: () => undefined }];
    await new NotificationListener(transport, { targets: [{ topic: EXCHANGE }], endpoints }).start();
  },
  /** A subscriber with a queue of its own. */
  subscriber: async (transport: Transport) => {
    await new Subscriber(transport, { exchange: EXCHANGE }).bind('#', () => undefined).start();
  },
} as const satisfies Readonly<Record<string, (transport: Transport) => Promise<unknown>>>;

export type Part = keyof typeof parts;

export const PARTS = Object.keys(parts) as readonly Part[];

/** One process of the fleet, as the broker sees it. */
export async function join(url: string, part: Part): Promise<Transport> {
  const transport = await connect(url, { logger: silent });
  await parts[part](transport);
  return transport;
}

/** Who answers the clients, and is there from the first. */
export async function answering(url: string): Promise<Transport> {
  const transport = await connect(url, { logger: silent });
  await rpcServer(transport, TOPIC).start();
  return transport;
}

function rpcServer(transport: Transport, topic: string): RPCServer {
  return new RPCServer(transport, {
    target: { exchange: EXCHANGE, topic, server: newId() },
    endpoints: [{ ping: () => 'pong' }],
  });
}
