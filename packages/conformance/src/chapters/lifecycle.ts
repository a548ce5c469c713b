import type { Delivery, Subscription } from '@posthorn/core';
import { expect } from 'chai';
import { Box } from '../box.ts';
import { type Kit, outcomeOf } from '../kit.ts';
import { anycast, multicast, numbered, textOf } from '../messages.ts';
import type { Suite } from '../suite.ts';

const HOLD = { settle: 'hold' } as const;

/** Born connected, and ended by close. */
export function lifecycle(suite: Suite): void {
  const test = suite.cases({ kinds: ['anycast'] });
  const both = suite.cases({ kinds: ['anycast', 'multicast'] });

  test('is born connected, and says so first', async (kit) => {
    const { driver, statuses } = await kit.connect();
    expect(statuses.items.map(({ state }) => state)).to.deep.equal(['connected']);
    const [status] = statuses.items;
    expect(status).to.include({ state: 'connected', generation: 1 }).and.to.have.property('host').that.is.a('string');
    expect(driver.name).to.match(/^[a-z][a-z0-9]*$/);
  });

  test('tells that it was closed, last and once', async (kit) => {
    const { driver, statuses } = await kit.connect();
    await kit.open(driver, anycast());
    await driver.close();
    await driver.close();
    expect(statuses.items.map(({ state }) => state)).to.deep.equal(['connected', 'closed']);
  });

  test('closes with the same promise each time', async (kit) => {
    const driver = await kit.driver();
    const closing = driver.close();
    expect(driver.close() === closing, 'the same promise').to.equal(true);
    await closing;
    expect(driver.close() === closing, 'the same promise, later').to.equal(true);
  });

  test('closes by asyncDispose as well', async (kit) => {
    const { driver, statuses } = await kit.connect();
    await driver[Symbol.asyncDispose]();
    expect(statuses.items.at(-1)?.state).to.equal('closed');
  });

  test('refuses to send or subscribe once it was closed', async (kit) => {
    const driver = await kit.driver();
    const closing = driver.close();
    expect(await outcomeOf(kit.send(driver, anycast(), 'x'))).to.equal('CLOSED');
    await closing;
    expect(await outcomeOf(kit.send(driver, anycast(), 'x'))).to.equal('CLOSED');
    expect(await outcomeOf(driver.subscribe([anycast()], () => {}))).to.equal('CLOSED');
  });

  both('ends its subscriptions when it closes', async (kit) => {
    const driver = await kit.driver();
    const boxes = [await kit.open(driver, anycast()), await kit.open(driver, multicast())];
    await driver.close();
    for (const { subscription } of boxes) expect(await subscription.ended).to.equal(undefined);
    for (const { subscription } of boxes) await subscription.close();
  });

  test('waits for sends in progress when it closes', async (kit) => {
    const [driver, receiver] = [await kit.driver(), await kit.driver()];
    const to = anycast();
    const box = await kit.open(receiver, to);
    const texts = numbered(300);
    const sending = Promise.all(texts.map((each) => outcomeOf(kit.send(driver, to, each))));
    await driver.close();
    expect(new Set(await sending)).to.deep.equal(new Set(['resolved']));
    expect(await box.textsOf(300)).to.deep.equal(texts);
  });

  test('waits for unconfirmed sends in progress when it closes', async (kit) => {
    const [driver, receiver] = [await kit.driver(), await kit.driver()];
    const to = anycast();
    const box = await kit.open(receiver, to);
    const texts = numbered(300);
    const sending = Promise.all(texts.map((each) => outcomeOf(kit.send(driver, to, each, { confirm: false }))));
    await driver.close();
    expect(new Set(await sending)).to.deep.equal(new Set(['resolved']));
    expect(await box.textsOf(300)).to.deep.equal(texts);
  });

  test('loses nothing of what 5 senders sent before they closed', async (kit) => {
    const receiver = await kit.driver();
    const to = anycast();
    const box = await kit.open(receiver, to);
    const senders = await Promise.all(numbered(5).map(() => kit.driver()));
    await Promise.all(
      senders.map(async (driver, index) => {
        await kit.sendAll(driver, to, numbered(200, `s${index}-`));
        await driver.close();
      }),
    );
    await box.first(1_000);
    expect(new Set(box.texts).size).to.equal(1_000);
  });

  test('closes at once when its signal was aborted already', async (kit) => {
    const { driver, statuses } = await kit.connect();
    await kit.open(driver, anycast(), HOLD);
    await driver.close({ signal: AbortSignal.abort() });
    expect(statuses.items.at(-1)?.state).to.equal('closed');
  });

  test('closes one driver, and leaves another alone', async (kit) => {
    const [one, other] = [await kit.driver(), await kit.driver()];
    const to = anycast();
    const box = await kit.open(other, to);
    await kit.open(one, anycast());
    await one.close();
    await kit.send(other, to, 'x');
    expect(await box.textsOf(1)).to.deep.equal(['x']);
  });

  test('refuses to subscribe to nothing', async (kit) => {
    const driver = await kit.driver();
    expect(await outcomeOf(driver.subscribe([], () => {}))).to.equal('CONFIG');
  });

  both('delivers what is sent from the moment a subscription resolved', async (kit) => {
    const [sender, receiver] = [await kit.driver(), await kit.driver()];
    for (let round = 0; round < 10; round++) {
      const to = multicast();
      const box = await kit.open(receiver, to);
      await kit.send(sender, to, 'x', { confirm: false });
      expect(await box.textsOf(1)).to.deep.equal(['x']);
    }
  });

  test('rejects a subscription with the reason of a signal that is aborted already', async (kit) => {
    const driver = await kit.driver();
    const reason = { not: 'an error' };
    const signal = AbortSignal.abort(reason);
    expect(await outcomeOf(driver.subscribe([anycast()], () => {}, { signal }))).to.equal(reason);
  });

  test('leaves no consumer behind where a subscription was aborted on its way', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    await kit.open(driver, to).then(({ subscription }) => subscription.close());
    const abort = new AbortController();
    const reason = new Error('enough');
    const subscribing = Box.open(driver, [to], { signal: abort.signal });
    abort.abort(reason);
    const outcome = await outcomeOf(subscribing);
    expect(outcome).to.be.oneOf(['resolved', reason]);
    if (outcome === 'resolved') await (await subscribing).subscription.close();
    const box = await kit.open(driver, to);
    await kit.sendAll(driver, to, numbered(10));
    expect(await box.textsOf(10)).to.deep.equal(numbered(10));
  });

  test('leaves a subscription alone when its signal is aborted later', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const abort = new AbortController();
    const box = await kit.open(driver, to, { signal: abort.signal });
    abort.abort();
    await kit.send(driver, to, 'x');
    expect(await box.textsOf(1)).to.deep.equal(['x']);
  });

  both('delivers nothing while paused, keeps what comes, and delivers it when resumed', async (kit) => {
    const driver = await kit.driver();
    const to = multicast();
    const [paused, fence] = [await kit.open(driver, to), await kit.open(driver, to)];
    await paused.subscription.pause();
    const texts = numbered(5);
    await kit.sendAll(driver, to, texts);
    await fence.first(5);
    expect(paused.texts).to.deep.equal([]);
    await paused.subscription.resume();
    expect(await paused.textsOf(5)).to.deep.equal(texts);
  });

  test('leaves the work to others while paused', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const [paused, working] = [await kit.open(driver, to), await kit.open(driver, to)];
    await paused.subscription.pause();
    await kit.sendAll(driver, to, numbered(20));
    expect(await working.textsOf(20)).to.deep.equal(numbered(20));
    expect(paused.texts).to.deep.equal([]);
  });

  test('lets held deliveries be settled while paused', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to, { ...HOLD, prefetch: 2 });
    await kit.sendAll(driver, to, numbered(3));
    const held = await box.first(2);
    await box.subscription.pause();
    for (const delivery of held) expect(await delivery.settle('accept')).to.equal(true);
    await box.subscription.resume();
    expect(await box.textsOf(3)).to.deep.equal(numbered(3));
    expect((await box.nth(3)).redelivered).to.equal(false);
  });

  test('ends in the last of several pauses and resumes', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    const { subscription } = box;
    await Promise.all([subscription.pause(), subscription.resume(), subscription.pause(), subscription.resume()]);
    await kit.sendAll(driver, to, ['one', 'two']);
    expect(await box.textsOf(2)).to.deep.equal(['one', 'two']);
    await Promise.all([subscription.pause(), subscription.resume(), subscription.pause()]);
    const other = await kit.open(driver, to);
    await kit.sendAll(driver, to, numbered(10));
    expect(await other.textsOf(10)).to.deep.equal(numbered(10));
  });

  test('takes nothing more once stopped, also after a resume', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const [stopped, working] = [await kit.open(driver, to), await kit.open(driver, to)];
    await stopped.subscription.stop();
    await stopped.subscription.resume();
    await kit.sendAll(driver, to, numbered(20));
    expect(await working.textsOf(20)).to.deep.equal(numbered(20));
    expect(stopped.texts).to.deep.equal([]);
  });

  test('lets held deliveries be settled once stopped', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to, HOLD);
    await kit.sendAll(driver, to, ['done', 'given back', 'unsettled']);
    const [done, released] = await box.first(3);
    await box.subscription.stop();
    const next = await kit.open(driver, to);
    expect(await done?.settle('accept')).to.equal(true);
    expect(await released?.settle('release')).to.equal(true);
    expect(await next.textsOf(1)).to.deep.equal(['given back']);
    await box.subscription.close();
    expect(await next.textsOf(2)).to.deep.equal(['given back', 'unsettled']);
    await kit.send(driver, to, 'fence');
    expect(await next.before('fence')).to.have.lengthOf(2);
  });

  const inPlace = suite.cases({ kinds: ['anycast'], when: (features) => features.inPlace });
  inPlace('gives back what is unsettled when it closes, in the old order', async (kit) => {
    const came = await closedAndFetched(kit);
    expect(came).to.deep.equal(numbered(15).filter((each) => each !== 'm2' && each !== 'm7'));
  });

  const anyPlace = suite.cases({ kinds: ['anycast'], when: (features) => !features.inPlace });
  anyPlace('gives back what is unsettled when it closes, in whatever order', async (kit) => {
    const came = await closedAndFetched(kit);
    expect(came).to.have.members(numbered(15).filter((each) => each !== 'm2' && each !== 'm7'));
  });

  test('ends without an error when its owner closes it, however often', async (kit) => {
    const { subscription } = await kit.open(await kit.driver(), anycast());
    await Promise.all([subscription.close(), subscription.close()]);
    await subscription.close();
    await subscription[Symbol.asyncDispose]();
    expect(await subscription.ended).to.equal(undefined);
  });

  test('can be paused, resumed and stopped after its end without an error', async (kit) => {
    const { subscription } = await kit.open(await kit.driver(), anycast());
    await subscription.close();
    await subscription.pause();
    await subscription.resume();
    await subscription.stop();
  });

  test('delivers nothing more once closed', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to, { ...HOLD, prefetch: 1 });
    await kit.sendAll(driver, to, numbered(3));
    await box.first(1);
    await box.subscription.close();
    expect(await (await kit.open(driver, to)).textsOf(3)).to.deep.equal(numbered(3));
    expect(box.items).to.have.lengthOf(1);
  });

  test('goes on after 20 subscriptions came and went at once', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const seen: string[] = [];
    const receive = (delivery: Delivery): void => {
      void delivery.settle('accept').then((settled) => settled && seen.push(textOf(delivery.message)));
    };
    const churn = async (): Promise<void> => {
      const subscription: Subscription = await driver.subscribe([to], receive);
      await subscription.close();
    };
    await Promise.all(numbered(20).map(churn));
    const box = await kit.open(driver, to);
    await kit.sendAll(driver, to, numbered(50));
    expect(await box.textsOf(50)).to.deep.equal(numbered(50));
    expect(seen).to.deep.equal([]);
  });

  test('loses nothing while consumers come and go under load', async (kit) => {
    const [driver, sender] = [await kit.driver(), await kit.driver()];
    const to = anycast();
    const seen = new Set<string>();
    const receive = (delivery: Delivery): void => {
      seen.add(textOf(delivery.message));
      void delivery.settle('accept');
    };
    await (await driver.subscribe([to], receive)).close();
    const sending = kit.sendAll(sender, to, numbered(500));
    for (let round = 0; round < 10; round++) await (await driver.subscribe([to], receive, { prefetch: 5 })).close();
    await sending;
    const rest = await kit.open(driver, to);
    await kit.send(sender, to, 'fence');
    await rest.before('fence');
    expect(new Set([...seen, ...rest.texts]).size).to.equal(501);
  });
}

/** Closes with eight of m0 to m14 unsettled and two settled, and tells in what order the next consumer gets the rest. */
async function closedAndFetched(kit: Kit): Promise<string[]> {
  const driver = await kit.driver();
  const to = anycast();
  const box = await kit.open(driver, to, { ...HOLD, prefetch: 10 });
  await kit.sendAll(driver, to, numbered(15));
  const held = await box.first(10);
  for (const index of [7, 2]) await held[index]?.settle('accept');
  await box.subscription.close();
  const next = await kit.open(driver, to);
  const came = await next.textsOf(13);
  const redelivered = next.items.filter((delivery) => delivery.redelivered).map(({ message }) => textOf(message));
  expect(redelivered).to.include.members(['m0', 'm1', 'm3', 'm4', 'm5', 'm6', 'm8', 'm9']);
  // The two that were settled made room for two more, which may have been on their way.
  expect(['m12', 'm13', 'm14'].filter((each) => redelivered.includes(each))).to.deep.equal([]);
  return came;
}
