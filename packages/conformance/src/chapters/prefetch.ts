import { expect } from 'chai';
import { anycast, numbered } from '../messages.ts';
import type { Suite } from '../suite.ts';

const DEFAULT = 64;

/** At most so many unsettled deliveries. That no more came shows by another consumer getting the rest. */
export function prefetch(suite: Suite): void {
  const test = suite.cases({ kinds: ['anycast'] });

  test('hands out no more than the prefetch of each consumer', async (kit) => {
    const [one, other] = [await kit.driver(), await kit.driver()];
    const to = anycast();
    const limits = [3, 1, 2];
    const boxes = await Promise.all(
      limits.map((limit, index) => kit.open(index === 1 ? other : one, to, { prefetch: limit, settle: 'hold' })),
    );
    await kit.sendAll(one, to, numbered(20));
    for (const [index, box] of boxes.entries()) await box.first(limits[index] ?? 0);
    const rest = await kit.open(one, to, { prefetch: 100, settle: 'hold' });
    await rest.first(14);
    expect(boxes.map(({ items }) => items.length)).to.deep.equal(limits);
  });

  test(`hands out ${DEFAULT} by default`, async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to, { settle: 'hold' });
    await kit.sendAll(driver, to, numbered(DEFAULT + 6));
    await box.first(DEFAULT);
    const rest = await kit.open(driver, to);
    await rest.first(6);
    expect(box.items).to.have.lengthOf(DEFAULT);
  });

  for (const outcome of ['accept', 'reject'] as const) {
    test(`hands out the next for each one that is settled with ${outcome}`, async (kit) => {
      const driver = await kit.driver();
      const to = anycast();
      const box = await kit.open(driver, to, { prefetch: 2, settle: 'hold' });
      const texts = numbered(10);
      await kit.sendAll(driver, to, texts);
      for (let nth = 1; nth <= 10; nth++) {
        const delivery = await box.nth(nth);
        expect(box.items.length - (nth - 1)).to.be.at.most(2);
        await delivery.settle(outcome);
      }
      expect(box.texts).to.deep.equal(texts);
    });
  }

  test('has room again after a release', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to, { prefetch: 1, settle: 'hold' });
    await kit.send(driver, to, 'x');
    for (let nth = 1; nth <= 5; nth++) await (await box.nth(nth)).settle(nth < 5 ? 'release' : 'accept');
    await kit.send(driver, to, 'fence');
    expect(await box.before('fence')).to.have.lengthOf(5);
  });

  test('counts the deliveries of all sources together', async (kit) => {
    const driver = await kit.driver();
    const sources = [anycast(), anycast()];
    const box = await kit.open(driver, sources, { prefetch: 2, settle: 'hold' });
    for (const source of sources) await kit.sendAll(driver, source, numbered(3));
    await box.first(2);
    // What is settled makes room for one each: more than two at a time would show here.
    for (let nth = 1; nth <= 6; nth++) {
      const delivery = await box.nth(nth);
      expect(box.items.length - (nth - 1)).to.be.at.most(2);
      await delivery.settle('accept');
    }
  });

  test('keeps a slow consumer from holding up a quick one', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const slow = await kit.open(driver, to, { prefetch: 1, settle: 'hold' });
    await kit.send(driver, to, 'slow work');
    await slow.first(1);
    const quick = await kit.open(driver, to, { prefetch: 1 });
    const texts = numbered(30);
    await kit.sendAll(driver, to, texts);
    expect(await quick.textsOf(30)).to.deep.equal(texts);
    expect(slow.texts).to.deep.equal(['slow work']);
  });

  test('lets a queue that nobody works at hold up no other', async (kit) => {
    const driver = await kit.driver();
    const [stuck, lively] = [anycast(), anycast()];
    const held = await kit.open(driver, stuck, { prefetch: 1, settle: 'hold' });
    const box = await kit.open(driver, lively, { prefetch: 1 });
    await kit.sendAll(driver, stuck, numbered(100));
    await kit.sendAll(driver, lively, numbered(100));
    expect(await box.textsOf(100)).to.deep.equal(numbered(100));
    expect(held.items).to.have.lengthOf(1);
  });
}
