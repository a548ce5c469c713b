import { expect } from 'chai';
import { lifetime, outcomeOf } from '../kit.ts';
import { anycast, text, textOf } from '../messages.ts';
import type { Suite } from '../suite.ts';

const SHORT_MS = 60;
/**
 * When the broker has surely discarded it. RabbitMQ's classic queues do so by a timer; of what asks for a message
 * before that fires they say themselves that "we will send expired messages at times" (rabbit_amqqueue_process.erl,
 * `fetch`), and on a busy machine timers fire late.
 */
const DISCARDED_MS = SHORT_MS + 500;
/** Time enough to get there, also where nothing is discarded before a client has it. */
const MEDIUM_MS = 500;
const LONG_MS = 60_000;

/** Too late, or too early. */
export function ttl(suite: Suite): void {
  const test = suite.cases({ kinds: ['anycast'], when: (features) => features.ttl });

  test('delivers a message in time, with what is left of its lifetime', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    await driver.send(to, text('x', { ttlMs: LONG_MS }), { confirm: true });
    expect((await box.nth(1)).message.ttlMs).to.be.within(1, LONG_MS);
  });

  test('takes a lifetime that is no whole number', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    await driver.send(to, text('x', { ttlMs: LONG_MS + 0.25 }), { confirm: true });
    expect((await box.nth(1)).message.ttlMs).to.be.within(1, LONG_MS + 1);
  });

  test('discards what was not delivered in time, and nothing else', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const first = await kit.open(driver, to);
    await first.subscription.close();
    await driver.send(to, text('lasting', { ttlMs: LONG_MS }), { confirm: true });
    await driver.send(to, text('short-lived', { ttlMs: SHORT_MS }), { confirm: true });
    await kit.send(driver, to, 'eternal');
    await lifetime(DISCARDED_MS);
    const box = await kit.open(driver, to);
    expect(await box.textsOf(2)).to.deep.equal(['lasting', 'eternal']);
  });

  test('discards what grew too old behind work that took too long', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to, { prefetch: 1, settle: 'hold' });
    await kit.send(driver, to, 'long work');
    const held = await box.nth(1);
    await driver.send(to, text('short-lived', { ttlMs: SHORT_MS }), { confirm: true });
    await kit.send(driver, to, 'fence');
    await lifetime(DISCARDED_MS);
    await held.settle('accept');
    expect(await box.before('fence')).to.deep.equal(['long work']);
  });

  test('lets what was delivered in time be worked on for longer', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to, { settle: 'hold' });
    await driver.send(to, text('x', { ttlMs: MEDIUM_MS }), { confirm: true });
    const held = await box.nth(1);
    await lifetime(MEDIUM_MS + 1);
    expect(await held.settle('accept')).to.equal(true);
  });

  test('sets no lifetime where the sender sets none', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    await kit.send(driver, to, 'x');
    expect((await box.nth(1)).message.ttlMs).to.equal(undefined);
  });

  suite.cases({ kinds: ['anycast'], when: (features) => !features.ttl })(
    'refuses a message with a lifetime, where it cannot keep to it',
    async (kit) => {
      const driver = await kit.driver();
      const to = anycast();
      const box = await kit.open(driver, to);
      expect(await outcomeOf(driver.send(to, text('x', { ttlMs: LONG_MS })))).to.equal('UNSUPPORTED');
      await kit.send(driver, to, 'fence');
      expect(await box.before('fence')).to.deep.equal([]);
    },
  );

  const delay = suite.cases({ kinds: ['anycast'], when: (features) => features.delay });

  delay('delivers a delayed message no sooner than its delay', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    const from = performance.now();
    await kit.send(driver, to, 'delayed', { delayMs: 100 });
    await box.nth(1);
    expect(performance.now() - from).to.be.at.least(99);
  });

  delay('lets others pass a delayed message', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    await Promise.all([
      kit.send(driver, to, 'later', { delayMs: 1_000 }),
      kit.send(driver, to, 'late', { delayMs: 200 }),
      kit.send(driver, to, 'now'),
    ]);
    expect(await box.textsOf(3)).to.deep.equal(['now', 'late', 'later']);
  });

  delay('delivers a delayed message as it was sent', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    const message = text('delayed', { messageId: 'id', correlationId: 'c', headers: { n: 1 } });
    await driver.send(to, message, { confirm: true, delayMs: 50 });
    const { message: came } = await box.nth(1);
    expect([textOf(came), came.messageId, came.correlationId]).to.deep.equal(['delayed', 'id', 'c']);
    expect(came.headers).to.deep.equal({ n: 1 });
  });

  suite.cases({ kinds: ['anycast'], when: (features) => !features.delay })(
    'refuses a delay, where it has none',
    async (kit) => {
      const driver = await kit.driver();
      const to = anycast();
      const box = await kit.open(driver, to);
      expect(await outcomeOf(kit.send(driver, to, 'delayed', { delayMs: 50 }))).to.equal('UNSUPPORTED');
      await kit.send(driver, to, 'fence');
      expect(await box.before('fence')).to.deep.equal([]);
    },
  );
}
