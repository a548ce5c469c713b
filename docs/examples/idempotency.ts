import { transport } from './place.ts';

const rows = new Set<string>();
const database = {
  async exists(group: string, id: string) {
    return rows.has(`${group} ${id}`);
  },
  async insert(group: string, id: string) {
    rows.add(`${group} ${id}`);
  },
};

// #region store
import { type IdStore, MessageFactory, Subscriber } from 'posthorn';

const handled: IdStore = {
  has: (group, id) => database.exists(group, id),
  add: (group, id) => database.insert(group, id),
};
const stock = new Subscriber(transport, { exchange: 'shop', group: 'stock', seen: handled });
stock.bind('order.*', (payload) => console.log('reserved for', payload));
await stock.start();

// #endregion store

// #region publish
import { Exchange } from 'posthorn';

const placed = { messageType: 'order.placed', version: '1.0', payload: { order: 'o-1' } };
const message = new MessageFactory({ publisherId: 'shop.web1' }).createMessage(placed);
const shop = new Exchange('shop', transport);
let { status } = await shop.send('order.placed', message);
if (status === 'unknown') ({ status } = await shop.send('order.placed', message)); // the same message: the same id
// #endregion publish
({ status } = await shop.send('order.placed', message));
console.log(status);

// #region method
import { type CallInfo, type Context, RPCClient, RPCServer } from 'posthorn';

const payments = new Map<string, string>();
const payment = {
  // The key is the caller's: it stays the same when he calls again after a TIMEOUT or UNKNOWN.
  charge(_context: Context, { key, amount }: { key: string; amount: number }, _info: CallInfo) {
    const receipt = payments.get(key) ?? `receipt for ${amount}`;
    payments.set(key, receipt);
    return receipt;
  },
};
// #endregion method
await new RPCServer(transport, { target: { topic: 'payment', server: 'p1' }, endpoints: [payment] }).start();
const client = new RPCClient(transport, { target: { topic: 'payment' } });
for (const amount of [10, 20]) console.log(await client.call({}, 'charge', { key: 'o-1', amount }));
