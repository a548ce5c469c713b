import { expect } from 'chai';
import fc from 'fast-check';
import { newId } from '../src/id.ts';
import { RecentIds } from '../src/recent-ids.ts';

const forms: Readonly<Record<string, (n: number) => string>> = {
  'of 32 digits': (n) => n.toString(16).padStart(32, 'a'),
  'that are UUIDs': (n) => `00000001-0000-4000-8000-${n.toString(16).padStart(12, '0')}`,
  'of another form': (n) => `${n}`,
};

describe('recent ids', () => {
  for (const [form, id] of Object.entries(forms)) {
    it(`${form} are known for at least the capacity and at most twice as many`, () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 100 }), (capacity, count) => {
          const ids = new RecentIds(capacity);
          for (let n = 0; n < count; n++) expect(ids.add(id(n))).to.equal(true);
          const known = Array.from({ length: count }, (_, n) => n).filter((n) => ids.has(id(n)));
          expect(known.length).to.be.within(Math.min(count, capacity), 2 * capacity);
          for (let n = Math.max(0, count - capacity); n < count; n++) expect(ids.add(id(n))).to.equal(false);
        }),
      );
    });

    it(`${form} are forgotten when deleted, also after the generations have changed places`, () => {
      const ids = new RecentIds(2);
      for (const n of [0, 1, 2]) ids.add(id(n));
      ids.delete(id(0));
      ids.delete(id(2));
      expect([0, 1, 2].map((n) => ids.has(id(n)))).to.deep.equal([false, true, false]);
      expect(ids.add(id(0))).to.equal(true);
    });
  }
});

describe('a new id', () => {
  it('is 32 hexadecimal digits, and never the same twice', () => {
    const ids = Array.from({ length: 2_000 }, () => newId());
    for (const id of ids) expect(id).to.match(/^[0-9a-f]{32}$/);
    expect(new Set(ids).size).to.equal(ids.length);
  });
});
