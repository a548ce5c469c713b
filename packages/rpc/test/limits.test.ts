import { expect } from 'chai';
import sinon from 'sinon';
import { RateLimit } from '../src/rate-limit.ts';
import { Remembered } from '../src/remembered.ts';

describe('limits', () => {
  let clock: sinon.SinonFakeTimers;

  beforeEach(() => {
    clock = sinon.useFakeTimers({ toFake: ['performance'] });
  });

  afterEach(() => {
    sinon.restore();
  });

  describe('a rate limit', () => {
    const take = (limit: RateLimit, times: number): boolean[] => Array.from({ length: times }, () => limit.take());

    it('lets so many through in a second, and no more', () => {
      expect(take(new RateLimit(2), 4)).to.deep.equal([true, true, false, false]);
    });

    it('begins anew a second after the first', () => {
      const limit = new RateLimit(1);
      expect(take(limit, 2)).to.deep.equal([true, false]);
      clock.tick(999);
      expect(limit.take()).to.equal(false);
      clock.tick(1);
      expect(take(limit, 2)).to.deep.equal([true, false]);
    });
  });

  describe('remembered ids', () => {
    it('are found once', () => {
      const ids = new Remembered(10, 1_000);
      ids.add('a');
      expect([ids.delete('a'), ids.delete('a'), ids.delete('b')]).to.deep.equal([true, false, false]);
    });

    it('are forgotten when their time is over', () => {
      const ids = new Remembered(10, 1_000);
      ids.add('a');
      ids.add('b');
      clock.tick(999);
      expect(ids.delete('a')).to.equal(true);
      clock.tick(1);
      expect(ids.delete('b')).to.equal(false);
    });

    it('push out the oldest when there are too many', () => {
      const ids = new Remembered(2, 1_000);
      for (const id of ['a', 'b', 'c']) ids.add(id);
      expect(['a', 'b', 'c'].map((id) => ids.delete(id))).to.deep.equal([false, true, true]);
    });
  });
});
