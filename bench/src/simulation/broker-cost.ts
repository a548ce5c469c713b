/**
 * What a process costs its RabbitMQ, by what it consists of: more and more of them are connected, and the broker is looked
 * at after each step. Nobody else may use the broker meanwhile.
 *
 *     broker-cost <rabbit URL> <http URL of the management API> [50,100,200] [part,…]
 */
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Transport } from '@posthorn/core';
import { rounded } from '../figures.ts';
import { numbers } from '../numbers.ts';
import { placeOf } from '../place.ts';
import { brokerCpu } from '../processes.ts';
import { BrokerNode, type Holdings } from './broker-node.ts';
import { answering, join, PARTS, type Part } from './parts.ts';
import { slope } from './slope.ts';

/** Of one process. */
type Cost = Holdings & {
  readonly part: Part;
  /** The broker's processor time until it is connected and set up. */
  readonly setUpCpuUs: number;
  /** The broker's processor time in a second without traffic. */
  readonly idleCpuUs: number;
  /** The client's processor time, beside `setUpCpuUs`. */
  readonly clientCpuUs: number;
};

/** Connections that are made at a time. */
const AT_ONCE = 10;
const IDLE_MS = 10_000;

/** Grows a fleet to each of the sizes, and tells what one more process adds. */
async function costOf(
  part: Part,
  { url, api, sizes }: { readonly url: string; readonly api: string; readonly sizes: readonly number[] },
): Promise<Cost> {
  const node = new BrokerNode(placeOf(url).port, api);
  await using _answerer = await answering(url);
  const fleet: Transport[] = [];
  try {
    // Exchanges and shared queues are made once; they are no part of the next one's cost.
    fleet.push(await join(url, part));
    const steps: { readonly size: number; readonly holdings: Holdings }[] = [];
    const look = async (): Promise<void> => {
      steps.push({ size: fleet.length, holdings: await node.atRest(fleet.length + 1) });
    };
    await look();
    const idle = { few: await idleCpu(node), many: 0 };
    let setUpCpuUs = 0;
    let clientCpuUs = 0;
    for (const size of sizes) {
      const before = { broker: node.cpuUs(), client: process.cpuUsage() };
      while (fleet.length < size) {
        const count = Math.min(AT_ONCE, size - fleet.length);
        fleet.push(...(await Promise.all(Array.from({ length: count }, () => join(url, part)))));
      }
      setUpCpuUs += node.cpuUs() - before.broker;
      const { user, system } = process.cpuUsage(before.client);
      clientCpuUs += user + system;
      await look();
    }
    idle.many = await idleCpu(node);
    const added = fleet.length - 1;
    const slopeOf = (key: keyof Holdings): number =>
      slope(steps.map(({ size, holdings }) => ({ x: size, y: holdings[key] })));
    return {
      part,
      connections: slopeOf('connections'),
      channels: slopeOf('channels'),
      queues: slopeOf('queues'),
      consumers: slopeOf('consumers'),
      bindings: slopeOf('bindings'),
      processes: slopeOf('processes'),
      fileHandles: slopeOf('fileHandles'),
      allocatedBytes: slopeOf('allocatedBytes'),
      residentBytes: slopeOf('residentBytes'),
      setUpCpuUs: setUpCpuUs / added,
      idleCpuUs: (idle.many - idle.few) / added,
      clientCpuUs: clientCpuUs / added,
    };
  } finally {
    for (let left = fleet.splice(0, AT_ONCE); left.length > 0; left = fleet.splice(0, AT_ONCE))
      await Promise.all(left.map((transport) => transport.close()));
  }
}

/** The broker's processor time for a connection that is taken, and closed before it says a word. */
async function acceptCpuUs(url: string, count: number): Promise<number> {
  const { host, port } = placeOf(url);
  const cpuUs = brokerCpu(host, port);
  const before = cpuUs?.() ?? Number.NaN;
  for (let left = count; left > 0; left -= AT_ONCE)
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        const socket = createConnection({ host, port });
        await once(socket, 'connect');
        const closed = new Promise((resolve) => socket.once('close', resolve));
        // It is closed when the broker answered our end, or cut it: the broker has been there.
        socket
          .on('error', () => undefined)
          .end()
          .resume();
        await closed;
      }),
    );
  return ((cpuUs?.() ?? Number.NaN) - before) / count;
}

async function idleCpu(node: BrokerNode): Promise<number> {
  const before = node.cpuUs();
  await pause(IDLE_MS);
  return ((node.cpuUs() - before) / IDLE_MS) * 1_000;
}

const [url, api, sizes = '50,100,200', only = PARTS.join(',')] = process.argv.slice(2);
if (url === undefined || api === undefined) throw new Error('broker-cost <rabbit URL> <URL of the management API>');
console.log(JSON.stringify({ acceptCpuUs: rounded(await acceptCpuUs(url, 1_000), 0) }));
for (const part of PARTS.filter((one) => only.split(',').includes(one))) {
  const cost = await costOf(part, { url, api, sizes: numbers('sizes', sizes) });
  const cells = Object.entries(cost).map(([key, value]) => [
    key,
    typeof value === 'number' ? rounded(value, 2) : value,
  ]);
  console.log(JSON.stringify(Object.fromEntries(cells)));
}
