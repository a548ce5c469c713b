/** The process of a Posthorn peer, as an application would write it. */
import { Publisher, Subscriber } from '@posthorn/messaging';
import {
  type BatchEndpoint,
  connect,
  NotificationListener,
  Notifier,
  RPCClient,
  RPCServer,
  type Transport,
} from 'posthorn';
import { obey, type Peer, type Role, type Setup, Tally } from '../peer.ts';
import {
  ARGS,
  type Args,
  BATCH_MS,
  EVENT,
  METHOD,
  PAYLOAD,
  PREFETCH,
  PUBLISHER,
  type Result,
  reboot,
} from '../work.ts';

interface Api {
  [METHOD](args: Args): Result;
}

type Part = Omit<Peer, 'close'>;

obey(async (setup) => {
  const transport = await connect(setup.url);
  return { ...(await roles[setup.role](transport, setup)), close: () => transport.close() };
});

const roles: Readonly<Record<Role, (transport: Transport, setup: Setup) => Promise<Part>>> = {
  async caller(transport, { topic, many = 1 }) {
    const clients = Array.from({ length: many }, () => new RPCClient<Api>(transport, { target: { topic } }));
    return { operate: inRotation(clients.map((client) => () => client.call({}, METHOD, ARGS))) };
  },

  async server(transport, { topic, mute, prefetch }) {
    const server = await rpcServer(transport, topic, reboot, prefetch).start();
    if (mute) await server.pause();
    return {};
  },

  async loopback(transport, setup) {
    await roles.server(transport, setup);
    return await roles.caller(transport, setup);
  },

  async caster(transport, { topic }) {
    const client = new RPCClient<Api>(transport, { target: { topic } });
    return { operate: () => client.cast({}, METHOD, ARGS) };
  },

  async sink(transport, { topic, onDemand }) {
    return await receiver(onDemand, (tally) => rpcServer(transport, topic, () => tally.add()));
  },

  async notifier(transport, { topic }) {
    const notifier = new Notifier(transport, { publisherId: PUBLISHER, topics: [topic] });
    return { operate: () => notifier.info({}, EVENT, PAYLOAD) };
  },

  async listener(transport, { topic, batch }) {
    const targets = [{ topic }];
    return await receiver(false, (tally) => {
      if (batch === undefined) {
        const endpoints = [{ info: () => tally.add() }];
        return new NotificationListener(transport, { targets, prefetch: PREFETCH, endpoints });
      }
      const endpoints: BatchEndpoint[] = [{ info: (notifications) => tally.add(notifications.length) }];
      return new NotificationListener(transport, { targets, batch: { size: batch, maxAgeMs: BATCH_MS }, endpoints });
    });
  },

  async publisher(transport, { topic, keep, many = 1 }) {
    if (keep !== undefined) {
      const options = { exchange: topic, group: topic, keys: ['#'], retention: { maxLength: keep } };
      await (await new Subscriber(transport, options).start()).close();
    }
    const publisher = new Publisher(transport, { publisherId: PUBLISHER, exchange: topic });
    const message = { messageType: EVENT, version: '1.0', payload: PAYLOAD };
    const keys = Array.from({ length: many }, (_, index) => (many === 1 ? EVENT : `${EVENT}.${index}`));
    return { operate: inRotation(keys.map((key) => () => publisher.send(key, message))) };
  },

  async subscriber(transport, { topic, many = 1 }) {
    const tally = new Tally();
    for (let left = many; left > 0; left--) await subscriber(transport, topic, undefined, tally).start();
    return { tally };
  },

  async worker(transport, { topic, onDemand, prefetch }) {
    return await receiver(onDemand, (tally) => subscriber(transport, topic, topic, tally, prefetch));
  },
};

interface Receiver {
  start(): Promise<unknown>;
  close(): Promise<unknown>;
}

/** Receives at once, or, on demand, while it drains. */
async function receiver(onDemand: boolean | undefined, make: (tally: Tally) => Receiver): Promise<Part> {
  const tally = new Tally();
  const first = make(tally);
  await first.start();
  if (!onDemand) return { tally };
  // The queue is there now, and stays.
  await first.close();
  return {
    async drain(count) {
      const timed = tally.time(count);
      const one = make(tally);
      await one.start();
      const elapsedMs = await timed;
      await one.close();
      return elapsedMs;
    },
  };
}

function rpcServer(
  transport: Transport,
  topic: string,
  method: (args: Args) => unknown,
  prefetch: number = PREFETCH,
): RPCServer {
  return new RPCServer(transport, {
    prefetch,
    target: { topic, server: 'bench' },
    endpoints: [{ [METHOD]: (_context: object, args: Args) => method(args) }],
  });
}

function subscriber(
  transport: Transport,
  exchange: string,
  group: string | undefined,
  tally: Tally,
  prefetch: number = PREFETCH,
): Subscriber {
  const options = { exchange, prefetch, ...(group !== undefined && { group }) };
  return new Subscriber(transport, options).bind('#', () => tally.add());
}

/** Each operation in turn. */
function inRotation(operations: readonly (() => unknown)[]): () => unknown {
  const [only] = operations;
  if (operations.length === 1 && only !== undefined) return only;
  let next = 0;
  return () => {
    next = (next + 1) % operations.length;
    return operations[next]?.();
  };
}
