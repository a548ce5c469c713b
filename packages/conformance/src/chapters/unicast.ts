import { expect } from 'chai';
import { outcomeOf } from '../kit.ts';
import { AWKWARD_NAMES, anycast, name, unicast as to } from '../messages.ts';
import type { Suite } from '../suite.ts';

/** The one server of a topic that bears the name. */
export function unicast(suite: Suite): void {
  const test = suite.cases({ kinds: ['unicast'] });

  test('reaches the server of that name, and no other of its topic', async (kit) => {
    const driver = await kit.driver();
    const [exchange, topic] = [name('e'), name('t')];
    const [a, b] = [to('a', exchange, topic), to('b', exchange, topic)];
    const [atA, atB] = [await kit.open(driver, a), await kit.open(driver, b)];
    await kit.send(driver, a, 'for a');
    await kit.send(driver, b, 'for b');
    await kit.send(driver, a, 'fence');
    await kit.send(driver, b, 'fence');
    expect(await atA.before('fence')).to.deep.equal(['for a']);
    expect(await atB.before('fence')).to.deep.equal(['for b']);
  });

  test('keeps servers of the same name in two topics apart', async (kit) => {
    const driver = await kit.driver();
    const exchange = name('e');
    const addresses = [to('same', exchange, 't1'), to('same', exchange, 't2'), to('same', name('e'), 't1')];
    const boxes = await Promise.all(addresses.map((address) => kit.open(driver, address)));
    for (const [index, address] of addresses.entries()) await kit.send(driver, address, `m${index}`);
    for (const address of addresses) await kit.send(driver, address, 'fence');
    for (const [index, box] of boxes.entries()) expect(await box.before('fence')).to.deep.equal([`m${index}`]);
  });

  test('feeds a topic and a server of it into one subscription', async (kit) => {
    const driver = await kit.driver();
    const server = to('s');
    const everyone = anycast(server.exchange, server.topic);
    const box = await kit.open(driver, [server, everyone]);
    await kit.send(driver, everyone, 'for one');
    await kit.send(driver, server, 'for this one');
    expect(await box.textsOf(2)).to.have.members(['for one', 'for this one']);
  });

  test('gives back what is unsettled to the next consumer of that name', async (kit) => {
    const driver = await kit.driver();
    const address = to('s');
    const box = await kit.open(driver, address, { settle: 'hold' });
    await kit.sendAll(driver, address, ['one', 'two']);
    await box.first(2);
    await box.subscription.close();
    const next = await kit.open(driver, address);
    expect(await next.textsOf(2)).to.deep.equal(['one', 'two']);
  });

  test('reaches the next server of that name, however closely it follows', async (kit) => {
    const [one, other] = [await kit.driver(), await kit.driver()];
    for (let round = 0; round < 10; round++) {
      const address = to('s');
      const former = await kit.open(one, address);
      const [next] = await Promise.all([kit.open(other, address), former.subscription.close()]);
      await kit.send(one, address, 'x', { unrouted: 'fail' });
      await kit.send(one, address, 'y', { unrouted: 'fail' });
      expect(await next.textsOf(2)).to.deep.equal(['x', 'y']);
    }
  });

  for (const awkward of AWKWARD_NAMES) {
    test(`reaches a server that bears the name ${awkward.slice(0, 20)}`, async (kit) => {
      const driver = await kit.driver();
      const address = to(awkward);
      const box = await kit.open(driver, address);
      await kit.send(driver, address, 'x');
      expect(await box.textsOf(1)).to.deep.equal(['x']);
    });
  }

  suite.cases({ kinds: ['anycast', 'unicast'] })(
    'does not take what is sent to the topic, and the reverse',
    async (kit) => {
      const driver = await kit.driver();
      const server = to('s');
      const everyone = anycast(server.exchange, server.topic);
      const [own, shared] = [await kit.open(driver, server), await kit.open(driver, everyone)];
      // A naive join of the names would make this topic's queue that of the server.
      const joined = await kit.open(driver, anycast(server.exchange, `${server.topic}/s`));
      await kit.send(driver, everyone, 'for one');
      await kit.send(driver, server, 'for this one');
      await kit.send(driver, server, 'fence');
      await kit.send(driver, everyone, 'fence');
      expect(await own.before('fence')).to.deep.equal(['for this one']);
      expect(await shared.before('fence')).to.deep.equal(['for one']);
      await kit.send(driver, anycast(server.exchange, `${server.topic}/s`), 'fence');
      expect(await joined.before('fence')).to.deep.equal([]);
    },
  );

  suite.cases({ kinds: ['unicast'], when: ({ unroutable }) => unroutable === 'detected' })(
    'is unroutable once the server closed and left nothing behind, and nothing else is disturbed',
    async (kit) => {
      const { driver, statuses } = await kit.connect();
      const address = to('s');
      const box = await kit.open(driver, address);
      await kit.send(driver, address, 'x', { unrouted: 'fail' });
      await (await box.nth(1)).settle('accept');
      await box.subscription.close();
      expect(await outcomeOf(kit.send(driver, address, 'x', { unrouted: 'fail' }))).to.equal('UNROUTABLE');
      expect(statuses.items.map(({ state }) => state)).to.deep.equal(['connected']);
    },
  );
}
