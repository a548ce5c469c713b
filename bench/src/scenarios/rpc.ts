import { besides, compared, comparedColumns, maybe } from '../compared.ts';
import { middle } from '../figures.ts';
import { isMemory, placeOf } from '../place.ts';
import type { Scenario, Settings, Watcher } from '../scenario.ts';
import { type Parts, Side, twinKind } from '../side.ts';
import { Sides } from '../sides.ts';
import { inTurns } from '../turns.ts';
import { wireCosts } from '../wire-cost.ts';
import { PREFETCH } from '../work.ts';

const LEVELS = [1, 10, 100, 1_000];
const WARM_UP_PART = 0.1;
/** Where the twin must show that it is tuned, and by how much. */
const TUNED_AT = 100;
const TUNED_RATIO = 1.3;

const APART: Parts = { sender: { role: 'caller' }, receiver: { role: 'server' } };
const untunedParts = (untuned: 'noDelay' | 'defaults'): Parts => ({
  sender: { role: 'caller', untuned },
  receiver: { role: 'server', untuned },
});
const TOGETHER: Parts = { sender: { role: 'loopback' } };

/** Calls in a closed loop. */
export const rpc: Scenario = {
  name: 'rpc',
  about: 'calls in a closed loop, beside the tuned and the untuned plain library',
  schemes: ['rabbit', 'amqp1', 'memory'],
  columns: [
    ...comparedColumns('Call', { key: 'inFlight', title: 'in flight' }),
    { key: 'untunedRate', title: 'untuned', digits: 0 },
    { key: 'defaultRate', title: 'default', digits: 0 },
    { key: 'bytesPerCall', title: 'bytes/call', digits: 0 },
    { key: 'twinBytesPerCall', title: 'twin’s', digits: 0 },
    { key: 'framesPerCall', title: 'frames/call', digits: 2 },
  ],
  notes: [
    'CPU: client and server together. Low, high: the ratio in the worst and in the best turn. Untuned: the twin with noDelay',
    'alone; default: not even that. Frames and bytes: both directions, acknowledgements included.',
  ],
  run,
};

async function run(settings: Settings, watcher: Watcher): Promise<void> {
  const { url, inFlight: levels = LEVELS, seconds, slices } = settings;
  const library = twinKind(url);
  const parts = isMemory(url) ? TOGETHER : APART;
  await using started = await Sides.start(
    Side.start('posthorn', url, parts),
    library && Side.start(library, url, parts),
    library && Side.start(library, url, untunedParts('noDelay')),
    library && Side.start(library, url, untunedParts('defaults')),
  );
  const sides = started.all;
  const [, twin, untuned] = sides;
  const costs = library && (await wireCosts('posthorn', url, parts, levels));
  const twinCosts = library && (await wireCosts(library, url, parts, levels));
  const about = [
    `closed loop; ${PREFETCH} prefetched, no confirms, not persistent; medians of ${slices} slices in turns`,
  ];
  if (library)
    about.push(`twin: plain ${library} with the same promises, tuned; client and server are processes of their own`);
  watcher.begin?.({ broker: started.broker, lines: about });

  const steps = (levels.length * sides.length + (library ? 2 : 0)) * slices;
  const sliceMs = (seconds * 1_000) / steps;
  // Compiled code makes more of a difference than anything that is measured here.
  for (const side of sides) await side.loop({ inFlight: 100, ms: (seconds * 1_000 * WARM_UP_PART) / sides.length });
  let step = 0;
  const tick = (): void => watcher.progress?.(++step, steps, 'rpc');
  const tuned = twin && untuned && (await tuning(twin, untuned, slices, sliceMs, tick));

  for (const inFlight of levels) {
    for (const side of sides) await side.loop({ inFlight, ms: sliceMs / 4 });
    const takers = sides.map((side) => () => side.loop({ inFlight, ms: sliceMs }));
    const [ours = [], theirs, plain, bare] = await inTurns(takers, slices, tick);
    watcher.row({
      scenario: 'rpc',
      transport: placeOf(url).scheme,
      inFlight,
      ...compared('Call', ours, theirs),
      framesPerCall: maybe(costs?.get(inFlight)?.frames, 2),
      ...besides('Call', ours, theirs),
      untunedRate: maybe(plain && middle(plain).rate, 0),
      defaultRate: maybe(bare && middle(bare).rate, 0),
      bytesPerCall: maybe(costs?.get(inFlight)?.bytes, 0),
      twinBytesPerCall: maybe(twinCosts?.get(inFlight)?.bytes, 0),
      twinOfUntuned: maybe(tuned, 2),
      void: tuned !== undefined && tuned < TUNED_RATIO ? voidText(tuned) : null,
    });
  }
}

/** How many times as fast the twin is as it would be untuned. */
async function tuning(twin: Side, untuned: Side, turns: number, ms: number, tick: () => void): Promise<number> {
  const takers = [twin, untuned].map((side) => () => side.loop({ inFlight: TUNED_AT, ms }));
  const [tuned = [], plain = []] = await inTurns(takers, turns, tick);
  return middle(tuned).rate / middle(plain).rate;
}

function voidText(tuned: number): string {
  return `the twin reached ${tuned.toFixed(2)} of what it does untuned at ${TUNED_AT} in flight, and should ${TUNED_RATIO}`;
}
