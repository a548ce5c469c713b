import { maybe } from '../compared.ts';
import { middle, rounded, spread } from '../figures.ts';
import type { Setup } from '../peer.ts';
import type { Rival } from '../peer-process.ts';
import { placeOf } from '../place.ts';
import { installRivals, versionOf } from '../rivals/installed.ts';
import { pythonWithOslo } from '../rivals/python.ts';
import type { Scenario } from '../scenario.ts';
import { type Parts, Side } from '../side.ts';
import { Sides } from '../sides.ts';
import { inTurns } from '../turns.ts';

const LEVELS = [1, 10, 100];

/** Another framework as its documentation has it, and what it promises so. */
interface Framework {
  readonly kind: Rival;
  readonly name: () => Promise<string>;
  readonly promises: string;
  /** Whether its socket is one of Node's, to which `noDelay` can be said. */
  readonly inNode: boolean;
}

const FRAMEWORKS: readonly Framework[] = [
  {
    kind: 'nestjs',
    name: async () => `NestJS ${versionOf('@nestjs/microservices')}`,
    promises: 'no acknowledgements, no deadline, lost calls wait for ever',
    inNode: true,
  },
  {
    kind: 'rabbitmq-client',
    name: async () => `rabbitmq-client ${versionOf('rabbitmq-client')}`,
    promises: 'acknowledged after the method, a deadline, lost calls wait for it',
    inNode: true,
  },
  {
    kind: 'moleculer',
    name: async () => `moleculer ${versionOf('moleculer')}`,
    promises: 'no acknowledgements, a deadline, unknown nodes refused',
    inNode: true,
  },
  {
    kind: 'oslo',
    name: async () => `oslo.messaging ${(await pythonWithOslo()).version}`,
    promises: 'acknowledged before the method, a deadline, confirms; up to 30 threads',
    inNode: false,
  },
];

interface Contender extends Framework {
  readonly untuned: Setup['untuned'];
}

const CONTENDERS: readonly Contender[] = FRAMEWORKS.flatMap((framework) => [
  { ...framework, untuned: 'defaults' },
  ...(framework.inNode ? [{ ...framework, untuned: undefined }] : []),
]);

/** The same calls by other frameworks. */
export const rivals: Scenario = {
  name: 'rivals',
  about: 'calls in a closed loop, beside other frameworks, which are installed into a cache folder first',
  schemes: ['rabbit'],
  columns: [
    { key: 'inFlight', title: 'in flight' },
    { key: 'rival', title: 'rival'.padEnd(22) },
    { key: 'set', title: 'set' },
    { key: 'rate', title: 'calls/s', digits: 0 },
    { key: 'rivalRate', title: 'rival’s', digits: 0 },
    { key: 'ratio', title: 'ratio', digits: 2 },
    { key: 'ratioLow', title: 'low', digits: 2 },
    { key: 'ratioHigh', title: 'high', digits: 2 },
    { key: 'p50Ms', title: 'p50 ms', digits: 2 },
    { key: 'rivalP50Ms', title: 'rival’s', digits: 2 },
    { key: 'promises', title: 'the rival promises' },
  ],
  notes: [
    'Set: what was set besides what its documentation sets.',
    'Posthorn promises: acknowledged before the method, a deadline for each call, calls that nobody serves fail at once.',
  ],
  async run({ url, inFlight: levels = LEVELS, seconds, slices }, watcher) {
    await installRivals();
    const present: { readonly contender: Contender; readonly name: string }[] = [];
    const absent = new Set<string>();
    for (const contender of CONTENDERS) {
      const name = await contender.name().catch(() => undefined);
      if (name === undefined) absent.add(contender.kind);
      else present.push({ contender, name });
    }
    const lines = ['each as its documentation has it, and with noDelay besides; client and server are two processes'];
    if (absent.size > 0) lines.push(`not installed, and left out: ${[...absent].join(', ')}`);
    await using sides = await Sides.start(
      Side.start('posthorn', url, partsOf(undefined)),
      ...present.map(({ contender: { kind, untuned } }) => Side.start(kind, url, partsOf(untuned))),
    );
    watcher.begin?.({ broker: `RabbitMQ at ${placeOf(url).host}`, lines });
    const steps = levels.length * sides.all.length * slices;
    const sliceMs = (seconds * 1_000) / steps;
    for (const side of sides.all) await side.loop({ inFlight: 10, ms: sliceMs });
    let step = 0;
    for (const inFlight of levels) {
      const takers = sides.all.map((side) => () => side.loop({ inFlight, ms: sliceMs }));
      const [ours = [], ...theirs] = await inTurns(takers, slices, () => watcher.progress?.(++step, steps, 'rivals'));
      const our = middle(ours);
      for (const [index, { contender, name }] of present.entries()) {
        const slicesOfIt = theirs[index] ?? [];
        const their = middle(slicesOfIt);
        const [low, high] = spread(ours, slicesOfIt);
        watcher.row({
          scenario: 'rivals',
          transport: placeOf(url).scheme,
          inFlight,
          rival: name,
          set: contender.untuned === undefined ? 'noDelay' : '-',
          rate: rounded(our.rate, 0),
          rivalRate: rounded(their.rate, 0),
          ratio: maybe(our.rate / their.rate, 2),
          ratioLow: maybe(low, 2),
          ratioHigh: maybe(high, 2),
          p50Ms: maybe(our.p50Ms, 3),
          rivalP50Ms: maybe(their.p50Ms, 3),
          promises: contender.promises,
        });
      }
    }
  },
};

function partsOf(untuned: Setup['untuned']): Parts {
  const tuning = untuned === undefined ? {} : { untuned };
  return { sender: { role: 'caller', ...tuning }, receiver: { role: 'server', ...tuning } };
}
