// Serves calls and listens to notifications, one at a time each. Says when it begins work, and when it has been at it
// for 50 ms; then it works on for ever, unless it is told to finish what it begins.
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { parseTransportUrl, serial, silent, Transport } from '@posthorn/core';
import { NotificationListener } from '@posthorn/notify';
import { rabbit } from '@posthorn/rabbit';
import { RPCServer } from '@posthorn/rpc';

const [url = '', topic = '', file = '', mode = 'hang'] = process.argv.slice(2);

/** The file is shared by all such processes. */
async function work(kind: string, id: unknown): Promise<void> {
  appendFileSync(file, `${JSON.stringify({ kind, id, pid: process.pid })}\n`);
  await pause(50);
  console.log(`${kind} is at it`);
  if (mode === 'hang') await new Promise(() => {});
}

const transport = await Transport.open((context) => rabbit(parseTransportUrl(url), context), { logger: silent });
const server = new RPCServer(transport, {
  target: { topic, server: `${process.pid}` },
  endpoints: [{ run: (_: unknown, { id }: { readonly id: string }) => work('call', id) }],
  executor: serial(),
  prefetch: 3,
});
const listener = new NotificationListener(transport, {
  targets: [{ topic: `${topic}-told` }],
  endpoints: [{ info: ({ payload }) => work('notification', payload) }],
  executor: serial(),
});
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'go') {
    await server.start();
    await listener.start();
  } else {
    await transport.close();
    process.exit();
  }
}
