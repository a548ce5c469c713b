/**
 * A storm of real connections, to hold the simulation against: opens so many, waits until their broker was restarted (by
 * hand), and prints how they came back beside the same storm simulated.
 *
 *     storm-measured <rabbit URL> [connections]
 */
import { availableParallelism } from 'node:os';
import { silent, type Transport } from '@posthorn/core';
import { connect } from 'posthorn';
import { numbers } from '../numbers.ts';
import { COSTS } from './measured.ts';
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
  while (transports.length < size) transports.push(...(await Promise.all(Array.from({ length: AT_ONCE }, open))));
  console.log(`${size} connections are open: restart the broker`);
  await complete;
  for (const transport of transports) await transport.close();
  return { first: back[0] ?? 0, half: back[size / 2] ?? 0, all: back[size - 1] ?? 0, attemptsEach: attempts / size };
}

const [url, count = '500'] = process.argv.slice(2);
if (url === undefined) throw new Error('storm-measured <rabbit URL> [connections]');
const [size = 0] = numbers('connections', count);
const came = await storm(url, size);
// Broker and clients share the cores of this machine.
const { setUpCpuMs, clientCpuMs } = COSTS.connection;
const simulated = simulate({
  processes: size,
  hosts: 1,
  order: 'same',
  downMs: came.first,
  noticeMs: 0,
  pauses: posthorn(),
  connectTimeoutMs: 10_000,
  broker: {
    cores: availableParallelism(),
    acceptMs: COSTS.acceptCpuMs,
    handshakeMs: setUpCpuMs - COSTS.acceptCpuMs + clientCpuMs,
    restoreMs: 0,
    backlog: COSTS.backlog,
  },
  untilMs: 600_000,
  seed: 1,
});
const row = (name: string, half = 0, all = 0, attempts = 0): void =>
  console.log(
    `${name}: the first after ${Math.round(came.first)} ms, half ${Math.round(half - came.first)} ms later, ` +
      `all ${Math.round(all - came.first)} ms later, ${attempts.toFixed(1)} attempts each`,
  );
row('measured', came.half, came.all, came.attemptsEach);
row('simulated', simulated.halfBackMs, simulated.allBackMs, simulated.attemptsEach);
