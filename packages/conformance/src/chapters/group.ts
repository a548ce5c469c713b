import { expect } from 'chai';
import { AWKWARD_NAMES, name, numbered, pattern, group as to, topic } from '../messages.ts';
import type { Suite } from '../suite.ts';

/** Subscribers of one group share one queue. */
export function group(suite: Suite): void {
  const test = suite.cases({ kinds: ['topic', 'group'] });

  test('gives each message to one member of the group', async (kit) => {
    const drivers = [await kit.driver(), await kit.driver()];
    const [sender] = drivers;
    if (sender === undefined) throw new Error('a driver is there');
    const [exchange, members] = [name('e'), name('g')];
    const options = { group: members, prefetch: 10, settle: 'hold' } as const;
    const boxes = await Promise.all(drivers.map((driver) => kit.open(driver, pattern(exchange, '#'), options)));
    const texts = numbered(20);
    await kit.sendAll(sender, topic(exchange, 'k'), texts);
    for (const box of boxes) await box.first(10);
    expect(boxes.flatMap((box) => box.texts).sort()).to.deep.equal([...texts].sort());
  });

  test('gives each of two groups everything', async (kit) => {
    const driver = await kit.driver();
    const exchange = name('e');
    const boxes = [
      await kit.open(driver, pattern(exchange, '#'), { group: name('g') }),
      await kit.open(driver, pattern(exchange, 'k'), { group: name('g') }),
    ];
    const texts = numbered(50);
    await kit.sendAll(driver, topic(exchange, 'k'), texts);
    for (const box of boxes) expect(await box.textsOf(50)).to.deep.equal(texts);
  });

  test('delivers once per group what matches several patterns of its members', async (kit) => {
    const driver = await kit.driver();
    const exchange = name('e');
    const options = { group: name('g'), prefetch: 1, settle: 'hold' } as const;
    const box = await kit.open(driver, [pattern(exchange, 'a.*'), pattern(exchange, '*.b')], options);
    const other = await kit.open(driver, pattern(exchange, '#'), options);
    await kit.send(driver, topic(exchange, 'a.b'), 'x');
    await kit.send(driver, topic(exchange, 'a.b'), 'fence');
    await Promise.all([box.first(1), other.first(1)]);
    expect([...box.texts, ...other.texts].sort()).to.deep.equal(['fence', 'x']);
  });

  test('tells what was sent to a topic from what was sent to the group itself', async (kit) => {
    const driver = await kit.driver();
    const [exchange, members] = [name('e'), name('g')];
    const box = await kit.open(driver, pattern(exchange, '#'), { group: members });
    await kit.send(driver, topic(exchange, 'a.b'), 'x');
    await kit.send(driver, to(members), 'y');
    await box.first(2);
    expect(box.items.map((delivery) => delivery.to)).to.deep.equal([topic(exchange, 'a.b'), to(members)]);
  });

  suite.cases({ kinds: ['topic', 'group'], when: ({ delay }) => delay })(
    'tells the exchange and key of a message that was delayed',
    async (kit) => {
      const driver = await kit.driver();
      const exchange = name('e');
      const box = await kit.open(driver, pattern(exchange, '#'), { group: name('g') });
      await kit.send(driver, topic(exchange, 'a.b'), 'x', { delayMs: 20 });
      const [delivery] = await box.first(1);
      expect(delivery?.to).to.deep.equal(topic(exchange, 'a.b'));
    },
  );

  test('collects for a group while no member is there', async (kit) => {
    const driver = await kit.driver();
    const [exchange, members] = [name('e'), name('g')];
    const box = await kit.open(driver, pattern(exchange, '#'), { group: members });
    await box.subscription.close();
    const texts = numbered(5);
    await kit.sendAll(driver, topic(exchange, 'k'), texts);
    const next = await kit.open(driver, pattern(exchange, '#'), { group: members });
    expect(await next.textsOf(5)).to.deep.equal(texts);
  });

  test('loses nothing while members come and go', async (kit) => {
    const driver = await kit.driver();
    const [exchange, members] = [name('e'), name('g')];
    const texts = numbered(100);
    const seen: string[] = [];
    for (let start = 0; start < 100; start += 20) {
      const box = await kit.open(driver, pattern(exchange, '#'), { group: members, prefetch: 4, settle: 'hold' });
      await kit.sendAll(driver, topic(exchange, 'k'), texts.slice(start, start + 20));
      for (let n = 1; n <= 15; n++) {
        const delivery = await box.nth(n);
        await delivery.settle('accept');
        seen.push(Buffer.from(delivery.message.body).toString());
      }
      await box.subscription.close();
    }
    const rest = await kit.open(driver, pattern(exchange, '#'), { group: members });
    seen.push(...(await rest.textsOf(25)));
    expect(new Set(seen)).to.deep.equal(new Set(texts));
  });

  test('reaches a group at its own address, and no other, whatever their patterns', async (kit) => {
    const driver = await kit.driver();
    const [exchange, one, other] = [name('e'), name('g'), name('g')];
    const first = await kit.open(driver, pattern(exchange, 'nothing.matches'), { group: one });
    const second = await kit.open(driver, pattern(exchange, '#'), { group: other });
    await kit.send(driver, to(one), 'for one', { unrouted: 'fail' });
    await kit.send(driver, to(other), 'fence', { unrouted: 'fail' });
    expect(await first.textsOf(1)).to.deep.equal(['for one']);
    expect(await second.before('fence')).to.deep.equal([]);
  });

  test("lets who subscribes to a group's address share its queue", async (kit) => {
    const driver = await kit.driver();
    const [exchange, members] = [name('e'), name('g')];
    const member = await kit.open(driver, pattern(exchange, '#'), { group: members });
    await member.subscription.close();
    await kit.send(driver, topic(exchange, 'k'), 'by its pattern');
    await kit.send(driver, to(members), 'by its name');
    const reader = await kit.open(driver, to(members));
    expect(await reader.textsOf(2)).to.deep.equal(['by its pattern', 'by its name']);
  });

  for (const awkward of AWKWARD_NAMES) {
    test(`shares a queue under the name ${awkward.slice(0, 20)}`, async (kit) => {
      const driver = await kit.driver();
      const [exchange, members] = [name('e'), `${name('g')}${awkward}`];
      const box = await kit.open(driver, pattern(exchange, 'k'), { group: members });
      await kit.send(driver, topic(exchange, 'k'), 'by its pattern');
      await kit.send(driver, to(members), 'by its name', { unrouted: 'fail' });
      expect(await box.textsOf(2)).to.deep.equal(['by its pattern', 'by its name']);
    });
  }

  test('adopts a queue that exists with other attributes, and logs the difference once', async (kit) => {
    const link = await kit.connect();
    const [exchange, members] = [name('e'), name('g')];
    const maxLength = (count: number) => ({ group: members, retention: { maxLength: count } });
    await kit.open(link.driver, pattern(exchange, '#'), { ...maxLength(5), prefetch: 1, settle: 'hold' });
    const warnings = (): number => link.logs.items.filter(({ level }) => level === 'warn').length;
    expect(warnings()).to.equal(0);
    const box = await kit.open(link.driver, pattern(exchange, '#'), maxLength(7));
    expect(warnings()).to.equal(1);
    await kit.sendAll(link.driver, topic(exchange, 'k'), ['one', 'two']);
    await box.first(1);
    expect(warnings()).to.equal(1);
  });
}
