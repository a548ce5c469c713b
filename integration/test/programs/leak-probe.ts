// Calls and is cut off, again and again, and tells what it holds before and after: to be run with --expose-gc.
//
//   leak-probe.ts <url> <calls> <reconnects>
//
// It cuts itself off (memory://), or prints "cut me" and is cut off from outside.
import { getEventListeners, once } from 'node:events';
import { createInterface } from 'node:readline';
import { setImmediate as turn } from 'node:timers/promises';
import { MemoryFaults, silent } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { connect } from 'posthorn';

const [url = '', callsText, reconnectsText] = process.argv.slice(2);
const [calls, reconnects] = [Number(callsText), Number(reconnectsText)];
/** More than the connection remembers ids of, so that this memory is full before the first look. */
const WARM_UP = 21_000;
const AT_A_TIME = 50;

const faults = new MemoryFaults();
let onConnected = (): void => {};
const transport = await connect(url, {
  logger: silent,
  memory: { faults },
  onStatus: ({ state }) => state === 'connected' && onConnected(),
});
const endpoint = { echo: (_: unknown, args: object) => args };
await new RPCServer(transport, { target: { topic: 'leaks', server: 'one' }, endpoints: [endpoint] }).start();
const client = new RPCClient(transport, { target: { topic: 'leaks' } });
const { signal } = new AbortController();

async function call(count: number): Promise<void> {
  let left = count;
  const work = async (): Promise<void> => {
    while (left-- > 0) await client.call({}, 'echo', { n: left }, { signal });
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
}

async function reconnect(count: number): Promise<void> {
  for (let done = 0; done < count; done++) {
    const connected = new Promise<void>((resolve) => {
      onConnected = resolve;
    });
    const pending = client.call({}, 'echo', {}, { signal }).catch(() => undefined);
    if (url.startsWith('memory:')) {
      faults.disconnect();
      faults.reconnect();
    } else console.log('cut me');
    await connected;
    await pending;
    await client.call({}, 'echo', {}, { signal });
  }
}

async function look(): Promise<object> {
  for (let round = 0; round < 10; round++) {
    globalThis.gc?.();
    await turn();
  }
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  return {
    heapBytes: process.memoryUsage().heapUsed,
    resources,
    processListeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
    abortListeners: getEventListeners(signal, 'abort').length,
    pending: transport.inbox.size,
    generation: transport.status.state === 'connected' ? transport.status.generation : 0,
  };
}

// Before the first look, since it counts among what the process holds.
const input = createInterface({ input: process.stdin });
const told = once(input, 'line');
await call(WARM_UP);
await reconnect(5);
await call(100);
console.log(`before ${JSON.stringify(await look())}`);
await told;
const end = once(input, 'line');
await reconnect(reconnects);
await call(calls);
console.log(`after ${JSON.stringify(await look())}`);
await end;
input.close();
process.stdin.destroy();
await transport.close();
