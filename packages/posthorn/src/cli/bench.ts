import { availableParallelism, cpus } from 'node:os';
import { stderr } from 'node:process';
import { type Declaration, newId, parseTransportUrl, type Transport, UnsupportedError } from '@posthorn/core';
import { type Measured, WARM_MS } from './bench-load.ts';
import { type Bench, type Scenario, scenariosFor, topologyOf } from './bench-scenarios.ts';
import { CONNECTING, type Command } from './help.ts';
import { interruption } from './interruption.ts';
import { open } from './open.ts';
import { type CommandLine, numberOf, type Options } from './options.ts';
import { table, told } from './print.ts';
import { Progress } from './progress.ts';
import { removeMade } from './remove-made.ts';
import { planOf } from './topology-plan.ts';

const SECONDS = 2;
const MOST_SECONDS = 60;
/** For opening and closing around each scenario. */
const AROUND_MS = 200;
const CLOSE_MS = 3_000;
/** By what the stated time is exceeded at most, before it is given up. */
const PATIENCE = 3;

export const bench: Command = {
  name: 'bench',
  synopsis: '<url>',
  words: [1, 1],
  summary: 'measures calls, confirmed publishing, consuming and notifying on a broker',
  about: `Runs one scenario after the other, each for --seconds after a short warm-up, and prints rates and latencies:

  rpc       calls to an echo server, 1, 10, 100 and 1000 in flight
  publish   messages of 256 bytes to a durable queue, each confirmed, 1 and 1000 in flight
  consume   what was published, each handled and acknowledged
  notify    notifications to a listener, each confirmed, 100 in flight

Both ends are in this process, on a connection each: with both on one core, the broker can do more than is shown. It tells the time it takes before it begins. What it declares bears the name posthorn-bench-…, and is removed in the end, also after Ctrl-C.`,
  options: ['seconds', ...CONNECTING],
  examples: [
    'posthorn bench rabbit://localhost',
    'posthorn bench rabbit://localhost --seconds 10 --json > bench.jsonl',
  ],
  exits: { 130: 'interrupted' },
  run: measure,
};

type Result = Measured & Pick<Scenario, 'name' | 'inFlight'>;

async function measure({ words, options }: CommandLine): Promise<void> {
  const [url = ''] = words;
  const ms = (numberOf('--seconds', options.seconds, MOST_SECONDS) ?? SECONDS) * 1_000;
  // Two transports of a bare memory:// would never meet.
  const isPrivate = parseTransportUrl(url).scheme === 'memory' && parseTransportUrl(url).hosts.length === 0;
  const name = `posthorn-bench-${newId().slice(0, 8)}`;
  const where = isPrivate ? url.replace('memory://', `memory://${name}`) : url;
  const sender = await open(where, options);
  const made: Declaration[] = [];
  const receiver = await open(where, options).catch(async (error: unknown) => {
    await sender.close();
    throw error;
  });
  let isLeft = false;
  try {
    const scenarios = scenariosFor(sender);
    if (scenarios.length === 0) throw new UnsupportedError(sender.name, 'calls or groups on this broker');
    isLeft = sender.features.durable && !sender.features.declare;
    if (sender.features.plan)
      for (const { declaration } of await planOf(sender, topologyOf(name))) made.push(declaration);
    const results = await runAll(scenarios, { sender, receiver, name, ms }, options);
    if (options.json !== true) await told({}, undefined, tableOf(results));
  } finally {
    await receiver.close({ timeoutMs: CLOSE_MS });
    const left = await removeMade(sender, made, name);
    await sender.close({ timeoutMs: CLOSE_MS });
    if (left.length > 0) stderr.write(`left behind: ${left.join(', ')}\n`);
    else if (isLeft)
      stderr.write(`left behind: queues of the name ${name}, which this broker lets nobody remove by this protocol\n`);
  }
}

async function runAll(
  scenarios: readonly Scenario[],
  ends: Omit<Bench, 'signal'>,
  options: Options,
): Promise<readonly Result[]> {
  const wholeMs = scenarios.length * (ends.ms + WARM_MS + AROUND_MS);
  const { signal, code, settled } = interruption(wholeMs * PATIENCE);
  const progress = new Progress(wholeMs);
  const results: Result[] = [];
  await introduce(ends.sender, scenarios, wholeMs, options);
  try {
    for (const { name, inFlight, run } of scenarios) {
      if (signal.aborted) break;
      progress.step(`${name}, ${inFlight} in flight`);
      const result = { name, inFlight, ...(await run({ ...ends, signal })) };
      results.push(result);
      if (options.json !== true) continue;
      progress.clear();
      await told({ json: true }, { scenario: name, ...result, name: undefined, seconds: ends.ms / 1_000 }, '');
    }
  } finally {
    progress.clear();
    settled();
  }
  if (signal.aborted) process.exitCode = code();
  return results;
}

async function introduce(
  { name, agreed }: Transport,
  scenarios: readonly Scenario[],
  wholeMs: number,
  options: Options,
): Promise<void> {
  const broker = [agreed?.product ?? name, agreed?.version].filter((part) => part !== undefined).join(' ');
  const seconds = Math.ceil(wholeMs / 1_000);
  const host = { node: process.version, cpu: cpus()[0]?.model ?? '', cores: availableParallelism() };
  const facts = { broker, ...host, scenarios: scenarios.length, seconds };
  const text = `${broker}, from Node ${host.node} on ${host.cores} cores of ${host.cpu}\n${scenarios.length} scenarios, about ${seconds} s; Ctrl-C ends it sooner\n`;
  await told(options, facts, text);
}

function tableOf(results: readonly Result[]): string {
  const heading = ['scenario', 'in flight', 'per second', 'p50 ms', 'p99 ms'];
  const cell = (ms: number): number | string => (ms === 0 ? '' : ms.toFixed(2));
  return table([
    heading,
    ...results.map(({ name, inFlight, perSecond, p50Ms, p99Ms }) => [
      name,
      inFlight,
      perSecond,
      cell(p50Ms),
      cell(p99Ms),
    ]),
  ]);
}
