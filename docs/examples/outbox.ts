import { transport } from './place.ts';

interface Row {
  readonly id: number;
  readonly key: string;
  readonly envelope: string;
}
const orders = new Map<string, object>();
const outbox = new Map<number, Row>();
const database = {
  async transaction<T>(work: () => T): Promise<T> {
    return work();
  },
  insertOrder: (order: { id: string }) => orders.set(order.id, order),
  insertOutbox: (row: Omit<Row, 'id'>) => outbox.set(outbox.size, { id: outbox.size, ...row }),
  oldestOutbox: async (limit: number) => [...outbox.values()].slice(0, limit),
  deleteOutbox: async (id: number) => outbox.delete(id),
};

// #region write
import { type Envelope, Exchange, hmacSha256, MessageFactory, Subscriber } from 'posthorn';

const messages = new MessageFactory({ publisherId: 'shop.web1' });

async function placeOrder(order: { id: string }) {
  const { envelope } = messages.createMessage({ messageType: 'order.placed', version: '1.0', payload: order });
  await database.transaction(() => {
    database.insertOrder(order);
    database.insertOutbox({ key: 'order.placed', envelope: JSON.stringify(envelope) });
  });
}
// #endregion write

// #region relay
const shop = new Exchange('shop', transport);
const signer = hmacSha256({ keys: { 2026: 'sixteen bytes or more' }, signWith: '2026' });

/** Run it every second, and after each `placeOrder`. One at a time, where the order matters. */
async function relay() {
  for (const { id, key, envelope } of await database.oldestOutbox(100)) {
    const { status } = await shop.send(key, { envelope: JSON.parse(envelope) as Envelope, signer });
    if (status !== 'confirmed') return; // next time again, with the same id
    await database.deleteOutbox(id);
  }
}
// #endregion relay

const subscriber = new Subscriber(transport, { exchange: 'shop', group: 'mail', verify: { verifier: signer } });
subscriber.bind('order.#', (payload) => console.log('mail about', payload));
await subscriber.start();
await placeOrder({ id: 'o-1' });
await relay();
console.log(orders.size, outbox.size);
