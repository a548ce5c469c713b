import { expect } from 'chai';
import { outcomeOf } from '../kit.ts';
import { AWKWARD_NAMES, anycast, name, numbered, multicast as to } from '../messages.ts';
import type { Suite } from '../suite.ts';

/** Every consumer that is there now. */
export function multicast(suite: Suite): void {
  const test = suite.cases({ kinds: ['multicast'] });

  test('gives a copy to every consumer, on one connection or several', async (kit) => {
    const [one, other] = [await kit.driver(), await kit.driver()];
    const address = to();
    const boxes = [await kit.open(one, address), await kit.open(one, address), await kit.open(other, address)];
    const texts = numbered(10);
    await kit.sendAll(one, address, texts);
    await kit.send(one, address, 'fence');
    for (const box of boxes) expect(await box.before('fence')).to.deep.equal(texts);
  });

  test('gives nothing to who comes later', async (kit) => {
    const driver = await kit.driver();
    const address = to();
    const early = await kit.open(driver, address);
    await kit.send(driver, address, 'missed');
    const late = await kit.open(driver, address);
    await kit.send(driver, address, 'fence');
    expect(await early.before('fence')).to.deep.equal(['missed']);
    expect(await late.before('fence')).to.deep.equal([]);
  });

  test('goes on for the others when one closes', async (kit) => {
    const driver = await kit.driver();
    const address = to();
    const [leaving, staying] = [await kit.open(driver, address), await kit.open(driver, address)];
    await leaving.subscription.close();
    await kit.send(driver, address, 'x');
    expect(await staying.textsOf(1)).to.deep.equal(['x']);
    expect(leaving.texts).to.deep.equal([]);
  });

  test('settles each copy for itself', async (kit) => {
    const driver = await kit.driver();
    const address = to();
    const [first, second] = [
      await kit.open(driver, address, { settle: 'hold' }),
      await kit.open(driver, address, { settle: 'hold' }),
    ];
    await kit.send(driver, address, 'x');
    await (await first.nth(1)).settle('release');
    await (await second.nth(1)).settle('accept');
    expect((await first.nth(2)).redelivered).to.equal(true);
    await kit.send(driver, address, 'fence');
    expect(await second.before('fence')).to.deep.equal(['x']);
  });

  test('gives each copy a body of its own', async (kit) => {
    const driver = await kit.driver();
    const address = to();
    const [first, second] = [await kit.open(driver, address), await kit.open(driver, address)];
    await kit.send(driver, address, 'body');
    const [one, two] = [await first.nth(1), await second.nth(1)];
    one.message.body.fill(0);
    expect(Buffer.from(two.message.body).toString()).to.equal('body');
  });

  test('keeps topics and exchanges apart', async (kit) => {
    const driver = await kit.driver();
    const exchange = name('e');
    const addresses = [to(exchange, 't1'), to(exchange, 't2'), to(name('e'), 't1'), to(`${exchange}/t1`, 't1')];
    const boxes = await Promise.all(addresses.map((address) => kit.open(driver, address)));
    for (const [index, address] of addresses.entries()) await kit.send(driver, address, `m${index}`);
    for (const address of addresses) await kit.send(driver, address, 'fence');
    for (const [index, box] of boxes.entries()) expect(await box.before('fence')).to.deep.equal([`m${index}`]);
  });

  test('feeds several topics into one subscription', async (kit) => {
    const driver = await kit.driver();
    const sources = [to(), to()];
    const box = await kit.open(driver, sources);
    for (const source of sources) await kit.send(driver, source, source.topic);
    expect(await box.textsOf(2)).to.deep.equal(sources.map(({ topic }) => topic));
  });

  for (const awkward of AWKWARD_NAMES) {
    test(`reaches everyone at the name ${awkward.slice(0, 20)}`, async (kit) => {
      const driver = await kit.driver();
      const address = to(name('e'), awkward);
      const box = await kit.open(driver, address);
      await kit.send(driver, address, 'x');
      expect(await box.textsOf(1)).to.deep.equal(['x']);
    });
  }

  test('refuses to keep what is for those who are there now', async (kit) => {
    const driver = await kit.driver();
    expect(await outcomeOf(kit.send(driver, to(), 'x', { unrouted: 'keep' }))).to.equal('UNSUPPORTED');
  });

  suite.cases({ kinds: ['anycast', 'multicast'] })('does not reach consumers of the topic itself', async (kit) => {
    const driver = await kit.driver();
    const everyone = to();
    const one = anycast(everyone.exchange, everyone.topic);
    const [all, single] = [await kit.open(driver, everyone), await kit.open(driver, one)];
    await kit.send(driver, everyone, 'for all');
    await kit.send(driver, one, 'for one');
    await kit.send(driver, everyone, 'fence');
    await kit.send(driver, one, 'fence');
    expect(await all.before('fence')).to.deep.equal(['for all']);
    expect(await single.before('fence')).to.deep.equal(['for one']);
  });
}
