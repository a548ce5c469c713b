import { expect } from 'chai';
import fc from 'fast-check';
import { newId } from '../src/id.ts';
import { RecentIds } from '../src/recent-ids.ts';

describe('recent ids', () => {
  it('are known for at least the capacity and at most twice as many', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 100 }), (capacity, count) => {
        const ids = new RecentIds(capacity);
        for (let n = 0; n < count; n++) ids.add(`${n}`);
        const known = Array.from({ length: count }, (_, n) => n).filter((n) => ids.has(`${n}`));
        expect(known.length).to.be.within(Math.min(count, capacity), 2 * capacity);
        for (let n = Math.max(0, count - capacity); n < count; n++) expect(ids.has(`${n}`)).to.equal(true);
      }),
    );
  });

  it('are forgotten when deleted, also after the sets have changed places', () => {
    const ids = new RecentIds(2);
    for (const id of ['a', 'b', 'c']) ids.add(id);
    ids.delete('a');
    ids.delete('c');
    expect(['a', 'b', 'c'].map((id) => ids.has(id))).to.deep.equal([false, true, false]);
  });
});

describe('a new id', () => {
  it('is 32 hexadecimal digits, and never the same twice', () => {
    const ids = Array.from({ length: 2_000 }, () => newId());
    for (const id of ids) expect(id).to.match(/^[0-9a-f]{32}$/);
    expect(new Set(ids).size).to.equal(ids.length);
  });
});
