import { besides, compared, comparedColumns } from './compared.ts';
import { placeOf } from './place.ts';
import type { Row, Scenario, Settings, Watcher } from './scenario.ts';
import { type Parts, Side, twinKind } from './side.ts';
import { Sides } from './sides.ts';
import { inTurns } from './turns.ts';
import { PREFETCH } from './work.ts';

/** What a scenario says of itself that empties queues which were filled before. */
export interface Drained {
  readonly name: string;
  readonly about: string;
  readonly lines: readonly string[];
  readonly parts: (prefetch: number) => Parts;
  /** How many a receiver takes before it settles the first. Default: what servers have by default. */
  readonly prefetch?: readonly number[];
  readonly messages: number;
}

const WARM_UP = 0.2;

/** A scenario that fills a queue, then measures how fast it is emptied. */
export function drained({
  name,
  about,
  lines,
  parts,
  prefetch: levels = [PREFETCH],
  messages: usual,
}: Drained): Scenario {
  return {
    name,
    about,
    schemes: ['rabbit'],
    columns: comparedColumns('Message', { key: 'messages', title: 'messages' }, { key: 'prefetch', title: 'prefetch' }),
    notes: ['From the first message that is handled to the last. CPU: the receiver’s.'],
    async run({ url, messages = usual, slices }: Settings, watcher: Watcher) {
      const library = twinKind(url);
      let step = 0;
      for (const prefetch of levels) {
        const of = parts(prefetch);
        await using sides = await Sides.start(
          Side.start('posthorn', url, of),
          // The same bytes for both.
          library && Side.start(library, url, { ...of, fuel: 'posthorn' }),
        );
        if (step === 0) watcher.begin?.({ broker: sides.broker, lines });
        for (const side of sides.all) await side.drain(Math.ceil(messages * WARM_UP));
        const takers = sides.all.map((side) => () => side.drain(messages));
        const steps = levels.length * sides.all.length * slices;
        const [ours = [], theirs] = await inTurns(takers, slices, () => watcher.progress?.(++step, steps, name));
        const row: Row = { scenario: name, transport: placeOf(url).scheme, messages, prefetch };
        watcher.row({ ...row, ...compared('Message', ours, theirs), ...besides('Message', ours, theirs) });
      }
    },
  };
}
