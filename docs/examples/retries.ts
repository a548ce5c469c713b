import { transport } from './place.ts';

let isUp = false;
const charge = async (order: string) => {
  if (!isUp) throw new Error('the payment service is down');
  console.log('charged', order);
};

// #region subscriber
import { defineMessage, Publisher, Subscriber } from 'posthorn';
import { z } from 'zod';

const OrderPlaced = defineMessage({ type: 'order.placed', version: '1.0', payload: z.object({ order: z.string() }) });

const billing = new Subscriber(transport, {
  exchange: 'shop',
  group: 'billing',
  retry: { limit: 3, minDelayMs: 10, maxDelayMs: 1_000 }, // 10 ms, 20 ms, and then a dead letter
});
billing.on(OrderPlaced, ({ order }, { attempts }) => {
  console.log(`attempt ${attempts}`);
  return charge(order);
});
await billing.start();
// #endregion subscriber

await new Publisher(transport, { exchange: 'shop', publisherId: 'shop.web1' }).publish(OrderPlaced, { order: 'o-1' });

// #region dead
import { DeadLetters } from 'posthorn';

const dead = new DeadLetters(transport, 'billing');
const letters = await dead.list(); // they stay
// #endregion dead
for (let found = letters; found.length === 0; found = await dead.list()) await new Promise(setImmediate);
isUp = true;

// #region redrive
for (const { id, reason, attempts, origin } of await dead.list()) {
  console.log(`${origin}: ${reason} (${attempts} attempts)`);
  if (id !== undefined) await dead.redrive([id]); // back to the group, and to nobody else
}
// #endregion redrive
