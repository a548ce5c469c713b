import { besides, compared, comparedColumns, type Unit } from './compared.ts';
import type { Kind } from './peer-process.ts';
import { placeOf } from './place.ts';
import type { Scenario, Settings, Watcher } from './scenario.ts';
import { type Parts, Side, twinKind } from './side.ts';
import { Sides } from './sides.ts';
import { inTurns } from './turns.ts';

/** What a scenario says of itself whose operations are over when their promises are. */
export interface Looped {
  readonly name: string;
  readonly about: string;
  readonly schemes: readonly string[];
  readonly unit: Unit;
  /** The title of the column of how many wait at a time. */
  readonly waiting: string;
  readonly levels: readonly number[];
  readonly lines: readonly string[];
  readonly notes: readonly string[];
  readonly parts: Parts;
  /** Default: the plain library of the transport. */
  readonly twin?: Kind;
}

/** A scenario of operations in a closed loop, for several numbers in flight. */
export function looped(of: Looped): Scenario {
  const { name, about, schemes, unit, notes, parts } = of;
  return {
    name,
    about,
    schemes,
    columns: comparedColumns(unit, { key: 'inFlight', title: of.waiting }),
    notes,
    async run({ url, inFlight: levels = of.levels, seconds, slices }: Settings, watcher: Watcher) {
      const other = of.twin ?? twinKind(url);
      await using sides = await Sides.start(Side.start('posthorn', url, parts), other && Side.start(other, url, parts));
      watcher.begin?.({ broker: sides.broker, lines: of.lines });
      const steps = levels.length * sides.all.length * slices;
      const sliceMs = (seconds * 1_000) / steps;
      for (const side of sides.all) await side.loop({ inFlight: 100, ms: sliceMs });
      let step = 0;
      for (const inFlight of levels) {
        const takers = sides.all.map((side) => () => side.loop({ inFlight, ms: sliceMs }));
        const [ours = [], theirs] = await inTurns(takers, slices, () => watcher.progress?.(++step, steps, name));
        watcher.row({
          scenario: name,
          transport: placeOf(url).scheme,
          inFlight,
          ...compared(unit, ours, theirs),
          ...besides(unit, ours, theirs),
        });
      }
    },
  };
}
