import { expect } from 'chai';
import { type SinonFakeTimers, useFakeTimers } from 'sinon';
import { Batcher } from '../src/batcher.ts';
import type { JobEnd } from '../src/server.ts';

describe('a batcher', () => {
  let clock: SinonFakeTimers;
  let batches: (readonly number[])[];

  beforeEach(() => {
    clock = useFakeTimers();
    batches = [];
  });

  afterEach(() => clock.restore());

  const batcher = (end: JobEnd = 'accept'): Batcher<number> =>
    new Batcher({ size: 3, maxAgeMs: 100 }, async (items) => {
      batches.push(items);
      return end;
    });

  it('handles a full batch at once', async () => {
    const it = batcher();
    expect(await Promise.all([1, 2, 3].map((n) => it.add(n)))).to.deep.equal(['accept', 'accept', 'accept']);
    expect(batches).to.deep.equal([[1, 2, 3]]);
  });

  it('handles what is there when the oldest has waited for long enough, however steady the trickle', async () => {
    const it = batcher();
    void it.add(1);
    await clock.tickAsync(60);
    void it.add(2);
    await clock.tickAsync(39);
    expect(batches).to.deep.equal([]);
    await clock.tickAsync(1);
    expect(batches).to.deep.equal([[1, 2]]);
    void it.add(3);
    await clock.tickAsync(99);
    expect(batches).to.have.length(1);
    await clock.tickAsync(1);
    expect(batches).to.deep.equal([[1, 2], [3]]);
  });

  it('starts the age anew after a full batch', async () => {
    const it = batcher();
    void it.add(1);
    await clock.tickAsync(90);
    for (const n of [2, 3, 4]) void it.add(n);
    await clock.tickAsync(99);
    expect(batches).to.deep.equal([[1, 2, 3]]);
    await clock.tickAsync(1);
    expect(batches).to.deep.equal([[1, 2, 3], [4]]);
  });

  it('has one end for the whole batch', async () => {
    const end: JobEnd = { outcome: 'release', reason: 'later' };
    const it = batcher(end);
    expect(await Promise.all([1, 2, 3].map((n) => it.add(n)))).to.deep.equal([end, end, end]);
  });

  it('handles the rest when it is closed, and gives back what comes later', async () => {
    const it = batcher();
    const first = it.add(1);
    it.close();
    expect(await first).to.equal('accept');
    expect(await it.add(2)).to.equal('release');
    await clock.tickAsync(1_000);
    expect(batches).to.deep.equal([[1]]);
  });
});
