/**
 * A burst of connections that say no more than the eight bytes of their protocol, until the broker has answered each: shows
 * what the kernel's backlog does, beside the same burst simulated. Linux only.
 *
 *     burst-measured <rabbit URL> [500,2000,5000] [the broker's backlog]
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { availableParallelism } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { numbers } from '../numbers.ts';
import { placeOf } from '../place.ts';
import { ACCEPT_CPU_MS, TAKE_MS } from './measured.ts';
import { fixed } from './pauses.ts';
import { simulate } from './storm.ts';

const HEADER = Buffer.from('AMQP\0\0\x09\x01', 'latin1');
const CALM_MS = 4_000;

interface Burst {
  /** Until the last was begun, and until each was answered. */
  readonly begunMs: number;
  readonly answeredMs: number;
  /** How often the kernel ignored one because the backlog was full. */
  readonly overflows: number;
}

async function burst(host: string, port: number, count: number): Promise<Burst> {
  const overflowsBefore = overflows();
  const start = performance.now();
  const sockets = Array.from({ length: count }, () => createConnection({ host, port }));
  const begunMs = performance.now() - start;
  const answered = sockets.map(async (socket: Socket) => {
    await once(socket, 'connect');
    socket.write(HEADER);
    await once(socket, 'data');
  });
  try {
    await Promise.all(answered);
    return { begunMs, answeredMs: performance.now() - start, overflows: overflows() - overflowsBefore };
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

/** Of the whole machine. */
function overflows(): number {
  const [names = '', values = ''] = readFileSync('/proc/net/netstat', 'latin1').split('\n');
  return Number(values.split(' ')[names.split(' ').indexOf('ListenOverflows')]);
}

const [url, sizes = '500,2000,5000', backlog = '128'] = process.argv.slice(2);
if (url === undefined) throw new Error('burst-measured <rabbit URL> [sizes] [backlog]');
const { host, port } = placeOf(url);
for (const count of numbers('sizes', sizes)) {
  const { begunMs, answeredMs, overflows } = await burst(host, port, count);
  const { allBackMs = Number.NaN } = simulate({
    processes: count,
    hosts: 1,
    order: 'same',
    downMs: 0,
    noticeMs: begunMs,
    pauses: fixed(0),
    connectTimeoutMs: 60_000,
    broker: {
      cores: availableParallelism() - 1,
      takeMs: TAKE_MS,
      handshakeMs: ACCEPT_CPU_MS,
      restoreMs: 0,
      backlog: Number(backlog),
    },
    untilMs: 600_000,
    seed: 1,
  });
  console.log(
    `${count} within ${Math.round(begunMs)} ms: all answered after ${Math.round(answeredMs)} ms ` +
      `(simulated: ${Math.round(allBackMs)} ms), ${overflows} overflows of the backlog`,
  );
  await pause(CALM_MS);
}
