import { besides, compared, comparedColumns } from './compared.ts';
import { placeOf } from './place.ts';
import type { Cell, Column, Row, Scenario, Settings, Watcher } from './scenario.ts';
import { type Parts, Side, twinKind } from './side.ts';
import { Sides } from './sides.ts';
import { inTurns } from './turns.ts';

/** One case of a scenario, a row of its own. */
export interface Case {
  readonly cells: Readonly<Record<string, Cell>>;
  readonly parts: Parts;
  /** Unconfirmed at most. */
  readonly inFlight: number;
  /** Sent in a slice; each may be received many times. */
  readonly messages: number;
}

export interface Flowed {
  readonly name: string;
  readonly about: string;
  readonly columns: readonly Column[];
  readonly lines: readonly string[];
  /** Options of its own, with their defaults. */
  readonly options?: Readonly<Record<string, string>>;
  readonly cases: (settings: Settings) => readonly Case[];
}

const WARM_UP = 0.2;

/** A scenario that measures messages from the first that is sent to the last that is handled. */
export function flowed({ name, about, columns, lines, options = {}, cases }: Flowed): Scenario {
  return {
    name,
    about,
    schemes: ['rabbit'],
    options,
    columns: comparedColumns('Message', ...columns),
    notes: [
      'Messages that were handled, from the first that is sent to the last acknowledged. p50, p99: from sending one to its',
      'confirmation. CPU: sender and receiver together.',
    ],
    async run(settings: Settings, watcher: Watcher) {
      const { url, slices } = settings;
      const library = twinKind(url);
      const list = cases(settings);
      let step = 0;
      for (const [index, { cells, parts, inFlight, messages }] of list.entries()) {
        await using sides = await Sides.start(
          Side.start('posthorn', url, parts),
          library && Side.start(library, url, parts),
        );
        if (index === 0) watcher.begin?.({ broker: sides.broker, lines });
        for (const side of sides.all) await side.flow({ inFlight, calls: Math.ceil(messages * WARM_UP) });
        const takers = sides.all.map((side) => () => side.flow({ inFlight, calls: messages }));
        const [ours = [], theirs] = await inTurns(takers, slices, () =>
          watcher.progress?.(++step, list.length * sides.all.length * slices, name),
        );
        const row: Row = { scenario: name, transport: placeOf(url).scheme, ...cells };
        watcher.row({ ...row, ...compared('Message', ours, theirs), ...besides('Message', ours, theirs) });
      }
    },
  };
}
