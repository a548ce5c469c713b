/**
 * A storm of real connections, to hold the simulation against: opens so many, waits until their broker was restarted (by
 * hand; of several in the URL, the first was killed), and prints how they came back beside the same storm simulated.
 *
 *     storm-measured <rabbit URL> [connections]
 */
import { availableParallelism } from 'node:os';
import { parseTransportUrl, silent, type Transport } from '@posthorn/core';
import { connect } from 'posthorn';
import { numbers } from '../numbers.ts';
import { MEASURED, TAKE_MS } from './measured.ts';
import { posthorn } from './pauses.ts';
import { simulate } from './storm.ts';

const AT_ONCE = 10;

interface Came {
  /** From the loss, in milliseconds: the first, the half of them, all. */
  readonly first: number;
  readonly half: number;
  readonly all: number;
  readonly attemptsEach: number;
}

async function storm(url: string, size: number): Promise<Came> {
  const transports: Transport[] = [];
  const back: number[] = [];
  let lostAt = Number.NaN;
  let attempts = 0;
  let whole = (): void => undefined;
  const complete = new Promise<void>((resolve) => {
    whole = resolve;
  });
  const open = (): Promise<Transport> =>
    connect(url, {
      logger: silent,
      onStatus(status) {
        if (status.state === 'disconnected') {
          attempts++;
          if (Number.isNaN(lostAt)) lostAt = performance.now();
        } else if (status.state === 'connected' && status.generation > 1) {
          back.push(performance.now() - lostAt);
          if (back.length === size) whole();
        }
      },
    });
  while (transports.length < size) {
    const count = Math.min(AT_ONCE, size - transports.length);
    transports.push(...(await Promise.all(Array.from({ length: count }, open))));
  }
  console.log(`${size} connections are open: restart the broker, or kill the first`);
  await complete;
  for (const transport of transports) await transport.close();
  const [first = 0, half = 0, all = 0] = [1, Math.ceil(size / 2), size].map((nth) => back[nth - 1]);
  return { first, half, all, attemptsEach: attempts / size };
}

const [url, count = '500'] = process.argv.slice(2);
if (url === undefined) throw new Error('storm-measured <rabbit URL> [connections]');
const [size = 0] = numbers('connections', count);
const came = await storm(url, size);
// All clients are in this one process, which begins one after the other, and needs a core for itself.
const { setUpCpuMs, clientCpuMs } = MEASURED.connection;
const { length: hosts } = parseTransportUrl(url).hosts;
const simulated = simulate({
  processes: size,
  hosts,
  order: 'same',
  downMs: hosts > 1 ? Number.POSITIVE_INFINITY : came.first,
  noticeMs: size * clientCpuMs,
  pauses: posthorn(),
  connectTimeoutMs: 10_000,
  broker: {
    cores: availableParallelism() - 1,
    takeMs: TAKE_MS,
    handshakeMs: setUpCpuMs,
    restoreMs: 0,
    backlog: 128,
  },
  untilMs: 600_000,
  seed: 1,
});
const row = (name: string, half = 0, all = 0, attempts = 0): void =>
  console.log(
    `${name}: half after ${Math.round(half)} ms, all after ${Math.round(all)} ms, ${attempts.toFixed(1)} attempts each`,
  );
console.log(`the first was back after ${Math.round(came.first)} ms`);
row('measured', came.half, came.all, came.attemptsEach);
row('simulated', simulated.halfBackMs, simulated.allBackMs, simulated.attemptsEach);
