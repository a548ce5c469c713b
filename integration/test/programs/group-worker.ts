// A worker of a group: notes each message that it handles in a file, as lines of one length, and tells when it has
// handled so many.
import { appendFileSync } from 'node:fs';
import { parseTransportUrl, silent, Transport } from '@posthorn/core';
import { Subscriber } from '@posthorn/messaging';
import { rabbit } from '@posthorn/rabbit';

const [url = '', exchange = '', group = '', file = '', tellAt = ''] = process.argv.slice(2);
const transport = await Transport.open((context) => rabbit(parseTransportUrl(url), context), { logger: silent });
let handled = 0;
const subscriber = new Subscriber(transport, { exchange, group, prefetch: 50 });
subscriber.bind('#', async (payload) => {
  appendFileSync(file, `${String(process.pid).padStart(8)} ${String(payload).padStart(8)}\n`);
  // It is not settled yet, and others wait behind it.
  await new Promise(setImmediate);
  if (++handled === Number(tellAt)) console.log('at work');
});
await subscriber.start();
console.log('ready');
process.stdin.on('data', async () => {
  await transport.close();
  process.exit();
});
