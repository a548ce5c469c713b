import { expect } from 'chai';
import fc from 'fast-check';
import { Bag } from '../src/bag.ts';

describe('Bag', () => {
  it('holds what was added and not deleted, as a Set would, whatever the order of both', () => {
    const steps = fc.array(fc.record({ add: fc.boolean(), which: fc.nat(9) }), { maxLength: 60 });
    fc.assert(
      fc.property(steps, (all) => {
        const items = Array.from({ length: 10 }, () => ({ slot: 0 }));
        const bag = new Bag<{ slot: number }>();
        const set = new Set<{ slot: number }>();
        for (const { add, which } of all) {
          const item = items[which] ?? { slot: 0 };
          if (!add) expect(bag.delete(item)).to.equal(set.delete(item));
          else if (!set.has(item)) {
            bag.add(item);
            set.add(item);
          }
          expect(items.filter((one) => bag.items().includes(one))).to.deep.equal(items.filter((one) => set.has(one)));
          expect(bag.size).to.equal(set.size);
        }
      }),
    );
  });

  it('takes an item that was in another bag before', () => {
    const [one, other] = [new Bag<{ slot: number }>(), new Bag<{ slot: number }>()];
    const items = [{ slot: 0 }, { slot: 0 }, { slot: 0 }];
    for (const item of items) one.add(item);
    const [first = { slot: 0 }, second = { slot: 0 }] = items;
    one.delete(second);
    other.add(second);
    expect(one.delete(second)).to.equal(false);
    expect(one.delete(first)).to.equal(true);
    expect(other.items()).to.deep.equal([second]);
    expect(one.size).to.equal(1);
  });
});
