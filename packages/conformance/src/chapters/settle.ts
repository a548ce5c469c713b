import { expect } from 'chai';
import type { Kit } from '../kit.ts';
import { anycast, group, mailbox, name, numbered, textOf } from '../messages.ts';
import type { Suite } from '../suite.ts';

const HOLD = { settle: 'hold' } as const;

/** How a delivery ends: once, and whatever happens without an error. */
export function settle(suite: Suite): void {
  const test = suite.cases({ kinds: ['anycast'] });

  test('forgets what was accepted', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to, HOLD);
    await kit.send(driver, to, 'done');
    expect(await (await box.nth(1)).settle('accept')).to.equal(true);
    await box.subscription.close();
    const next = await kit.open(driver, to);
    await kit.send(driver, to, 'fence');
    expect(await next.before('fence')).to.deep.equal([]);
  });

  test('delivers what was released again, marked as redelivered', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to, HOLD);
    await kit.send(driver, to, 'again');
    const first = await box.nth(1);
    expect(first.redelivered).to.equal(false);
    expect(await first.settle('release')).to.equal(true);
    const second = await box.nth(2);
    expect([textOf(second.message), second.redelivered]).to.deep.equal(['again', true]);
    await second.settle('accept');
    await kit.send(driver, to, 'fence');
    expect(await box.before('fence')).to.deep.equal(['again', 'again']);
  });

  test('delivers what was released with all its properties', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to, HOLD);
    const message = {
      body: Buffer.from('again'),
      messageId: name('id'),
      correlationId: 'c',
      headers: { n: 1, t: 'x' },
    };
    await driver.send(to, message, { confirm: true });
    const first = await box.nth(1);
    first.message.body.fill(0);
    await first.settle('release');
    const { body, messageId, correlationId, headers } = (await box.nth(2)).message;
    expect(Buffer.from(body).toString()).to.equal('again');
    expect({ messageId, correlationId }).to.deep.equal({ messageId: message.messageId, correlationId: 'c' });
    expect(headers).to.include(message.headers);
  });

  test('may deliver what was released to another consumer', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to, HOLD);
    await kit.send(driver, to, 'x');
    const held = await box.nth(1);
    await box.subscription.pause();
    const other = await kit.open(driver, to);
    await held.settle('release');
    const again = await other.nth(1);
    expect([textOf(again.message), again.redelivered]).to.deep.equal(['x', true]);
  });

  const inPlace = suite.cases({ kinds: ['anycast'], when: (features) => features.inPlace });
  inPlace('puts what was released back in its old place', async (kit) => {
    expect(await releasedAndFetched(kit)).to.deep.equal(numbered(5));
  });

  const anyPlace = suite.cases({ kinds: ['anycast'], when: (features) => !features.inPlace });
  anyPlace('puts what was released back, at whatever place', async (kit) => {
    expect((await releasedAndFetched(kit)).sort()).to.deep.equal(numbered(5));
  });

  test('gives a message back as often as it is released', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to, HOLD);
    await kit.send(driver, to, 'x');
    for (let nth = 1; nth <= 50; nth++) await (await box.nth(nth)).settle(nth < 50 ? 'release' : 'accept');
    await kit.send(driver, to, 'fence');
    expect(await box.before('fence')).to.have.lengthOf(50);
  });

  test('resolves a hundred releases, and delivers each message again', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to, { ...HOLD, prefetch: 200 });
    const texts = numbered(100);
    await kit.sendAll(driver, to, texts);
    const held = await box.first(100);
    expect(await Promise.all(held.map((delivery) => delivery.settle('release')))).to.deep.equal(Array(100).fill(true));
    const again = (await box.first(200)).slice(100);
    expect(again.every(({ redelivered }) => redelivered)).to.equal(true);
    expect(new Set(again.map(({ message }) => textOf(message)))).to.deep.equal(new Set(texts));
  });

  test('never delivers what was rejected again', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to, HOLD);
    await kit.send(driver, to, 'poison');
    expect(await (await box.nth(1)).settle('reject')).to.equal(true);
    await kit.send(driver, to, 'fence');
    expect(await box.before('fence')).to.deep.equal(['poison']);
  });

  for (const second of ['release', 'reject', 'accept'] as const) {
    test(`lets the first settlement count: accept, then ${second}`, async (kit) => {
      const driver = await kit.driver();
      const to = anycast();
      const box = await kit.open(driver, to, HOLD);
      await kit.send(driver, to, 'x');
      const delivery = await box.nth(1);
      await Promise.all([delivery.settle('accept'), delivery.settle(second)]);
      await delivery.settle(second);
      await kit.send(driver, to, 'fence');
      expect(await box.before('fence')).to.deep.equal(['x']);
    });
  }

  test('lets the first settlement count: release, then accept', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to, HOLD);
    await kit.send(driver, to, 'x');
    const delivery = await box.nth(1);
    await Promise.all([delivery.settle('release'), delivery.settle('accept')]);
    const again = await box.nth(2);
    expect([textOf(again.message), again.redelivered]).to.deep.equal(['x', true]);
    // The old delivery has no say in the new one.
    await delivery.settle('accept');
    await again.settle('release');
    expect(textOf((await box.nth(3)).message)).to.equal('x');
  });

  test('settles within the receiver itself', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to, { prefetch: 1, settle: 'accept' });
    const texts = numbered(20);
    await kit.sendAll(driver, to, texts);
    expect(await box.textsOf(20)).to.deep.equal(texts);
  });

  test('settles in any order', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to, { ...HOLD, prefetch: 4 });
    await kit.sendAll(driver, to, numbered(8));
    const held = await box.first(4);
    for (const index of [2, 0, 3, 1]) expect(await held[index]?.settle('accept')).to.equal(true);
    expect(await box.textsOf(8)).to.deep.equal(numbered(8));
  });

  test('cannot settle once the subscription was closed, says so, and counts it', async (kit) => {
    const { driver, late } = await kit.connect();
    const to = anycast();
    const box = await kit.open(driver, to, HOLD);
    await kit.send(driver, to, 'x');
    const held = await box.nth(1);
    await box.subscription.close();
    for (const outcome of ['accept', 'reject', 'release'] as const) expect(await held.settle(outcome)).to.equal(false);
    expect(late.items).to.have.lengthOf(1);
    expect(await (await kit.open(driver, to)).textsOf(1)).to.deep.equal(['x']);
  });

  test('cannot settle once the driver was closed, and says so', async (kit) => {
    const [driver, other] = [await kit.driver(), await kit.driver()];
    const to = anycast();
    const box = await kit.open(driver, to, HOLD);
    await kit.send(driver, to, 'x');
    const held = await box.nth(1);
    await driver.close();
    expect(await held.settle('accept')).to.equal(false);
    const next = await kit.open(other, to);
    expect([await next.textsOf(1), (await next.nth(1)).redelivered]).to.deep.equal([['x'], true]);
  });

  suite.cases({ kinds: ['anycast'], when: ({ deliveryCount }) => deliveryCount })(
    'counts how often a message was delivered before',
    async (kit) => {
      const driver = await kit.driver();
      const to = anycast();
      const box = await kit.open(driver, to, HOLD);
      await kit.send(driver, to, 'x');
      const counts: number[] = [];
      for (let nth = 1; nth <= 4; nth++) {
        const delivery = await box.nth(nth);
        counts.push(delivery.deliveryCount ?? 0);
        await delivery.settle(nth < 4 ? 'release' : 'accept');
      }
      expect(counts).to.deep.equal([0, 1, 2, 3]);
    },
  );

  suite.cases({ kinds: ['anycast'], when: ({ deliveryCount }) => !deliveryCount })(
    'tells no delivery count, where the broker does not count',
    async (kit) => {
      const driver = await kit.driver();
      const to = anycast();
      const box = await kit.open(driver, to, HOLD);
      await kit.send(driver, to, 'x');
      await (await box.nth(1)).settle('release');
      expect((await box.nth(2)).deliveryCount).to.equal(undefined);
    },
  );

  suite.cases({ kinds: ['mailbox', 'group'], when: ({ keep }) => keep })(
    'gives what was rejected to the group that was named for it, and nothing else',
    async (kit) => {
      const driver = await kit.driver();
      const [to, dead] = [mailbox(), group()];
      const graveyard = await kit.open(driver, dead);
      const box = await kit.open(driver, to, { ...HOLD, retention: { deadLetter: dead.name } });
      await kit.sendAll(driver, to, ['good', 'bad', 'released']);
      const [good, bad, released] = await box.first(3);
      await good?.settle('accept');
      await released?.settle('release');
      await bad?.settle('reject');
      expect(await graveyard.textsOf(1)).to.deep.equal(['bad']);
      await (await box.nth(4)).settle('accept');
      await kit.send(driver, dead, 'fence');
      expect(await graveyard.before('fence')).to.deep.equal(['bad']);
    },
  );
}

/** Releases the first three of m0 to m4 out of order, and tells in what order the next consumer gets all five. */
async function releasedAndFetched(kit: Kit): Promise<string[]> {
  const driver = await kit.driver();
  const to = anycast();
  const box = await kit.open(driver, to, { ...HOLD, prefetch: 3 });
  await kit.sendAll(driver, to, numbered(5));
  const [a, b, c] = await box.first(3);
  await box.subscription.pause();
  for (const delivery of [b, c, a]) await delivery?.settle('release');
  return await (await kit.open(driver, to)).textsOf(5);
}
