import { expect } from 'chai';
import { memoryIdStore } from '../src/id-store.ts';
import { thrownBy } from './support.ts';

describe('an id store in memory', () => {
  it('remembers the ids of each group by themselves', async () => {
    const store = memoryIdStore();
    await store.add('billing', 'a');
    expect(await store.has('billing', 'a')).to.equal(true);
    expect(await store.has('billing', 'b')).to.equal(false);
    expect(await store.has('audit', 'a')).to.equal(false);
  });

  it('remembers the last ids of a group for certain, and at most twice as many', async () => {
    const store = memoryIdStore({ limit: 100 });
    const ids = Array.from({ length: 1_000 }, (_, index) => `id-${index}`);
    await store.add('other', 'early');
    for (const id of ids) await store.add('group', id);
    const known = await Promise.all(ids.map((id) => store.has('group', id)));
    expect(known.slice(-100)).to.not.include(false);
    expect(known.filter((one) => one).length).to.be.at.most(200);
    expect(await store.has('other', 'early')).to.equal(true);
  });

  it('refuses limits that are no bound', () => {
    for (const limit of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
      expect(thrownBy(() => memoryIdStore({ limit }))).to.have.property('code', 'CONFIG');
  });
});
