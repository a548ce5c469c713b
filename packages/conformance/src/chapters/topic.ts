import { matcher } from '@posthorn/core';
import { expect } from 'chai';
import { AWKWARD_NAMES, anycast, multicast, name, pattern, topic as to, unicast } from '../messages.ts';
import type { Suite } from '../suite.ts';

const PATTERNS = [
  'a',
  'a.b',
  '*',
  '*.b',
  'a.*',
  '*.*',
  '#',
  '#.b',
  'a.#',
  'a.#.b',
  '#.#',
  '*.#',
  '#.*',
  'a.*.#',
  '#.a.#',
];
const KEYS = [
  'a',
  'b',
  'a.a',
  'a.b',
  'b.a',
  'b.b',
  'a.x.b',
  'a.x.y.b',
  'x.a.y',
  'a.b.b',
  'A.b',
  'ab',
  'a.',
  '.b',
  'a..b',
  '',
  '.',
];

/** Every group whose pattern matches, once per group; and private subscriptions, each for itself. */
export function topic(suite: Suite): void {
  const test = suite.cases({ kinds: ['topic'] });

  test('matches keys against patterns by the rule of AMQP 0-9-1', async (kit) => {
    const driver = await kit.driver();
    const exchange = name('e');
    const boxes = await Promise.all(
      PATTERNS.map((text) => kit.open(driver, [pattern(exchange, text), pattern(exchange, 'the.fence')])),
    );
    for (const key of KEYS) await kit.send(driver, to(exchange, key), key);
    await kit.send(driver, to(exchange, 'the.fence'), 'fence');
    for (const [index, text] of PATTERNS.entries()) {
      expect(await boxes[index]?.before('fence'), text).to.deep.equal(KEYS.filter(matcher(text)));
    }
  });

  for (const awkward of [...AWKWARD_NAMES, 'a+b', '(a|b)', '[a-z]', 'a\\b', '^a$']) {
    test(`takes the key ${awkward.slice(0, 20)} literally`, async (kit) => {
      const driver = await kit.driver();
      const exchange = name('e');
      const exact = await kit.open(driver, pattern(exchange, awkward));
      const other = await kit.open(driver, [pattern(exchange, 'other'), pattern(exchange, 'fence')]);
      await kit.send(driver, to(exchange, awkward), 'x');
      await kit.send(driver, to(exchange, 'fence'), 'fence');
      expect(await exact.textsOf(1)).to.deep.equal(['x']);
      expect(await other.before('fence')).to.deep.equal([]);
    });
  }

  test('gives each private subscription a copy', async (kit) => {
    const [one, other] = [await kit.driver(), await kit.driver()];
    const exchange = name('e');
    const boxes = [await kit.open(one, pattern(exchange, 'k')), await kit.open(other, pattern(exchange, '#'))];
    await kit.send(one, to(exchange, 'k'), 'x');
    await kit.send(one, to(exchange, 'k'), 'fence');
    for (const box of boxes) expect(await box.before('fence')).to.deep.equal(['x']);
  });

  test('delivers once what matches several patterns of one subscription', async (kit) => {
    const driver = await kit.driver();
    const exchange = name('e');
    const box = await kit.open(driver, [pattern(exchange, 'a.*'), pattern(exchange, '*.b'), pattern(exchange, '#')]);
    await kit.send(driver, to(exchange, 'a.b'), 'x');
    await kit.send(driver, to(exchange, 'c'), 'fence');
    expect(await box.before('fence')).to.deep.equal(['x']);
  });

  test('feeds patterns of several exchanges into one subscription', async (kit) => {
    const driver = await kit.driver();
    const [one, other] = [name('e'), name('e')];
    const box = await kit.open(driver, [pattern(one, 'a'), pattern(other, 'b')]);
    await kit.send(driver, to(one, 'a'), 'from one');
    await kit.send(driver, to(other, 'a'), 'not this');
    await kit.send(driver, to(other, 'b'), 'from the other');
    expect(await box.textsOf(2)).to.deep.equal(['from one', 'from the other']);
  });

  test('tells the exchange and key that each message was sent with', async (kit) => {
    const driver = await kit.driver();
    const [one, other] = [name('e'), name('e')];
    const box = await kit.open(driver, [pattern(one, 'a.*'), pattern(other, '#')]);
    const sent = [to(one, 'a.b'), to(other, 'c'), to(other, 'a.b')];
    for (const address of sent) await kit.send(driver, address, 'x');
    await box.first(3);
    expect(box.items.map((delivery) => delivery.to)).to.deep.equal(sent);
  });

  test('keeps keys of the same name in two exchanges apart', async (kit) => {
    const driver = await kit.driver();
    const [one, other] = [name('e'), name('e')];
    const [first, second] = [await kit.open(driver, pattern(one, '#')), await kit.open(driver, pattern(other, '#'))];
    await kit.send(driver, to(one, 'k'), 'for one');
    await kit.send(driver, to(other, 'k'), 'for the other');
    await kit.send(driver, to(one, 'k'), 'fence');
    await kit.send(driver, to(other, 'k'), 'fence');
    expect(await first.before('fence')).to.deep.equal(['for one']);
    expect(await second.before('fence')).to.deep.equal(['for the other']);
  });

  test('forgets a private subscription when it closes', async (kit) => {
    const driver = await kit.driver();
    const exchange = name('e');
    const first = await kit.open(driver, pattern(exchange, '#'));
    await first.subscription.close();
    await kit.send(driver, to(exchange, 'k'), 'missed');
    const second = await kit.open(driver, pattern(exchange, '#'));
    await kit.send(driver, to(exchange, 'k'), 'fence');
    expect(await second.before('fence')).to.deep.equal([]);
  });

  suite.cases({ kinds: ['topic', 'anycast', 'unicast', 'multicast'] })(
    'shows a subscriber to everything nothing of what is sent to servers',
    async (kit) => {
      const driver = await kit.driver();
      const exchange = name('e');
      const everything = await kit.open(driver, pattern(exchange, '#'));
      const servers = [anycast(exchange, 't'), unicast('s', exchange, 't'), multicast(exchange, 't')];
      const boxes = await Promise.all(servers.map((address) => kit.open(driver, address)));
      for (const address of servers) await kit.send(driver, address, address.kind);
      for (const [index, box] of boxes.entries()) expect(await box.textsOf(1)).to.deep.equal([servers[index]?.kind]);
      await kit.send(driver, to(exchange, 't'), 'fence');
      expect(await everything.before('fence')).to.deep.equal([]);
      for (const box of boxes) expect(box.items).to.have.lengthOf(1);
    },
  );
}
