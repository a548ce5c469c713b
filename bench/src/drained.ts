import { besides, compared, comparedColumns } from './compared.ts';
import { placeOf } from './place.ts';
import type { Row, Scenario, Settings, Watcher } from './scenario.ts';
import { type Parts, Side, twinKind } from './side.ts';
import { Sides } from './sides.ts';
import { inTurns } from './turns.ts';

/** What a scenario says of itself that empties queues which were filled before. */
export interface Drained {
  readonly name: string;
  readonly about: string;
  readonly lines: readonly string[];
  readonly parts: Parts;
  readonly messages: number;
}

const WARM_UP = 0.2;

/** A scenario that fills a queue, then measures how fast it is emptied. */
export function drained({ name, about, lines, parts, messages: usual }: Drained): Scenario {
  return {
    name,
    about,
    schemes: ['rabbit'],
    columns: comparedColumns('Message', { key: 'messages', title: 'messages' }),
    notes: ['From the first message that is handled to the last. CPU: the receiver’s.'],
    async run({ url, messages = usual, slices }: Settings, watcher: Watcher) {
      const library = twinKind(url);
      await using sides = await Sides.start(
        Side.start('posthorn', url, parts),
        // The same bytes for both.
        library && Side.start(library, url, { ...parts, fuel: 'posthorn' }),
      );
      watcher.begin?.({ broker: sides.broker, lines });
      for (const side of sides.all) await side.drain(Math.ceil(messages * WARM_UP));
      let step = 0;
      const takers = sides.all.map((side) => () => side.drain(messages));
      const [ours = [], theirs] = await inTurns(takers, slices, () =>
        watcher.progress?.(++step, sides.all.length * slices, name),
      );
      const row: Row = { scenario: name, transport: placeOf(url).scheme, messages };
      watcher.row({ ...row, ...compared('Message', ours, theirs), ...besides('Message', ours, theirs) });
    },
  };
}
