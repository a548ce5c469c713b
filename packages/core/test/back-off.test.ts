import { expect } from 'chai';
import fc from 'fast-check';
import { backOffMs } from '../src/back-off.ts';

const settings = { reconnectMinMs: 100, reconnectMaxMs: 30_000 };
const MOST = 1 - Number.EPSILON;

describe('the pause before an attempt to reconnect', () => {
  it('doubles with each that failed, up to the longest', () => {
    const pauses = Array.from({ length: 12 }, (_, attempt) => backOffMs(attempt, settings, () => MOST));
    expect(pauses).to.deep.equal([100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000, 30_000]);
  });

  it('is spread over its upper half, in whole milliseconds, however many failed', () => {
    fc.assert(
      fc.property(fc.nat(), fc.double({ min: 0, max: MOST, noNaN: true }), (attempt, random) => {
        const pause = backOffMs(attempt, settings, () => random);
        const top = Math.min(30_000, 100 * 2 ** Math.min(attempt, 20));
        expect(pause).to.be.within(top / 2, top);
        expect(Number.isInteger(pause)).to.equal(true);
      }),
    );
  });

  it('differs from process to process when the longest is reached', () => {
    const pauses = new Set(Array.from({ length: 100 }, () => backOffMs(20, settings)));
    expect(pauses.size).to.be.above(50);
  });
});
