import { expect } from 'chai';
import { outcomeOf } from '../kit.ts';
import { anycast, group, name, numbered } from '../messages.ts';
import type { Suite } from '../suite.ts';

/** Subscriptions to what is there now. */
export function untilEmpty(suite: Suite): void {
  const test = suite.cases({ kinds: ['group'], when: (features) => features.keep && features.untilEmpty });

  test('end when the queue was found empty, after all of its messages', async (kit) => {
    const driver = await kit.driver();
    const from = group();
    const texts = numbered(10);
    for (const each of texts) await kit.send(driver, from, each, { unrouted: 'keep' });
    const box = await kit.open(driver, from, { untilEmpty: true });
    expect(await box.subscription.ended).to.equal(undefined);
    expect(box.texts).to.deep.equal(texts);
  });

  test('end at once where there is no queue, and make none', async (kit) => {
    const driver = await kit.driver();
    const from = group();
    const box = await kit.open(driver, from, { untilEmpty: true });
    expect(await box.subscription.ended).to.equal(undefined);
    expect(box.items).to.deep.equal([]);
    await box.subscription.close();
    const outcome = await outcomeOf(kit.send(driver, from, 'x', { unrouted: 'drop' }));
    expect(outcome).to.equal('resolved');
    const again = await kit.open(driver, from, { untilEmpty: true });
    expect(await again.subscription.ended).to.equal(undefined);
    expect(again.items).to.deep.equal([]);
  });

  test('hold no more than their prefetch, and go on when there is room', async (kit) => {
    const driver = await kit.driver();
    const from = group();
    const texts = numbered(4);
    for (const each of texts) await kit.send(driver, from, each, { unrouted: 'keep' });
    const box = await kit.open(driver, from, { untilEmpty: true, prefetch: 2, settle: 'hold' });
    const [first] = await box.first(2);
    expect(box.texts).to.deep.equal(texts.slice(0, 2));
    await first?.settle('accept');
    await box.first(3);
    expect(box.texts).to.deep.equal(texts.slice(0, 3));
    for (const delivery of box.items) await delivery.settle('accept');
    const [, , , last] = await box.first(4);
    await last?.settle('accept');
    expect(await box.subscription.ended).to.equal(undefined);
  });

  test('leave what was not settled in the queue', async (kit) => {
    const driver = await kit.driver();
    const from = group();
    for (const each of ['taken', 'left']) await kit.send(driver, from, each, { unrouted: 'keep' });
    const box = await kit.open(driver, from, { untilEmpty: true, settle: 'hold' });
    await box.subscription.ended;
    expect(await box.items[0]?.settle('accept')).to.equal(true);
    await box.subscription.close();
    expect(await (await kit.open(driver, from)).textsOf(1)).to.deep.equal(['left']);
  });

  test('are for one group or mailbox', async (kit) => {
    const driver = await kit.driver();
    const options = { untilEmpty: true };
    expect(await outcomeOf(driver.subscribe([group(), group()], () => {}, options))).to.equal('CONFIG');
    expect(await outcomeOf(driver.subscribe([anycast(name('e'))], () => {}, options))).to.equal('CONFIG');
  });

  suite.cases({ kinds: ['group'], when: (features) => !features.untilEmpty })(
    'are refused, where the end of a queue cannot be told',
    async (kit) => {
      const driver = await kit.driver();
      expect(await outcomeOf(driver.subscribe([group()], () => {}, { untilEmpty: true }))).to.equal('UNSUPPORTED');
    },
  );
}
