import { besides, compared, comparedColumns, maybe } from '../compared.ts';
import { placeOf } from '../place.ts';
import type { Scenario } from '../scenario.ts';
import { type Parts, Side } from '../side.ts';
import { Sides } from '../sides.ts';
import { inTurns } from '../turns.ts';
import { wireCosts } from '../wire-cost.ts';

const LEVELS = [100];
const PARTS: Parts = { sender: { role: 'caller' }, receiver: { role: 'server' } };

/** The wire of oslo.messaging beside the native one. */
export const wires: Scenario = {
  name: 'wires',
  about: 'calls on the wire of oslo.messaging, beside the native one',
  schemes: ['rabbit'],
  columns: [
    ...comparedColumns('Call', { key: 'inFlight', title: 'in flight' }),
    { key: 'bytesPerCall', title: 'bytes/call', digits: 0 },
    { key: 'twinBytesPerCall', title: 'native’s', digits: 0 },
    { key: 'framesPerCall', title: 'frames/call', digits: 2 },
  ],
  notes: ['The twin is Posthorn on its native wire.'],
  async run({ url, inFlight: levels = LEVELS, seconds, slices }, watcher) {
    const oslo = `${url}${url.includes('?') ? '&' : '?'}wire=oslo`;
    await using sides = await Sides.start(Side.start('posthorn', oslo, PARTS), Side.start('posthorn', url, PARTS));
    const costs = await wireCosts('posthorn', oslo, PARTS, levels);
    const nativeCosts = await wireCosts('posthorn', url, PARTS, levels);
    watcher.begin?.({ broker: `RabbitMQ at ${placeOf(url).host}`, lines: ['client and server are two processes'] });
    const steps = levels.length * sides.all.length * slices;
    const sliceMs = (seconds * 1_000) / steps;
    for (const side of sides.all) await side.loop({ inFlight: 100, ms: 2 * sliceMs });
    let step = 0;
    for (const inFlight of levels) {
      const takers = sides.all.map((side) => () => side.loop({ inFlight, ms: sliceMs }));
      const [ours = [], theirs] = await inTurns(takers, slices, () => watcher.progress?.(++step, steps, 'wires'));
      watcher.row({
        scenario: 'wires',
        transport: placeOf(url).scheme,
        inFlight,
        ...compared('Call', ours, theirs),
        ...besides('Call', ours, theirs),
        framesPerCall: maybe(costs.get(inFlight)?.frames, 2),
        bytesPerCall: maybe(costs.get(inFlight)?.bytes, 0),
        twinBytesPerCall: maybe(nativeCosts.get(inFlight)?.bytes, 0),
      });
    }
  },
};
