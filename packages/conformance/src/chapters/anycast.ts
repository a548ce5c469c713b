import { expect } from 'chai';
import { AWKWARD_NAMES, name, numbered, anycast as to } from '../messages.ts';
import type { Suite } from '../suite.ts';

/** One of the consumers of a topic. */
export function anycast(suite: Suite): void {
  const test = suite.cases({ kinds: ['anycast'] });

  test('gives each message to one of three consumers', async (kit) => {
    const drivers = [await kit.driver(), await kit.driver(), await kit.driver()];
    const [sender] = drivers;
    if (sender === undefined) throw new Error('a driver is there');
    const address = to();
    const boxes = await Promise.all(
      drivers.map((driver) => kit.open(driver, address, { prefetch: 10, settle: 'hold' })),
    );
    const texts = numbered(30);
    await kit.sendAll(sender, address, texts);
    for (const box of boxes) await box.first(10);
    expect(boxes.flatMap((box) => box.texts).sort()).to.deep.equal([...texts].sort());
  });

  test('gives competing consumers a fair share each', async (kit) => {
    const sender = await kit.driver();
    const drivers = [await kit.driver(), await kit.driver(), await kit.driver()];
    const address = to();
    const boxes = await Promise.all(drivers.map((driver) => kit.open(driver, address, { prefetch: 2 })));
    const came = (): number => boxes.reduce((sum, box) => sum + box.items.length, 0);
    await kit.sendAll(sender, address, numbered(300));
    await Promise.all(
      boxes.map((box) => box.until('all 300 to be taken', (items) => came() === 300 || items.length >= 40)),
    );
    for (const box of boxes) expect(box.items).to.have.lengthOf.at.least(40);
  });

  test('keeps topics of the same name in two exchanges apart', async (kit) => {
    const driver = await kit.driver();
    const [one, other] = [to(name('e'), 'same'), to(name('e'), 'same')];
    const [first, second] = [await kit.open(driver, one), await kit.open(driver, other)];
    await kit.send(driver, one, 'for one');
    await kit.send(driver, other, 'for the other');
    await kit.send(driver, one, 'fence');
    await kit.send(driver, other, 'fence');
    expect(await first.before('fence')).to.deep.equal(['for one']);
    expect(await second.before('fence')).to.deep.equal(['for the other']);
  });

  test('feeds one subscription from several topics', async (kit) => {
    const driver = await kit.driver();
    const sources = [to(), to()];
    const box = await kit.open(driver, sources);
    for (const source of sources) await kit.sendAll(driver, source, numbered(3, source.topic));
    await box.first(6);
    // Topics keep their order each, not among each other.
    for (const { topic } of sources)
      expect(box.texts.filter((text) => text.startsWith(topic))).to.deep.equal(numbered(3, topic));
  });

  test('keeps messages for consumers that come back', async (kit) => {
    const driver = await kit.driver();
    const address = to();
    const box = await kit.open(driver, address);
    await box.subscription.close();
    await kit.sendAll(driver, address, ['one', 'two']);
    const next = await kit.open(driver, address);
    expect(await next.textsOf(2)).to.deep.equal(['one', 'two']);
    expect(box.texts).to.deep.equal([]);
  });

  for (const awkward of AWKWARD_NAMES) {
    test(`reaches a topic and an exchange that bear the name ${awkward.slice(0, 20)}`, async (kit) => {
      const driver = await kit.driver();
      const [asTopic, asExchange] = [to(name('e'), awkward), to(`${name()}${awkward}`, 't')];
      const box = await kit.open(driver, asTopic);
      const other = await kit.open(driver, asExchange);
      await kit.send(driver, asTopic, 'topic', { unrouted: 'fail' });
      await kit.send(driver, asExchange, 'exchange', { unrouted: 'fail' });
      expect(await box.textsOf(1)).to.deep.equal(['topic']);
      expect(await other.textsOf(1)).to.deep.equal(['exchange']);
    });
  }

  test('does not confuse names whose parts meet at another place', async (kit) => {
    const driver = await kit.driver();
    const base = name();
    const pairs = ['/', '.', '%2F', ':', ' '].flatMap((joint) => [
      to(`${base}`, `b${joint}c`),
      to(`${base}${joint}b`, 'c'),
    ]);
    const boxes = await Promise.all(pairs.map((address) => kit.open(driver, address)));
    for (const [index, address] of pairs.entries()) await kit.send(driver, address, `m${index}`);
    for (const address of pairs) await kit.send(driver, address, 'fence');
    for (const [index, box] of boxes.entries()) expect(await box.before('fence')).to.deep.equal([`m${index}`]);
  });
}
