import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { rounded } from '../figures.ts';
import { placeOf } from '../place.ts';
import { connectionsOf } from '../processes.ts';
import type { Scenario, Settings, Watcher } from '../scenario.ts';
import { Child } from '../tavrida/child.ts';
import { TAVRIDA_OPTIONS, type TavridaOptions, tavridaOptions } from '../tavrida/options.ts';
import type { TavridaCounts, TavridaSetup } from '../tavrida/task.ts';

type Test = TavridaSetup['test'];

/** What answers may take that are still under way at the end. */
const DRAIN_MS = 5_000;

/** The founding document's own rows: in 60 s, by its synchronous and by its asynchronous engine. */
const DOCUMENT: Readonly<Record<Test, Readonly<Record<string, readonly [number, number]>>>> = {
  1: { 'Received messages': [11_421, 226_603] },
  2: { 'Requests to A': [11_142, 62_466], 'Requests from A to B': [11_140, 62_355] },
  3: {
    'Requests to A': [14_027, 66_020],
    'Requests from A to B': [14_017, 65_894],
    'Responses from B to A': [10_363, 13_246],
  },
};
const DOCUMENT_SECONDS = 60;

const ABOUT: Readonly<Record<Test, string>> = {
  1: 'services: A handles requests',
  2: 'services: A handles requests, and sends one to B for each',
  3: 'services: A handles requests, sends one to B for each, and handles what B answers',
};

/** The document's three tests, in its three processes and a publisher. */
export const tavrida: readonly Scenario[] = ([1, 2, 3] as const).map((test) => ({
  name: `tavrida-${test}`,
  about: ABOUT[test],
  schemes: ['rabbit'],
  options: TAVRIDA_OPTIONS,
  columns: [
    { key: 'row', title: '                  row' },
    { key: 'count', title: '  count' },
    { key: 'rate', title: 'messages/s', digits: 0 },
    { key: 'perRequest', title: 'per request to A', digits: 4 },
    { key: 'drained', title: 'after a drain', digits: 4 },
    { key: 'documentSync', title: 'document sync/s', digits: 1 },
    { key: 'documentAsync', title: 'document async/s', digits: 1 },
    { key: 'twinRate', title: 'twin', digits: 0 },
    { key: 'ratio', title: 'ratio', digits: 2 },
    { key: 'p50Ms', title: 'p50 ms', digits: 1 },
    { key: 'p99Ms', title: 'p99 ms', digits: 1 },
    { key: 'connections', title: 'connections' },
  ],
  notes: [
    'document: on its laptop (i7-3630QM, 2.4 GHz × 8, 8 GB), so its figures are no measure of this machine.',
    'p50, p99: from the cast to the handler.',
    ...(test === 1 ? ['twin: plain amqplib in the place of A.'] : []),
    ...(test === 3
      ? [`after a drain: with the answers that were handled up to ${DRAIN_MS / 1_000} s after the end.`]
      : []),
  ],
  run: (settings, watcher) => run(test, settings, watcher),
}));

interface Measured {
  readonly counts: TavridaCounts;
  readonly answers: number;
  readonly connections: number | undefined;
  readonly broker: string | undefined;
}

async function run(test: Test, settings: Settings, watcher: Watcher): Promise<void> {
  const options = tavridaOptions(settings);
  const { engine, lane, load } = options;
  const loadText = load.kind === 'per-message-connection' ? load.kind : `${load.kind}:${load.messages}`;
  const steps = test === 1 ? 2 : 1;
  const twin = test === 1 ? await measure(test, 'twin', settings, options) : undefined;
  watcher.progress?.(steps - 1, steps, `tavrida-${test}`);
  const { counts, answers, connections } = await measure(test, 'a', settings, options);
  watcher.progress?.(steps, steps, `tavrida-${test}`);
  watcher.begin?.({
    broker: twin?.broker ?? 'RabbitMQ',
    lines: [`${engine}, ${lane} lanes, ${loadText}, ${settings.seconds} s`],
  });
  const perSecond = (count: number, { ms }: TavridaCounts): number => rounded((count / ms) * 1_000, 1);
  const twinRate = twin === undefined ? null : perSecond(twin.counts.requests, twin.counts);
  const ours = [counts.requests, counts.sent, counts.answers];
  for (const [index, [row, [sync, async]]] of Object.entries(DOCUMENT[test]).entries()) {
    const count = ours[index] ?? 0;
    const isFirst = index === 0;
    watcher.row({
      scenario: `tavrida-${test}`,
      transport: placeOf(settings.url).scheme,
      engine,
      lane,
      load: loadText,
      seconds: settings.seconds,
      row,
      count,
      rate: perSecond(count, counts),
      perRequest: rounded(count / counts.requests, 4),
      drained: index === 2 ? rounded(answers / counts.requests, 4) : null,
      documentSync: rounded(sync / DOCUMENT_SECONDS, 1),
      documentAsync: rounded(async / DOCUMENT_SECONDS, 1),
      twinRate: isFirst ? twinRate : null,
      ratio: isFirst && twinRate !== null ? rounded(perSecond(counts.requests, counts) / twinRate, 3) : null,
      p50Ms: isFirst ? rounded(counts.p50Ms, 3) : null,
      p99Ms: isFirst ? rounded(counts.p99Ms, 3) : null,
      connections: isFirst ? (connections ?? null) : null,
    });
  }
}

async function measure(
  test: Test,
  first: 'a' | 'twin',
  { url, seconds }: Settings,
  { engine, lane, load }: TavridaOptions,
): Promise<Measured> {
  const id = randomUUID();
  const children: Child[] = [];
  const start = async (role: TavridaSetup['role']): Promise<Child> => {
    const names = { a: `test_hello-${id}`, b: `test_world-${id}` };
    const child = await Child.start({ role, test, url, engine, lane, ...names });
    children.push(child);
    return child;
  };
  try {
    if (test !== 1) await start('b');
    const generator = await start('generator');
    const ms = seconds * 1_000;
    const isBacklog = load.kind === 'backlog';
    // Nobody else makes a shared queue.
    if (isBacklog && lane === 'shared') await (await start(first)).stop();
    if (isBacklog) await generator.ask({ task: 'load', load, ms });
    const a = await start(first);
    const counting = a.ask({ task: 'count', ms, upTo: isBacklog ? load.messages : Number.MAX_SAFE_INTEGER });
    // A little longer than A counts, so that it never wants for requests.
    const loading = isBacklog ? undefined : generator.ask({ task: 'load', load, ms: ms + 500 });
    const { counts } = await counting;
    const connections = connectionsOf(
      children.map(({ pid }) => pid),
      placeOf(url).port,
    );
    const perMessage = (await loading)?.connections ?? 0;
    if (test === 3) await pause(DRAIN_MS);
    const { answers } = await a.ask({ task: 'answers' });
    return { counts, answers, connections: connections && connections + perMessage, broker: a.broker };
  } finally {
    for (const child of children) await child.stop();
  }
}
