import { expect } from 'chai';
import fc from 'fast-check';
import { Histogram } from '../src/histogram.ts';
import { addUp, quantile } from '../src/index.ts';

function of(durations: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const ms of durations) histogram.record(ms);
  return histogram;
}

describe('a histogram', () => {
  it('tells quantiles that are at most 5 % off', () => {
    const durations = fc.array(fc.double({ min: 0.01, max: 600_000, noNaN: true }), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(durations, fc.constantFrom(0, 0.5, 0.9, 0.99, 1), (given, part) => {
        const sorted = given.toSorted((a, b) => a - b);
        const exact = sorted[Math.max(1, Math.ceil(given.length * part)) - 1] ?? 0;
        expect(quantile(of(given).take(), part)).to.be.closeTo(exact, exact * 0.05);
      }),
    );
  });

  it('adds up to what one histogram of all had counted', () => {
    const [some, others] = [
      [1, 2, 3, 400],
      [2, 0.5, 3_000],
    ];
    const sum = addUp([of(some).take(), of(others).take()]);
    expect(sum).to.deep.equal(of([...some, ...others]).take());
  });

  it('counts anew after it was taken', () => {
    const histogram = of([5]);
    expect(histogram.take()).to.have.length(1);
    expect(histogram.take()).to.deep.equal([]);
    expect(quantile([], 0.5)).to.equal(undefined);
  });

  it('has room for what takes no time, and for ever', () => {
    const buckets = of([0, -1, Number.MAX_VALUE, Number.POSITIVE_INFINITY]).take();
    expect(buckets).to.deep.equal([
      [0, 2],
      [255, 2],
    ]);
  });
});
