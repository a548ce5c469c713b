import { connect } from 'amqplib';
import { isMemory, placeOf } from './place.ts';

const CONNECT_MS = 5_000;

/**
 * Deletes the durable queues and exchanges that peers of a topic leave at a RabbitMQ, as applications do. Best effort: other
 * brokers have none of them.
 */
export async function sweep(url: string, ...topics: readonly string[]): Promise<void> {
  if (isMemory(url) || topics.length === 0) return;
  const { host, port, username, password, vhost } = placeOf(url);
  const address = { hostname: host, port, username, password, vhost: encodeURIComponent(vhost) };
  try {
    const model = await connect(address, { noDelay: true, timeout: CONNECT_MS });
    model.on('error', () => undefined);
    const channel = await model.createChannel();
    for (const topic of topics) {
      const { queues, exchanges } = leftBy(topic);
      for (const queue of queues) await channel.deleteQueue(queue);
      for (const exchange of exchanges) await channel.deleteExchange(exchange);
    }
    await model.close();
  } catch {
    // Nothing that the figures depend on.
  }
}

/** By Posthorn, the twins, moleculer and oslo.messaging. */
function leftBy(topic: string): { readonly queues: readonly string[]; readonly exchanges: readonly string[] } {
  const shared = `posthorn/${topic}`;
  const moleculer = `MOL-${topic}`;
  const nodes = ['caller', 'server'].flatMap((node) => ['EVENT', 'REQ', 'RES'].map((kind) => `${kind}.${node}`));
  const kinds = ['DISCONNECT', 'DISCOVER', 'HEARTBEAT', 'INFO', 'PING'];
  return {
    queues: [
      ...[topic, `${topic}.info`, `${topic}.bench`, shared, `${shared}/bench`, `posthorn%2F${topic}.info`],
      ...nodes.map((node) => `${moleculer}.${node}`),
    ],
    exchanges: [topic, `${topic}_fanout`, `${shared}/all`, ...kinds.map((kind) => `${moleculer}.${kind}`)],
  };
}
