import { costOf } from './fleet.ts';
import { MEASURED, TAKE_MS } from './measured.ts';
import { fixed, oslo, type Pauses, posthorn } from './pauses.ts';
import { type BrokerModel, type Storm, simulate } from './storm.ts';

/** An instance of a service: it calls, is called, and tells what happened. */
const INSTANCE = costOf(['client', 'server', 'notifier']);
const UNTIL_MS = 1_800_000;

const BROKER: BrokerModel = {
  cores: 8,
  takeMs: TAKE_MS,
  handshakeMs: MEASURED.connection.setUpCpuMs,
  restoreMs: INSTANCE.setUpCpuMs - MEASURED.connection.setUpCpuMs,
  backlog: 128,
};

/** What a fleet costs its broker: a line for each size. */
export function* fleetRows(sizes: readonly number[]): Generator<string> {
  yield '| processes | connections | channels | queues | consumers | bindings | Erlang processes | memory | at rest | to set up |';
  yield '|---|---|---|---|---|---|---|---|---|---|';
  for (const size of sizes) {
    const { channels, queues, consumers, bindings, processes, kib, idleCpuUs, setUpCpuMs } = INSTANCE;
    const counts = [1, 1, channels, queues, consumers, bindings, processes].map((each) => count(each * size));
    const memory = `${((kib * size) / 2 ** 20).toFixed(1)} GiB`;
    const atRest = `${((idleCpuUs * size) / 1e6).toFixed(2)} cores`;
    yield row(...counts, memory, atRest, `${Math.round((setUpCpuMs * size) / 1_000)} s`);
  }
}

/** Of one broker, for good or for a while. */
interface Loss {
  readonly name: string;
  readonly storm: Pick<Storm, 'hosts' | 'order' | 'downMs'>;
}

/** In the order in which docs/scale.md shows them. */
export const LOSSES: readonly Loss[] = [
  { name: 'the only broker is down for 30 s', storm: { hosts: 1, order: 'same', downMs: 30_000 } },
  {
    name: 'one of three is lost; each process has them in an order of its own',
    storm: { hosts: 3, order: 'own', downMs: Number.POSITIVE_INFINITY },
  },
  {
    name: 'the first of three is lost; all have them in the same order',
    storm: { hosts: 3, order: 'same', downMs: Number.POSITIVE_INFINITY },
  },
];

const WAYS: Readonly<Record<string, (hosts: number) => Pauses>> = {
  Posthorn: () => posthorn(),
  '`reconnectMaxMs=5000`': () => posthorn({ reconnectMaxMs: 5_000 }),
  '`reconnectMinMs=10000`': () => posthorn({ reconnectMinMs: 10_000 }),
  'each second': () => fixed(1_000),
  'oslo.messaging': oslo,
};

/** A line for each way to reconnect, with a cell for each size. */
export function* stormRows({ storm }: Loss, sizes: readonly number[]): Generator<string> {
  yield row('reconnecting', ...sizes.map((size) => `${count(size)} processes`));
  yield row('---', ...sizes.map(() => '---'));
  for (const [way, pauses] of Object.entries(WAYS))
    yield row(way, ...sizes.map((size) => came(storm, pauses(storm.hosts), size)));
}

function came(loss: Loss['storm'], pauses: Pauses, processes: number): string {
  const { halfBackMs, allBackMs, peakPerSecond } = simulate({
    ...loss,
    processes,
    pauses,
    broker: BROKER,
    noticeMs: 100,
    connectTimeoutMs: 10_000,
    untilMs: UNTIL_MS,
    seed: 1,
  });
  return `${seconds(halfBackMs)}, ${seconds(allBackMs)}; ${count(peakPerSecond)}/s`;
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? `> ${UNTIL_MS / 60_000} min` : `${(ms / 1_000).toFixed(1)} s`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function row(...cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
