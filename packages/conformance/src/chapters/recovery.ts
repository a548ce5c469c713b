import { setMaxListeners } from 'node:events';
import type { Address, SendOptions, Source, Status } from '@posthorn/core';
import { expect } from 'chai';
import { type Kit, type Link, outcomeOf } from '../kit.ts';
import { anycast, mailbox, multicast, name, numbered, pattern, textOf, topic, unicast } from '../messages.ts';
import type { Suite } from '../suite.ts';
import { waitFor } from '../wait-for.ts';

const HOLD = { settle: 'hold' } as const;
const RESTART_MS = 120_000;

/** Codes that promise that nothing was written. */
const NOT_WRITTEN = ['CONNECTION', 'OVERLOADED', 'TIMEOUT', 'CLOSED'];

/** The connection is lost, and comes back. */
export function recovery(suite: Suite): void {
  const harness = ['breakConnection'] as const;
  const test = suite.cases({ kinds: ['anycast'], harness });

  test('tells of the loss and of the new connection', async (kit) => {
    const link = await kit.connect();
    await kit.cut(link);
    await kit.restored(link);
    const { items } = link.statuses;
    expect(items.at(0)).to.include({ state: 'connected', generation: 1 });
    expect(items.at(-1)).to.include({ state: 'connected', generation: 2 });
    const between = items.slice(1, -1);
    expect(between.map(({ state }) => state)).to.deep.equal(Array(between.length).fill('disconnected'));
    for (const status of between) expectLoss(status);
  });

  const restored: readonly { readonly kind: Address['kind']; readonly make: () => readonly [Source, Address] }[] = [
    { kind: 'anycast', make: () => twice(anycast()) },
    { kind: 'unicast', make: () => twice(unicast('s')) },
    { kind: 'multicast', make: () => twice(multicast()) },
    { kind: 'mailbox', make: () => twice(mailbox()) },
    { kind: 'topic', make: () => topicPair(name('e')) },
  ];
  for (const { kind, make } of restored) {
    suite.cases({ kinds: [kind], harness })(`goes on delivering from a ${kind} source`, async (kit) => {
      const [link, sender] = [await kit.connect(), await kit.driver()];
      const [source, to] = make();
      const box = await kit.open(link.driver, source);
      await kit.send(sender, to, 'before');
      await box.first(1);
      await kit.cut(link);
      await reaches(kit, link, to, box);
    });
  }

  suite.cases({ kinds: ['topic', 'group'], harness })('goes on delivering to a group', async (kit) => {
    const [link, sender] = [await kit.connect(), await kit.driver()];
    const exchange = name('e');
    const box = await kit.open(link.driver, pattern(exchange, '#'), { group: name('g') });
    await kit.cut(link);
    const texts = numbered(20);
    await kit.sendAll(sender, topic(exchange, 'k'), texts);
    expect(await box.textsOf(20)).to.deep.equal(texts);
  });

  test('delivers again what was unsettled, settles it there alone, and counts who tries elsewhere', async (kit) => {
    const [link, sender] = [await kit.connect(), await kit.driver()];
    const to = anycast();
    const box = await kit.open(link.driver, to, HOLD);
    await kit.sendAll(sender, to, ['one', 'two']);
    const old = await box.first(2);
    await kit.cut(link);
    const again = (await box.first(4)).slice(2);
    expect(again.map(({ message }) => textOf(message))).to.deep.equal(['one', 'two']);
    expect(again.map(({ redelivered }) => redelivered)).to.deep.equal([true, true]);
    for (const outcome of ['accept', 'reject', 'release'] as const)
      for (const delivery of old) expect(await delivery.settle(outcome)).to.equal(false);
    expect(link.late.items).to.have.lengthOf(old.length);
    for (const delivery of again) expect(await delivery.settle('accept')).to.equal(true);
    await kit.send(sender, to, 'fence');
    expect(await box.before('fence')).to.have.lengthOf(4);
  });

  test('does nothing with a settlement from before the loss', async (kit) => {
    const [link, sender] = [await kit.connect(), await kit.driver()];
    const to = anycast();
    const box = await kit.open(link.driver, to, { ...HOLD, prefetch: 1 });
    await kit.sendAll(sender, to, ['one', 'two']);
    const old = await box.nth(1);
    await kit.cut(link);
    const again = await box.nth(2);
    // Had an old settlement reached the new connection, it would make room there, or lose a message.
    for (const outcome of ['accept', 'reject'] as const) expect(await old.settle(outcome)).to.equal(false);
    const other = await kit.open(sender, to);
    await other.first(1);
    expect(box.items).to.have.lengthOf(2);
    await again.settle('accept');
    expect([textOf(again.message), ...other.texts].sort()).to.deep.equal(['one', 'two']);
  });

  test('keeps to the prefetch after a loss', async (kit) => {
    const [link, sender] = [await kit.connect(), await kit.driver()];
    const to = anycast();
    const box = await kit.open(link.driver, to, { ...HOLD, prefetch: 2 });
    await kit.sendAll(sender, to, numbered(6));
    await box.first(2);
    await kit.cut(link);
    await box.first(4);
    const rest = await kit.open(sender, to);
    await rest.first(4);
    expect(box.items).to.have.lengthOf(4);
  });

  test('keeps a paused subscription paused', async (kit) => {
    const [link, sender] = [await kit.connect(), await kit.driver()];
    const to = anycast();
    const paused = await kit.open(link.driver, to);
    await paused.subscription.pause();
    await kit.cut(link);
    await kit.restored(link);
    const working = await kit.open(link.driver, to);
    await kit.sendAll(sender, to, numbered(10));
    expect(await working.textsOf(10)).to.deep.equal(numbered(10));
    await working.subscription.close();
    await paused.subscription.resume();
    await kit.send(sender, to, 'x');
    expect(await paused.textsOf(1)).to.deep.equal(['x']);
  });

  test('keeps a stopped subscription stopped', async (kit) => {
    const [link, sender] = [await kit.connect(), await kit.driver()];
    const to = anycast();
    const stopped = await kit.open(link.driver, to);
    await stopped.subscription.stop();
    await kit.cut(link);
    await kit.restored(link);
    const working = await kit.open(link.driver, to);
    await kit.sendAll(sender, to, numbered(10));
    expect(await working.textsOf(10)).to.deep.equal(numbered(10));
    expect(stopped.texts).to.deep.equal([]);
  });

  test('restores no subscription that was closed', async (kit) => {
    const [link, sender] = [await kit.connect(), await kit.driver()];
    const to = anycast();
    const closed = await kit.open(link.driver, to);
    await kit.cut(link);
    await closed.subscription.close();
    await kit.restored(link);
    const working = await kit.open(link.driver, to);
    await kit.sendAll(sender, to, numbered(10));
    expect(await working.textsOf(10)).to.deep.equal(numbered(10));
    expect(await closed.subscription.ended).to.equal(undefined);
  });

  test('has one consumer per subscription after five losses', async (kit) => {
    const [link, sender] = [await kit.connect(), await kit.driver()];
    const to = anycast();
    const box = await kit.open(link.driver, to, { ...HOLD, prefetch: 1 });
    for (let round = 0; round < 5; round++) {
      await kit.cut(link);
      await kit.restored(link);
    }
    expect(link.statuses.items.at(-1)).to.include({ state: 'connected', generation: 6 });
    await kit.sendAll(sender, to, numbered(4));
    await box.first(1);
    const rest = await kit.open(sender, to);
    await rest.first(3);
    expect(box.items).to.have.lengthOf(1);
  });

  test('touches no other driver', async (kit) => {
    const [link, other] = [await kit.connect(), await kit.connect()];
    const to = anycast();
    const box = await kit.open(other.driver, to);
    await kit.cut(link);
    await kit.send(other.driver, to, 'x');
    expect(await box.textsOf(1)).to.deep.equal(['x']);
    expect(other.statuses.items.map(({ state }) => state)).to.deep.equal(['connected']);
  });

  test('lets sends wait for the new connection', async (kit) => {
    const [link, receiver] = [await kit.connect(), await kit.driver()];
    const to = anycast();
    const box = await kit.open(receiver, to);
    await kit.cut(link);
    const texts = numbered(50);
    await kit.sendAll(link.driver, to, texts);
    expect(await box.textsOf(50)).to.deep.equal(texts);
  });

  test('lets a subscription wait for the new connection', async (kit) => {
    const [link, sender] = [await kit.connect(), await kit.driver()];
    const to = anycast();
    await kit.cut(link);
    const box = await kit.open(link.driver, to);
    await kit.send(sender, to, 'x');
    expect(await box.textsOf(1)).to.deep.equal(['x']);
  });

  test('gives up a send at its deadline, and does not write it later', async (kit) => {
    const [link, receiver] = [await kit.connect(), await kit.driver()];
    const to = anycast();
    const box = await kit.open(receiver, to);
    await kit.cut(link);
    const outcomes = await sendUnder(kit, link, to, numbered(10), { timeoutMs: 1 });
    await kit.send(link.driver, to, 'fence');
    await isTrue(box.before('fence'), outcomes);
    // Were the connection back within the millisecond, all would have been sent.
    for (const outcome of outcomes.values()) expect(outcome).to.be.oneOf(['TIMEOUT', 'resolved']);
  });

  test('gives up a send with the reason of its signal, and does not write it later', async (kit) => {
    const [link, receiver] = [await kit.connect(), await kit.driver()];
    const to = anycast();
    const box = await kit.open(receiver, to);
    await kit.cut(link);
    const abort = new AbortController();
    const reason = { not: 'an error' };
    const sending = outcomeOf(kit.send(link.driver, to, 'aborted', { signal: abort.signal }));
    abort.abort(reason);
    expect(await sending).to.equal(reason);
    await kit.send(link.driver, to, 'fence');
    expect(await box.before('fence')).to.deep.equal([]);
  });

  test('asks beforeWrite at the time of the write, not while the message waits', async (kit) => {
    const [link, receiver] = [await kit.connect(), await kit.driver()];
    const to = anycast();
    const box = await kit.open(receiver, to);
    await kit.cut(link);
    let wanted = true;
    const sending = kit.send(link.driver, to, 'no longer wanted', { beforeWrite: () => wanted });
    wanted = false;
    await sending;
    await kit.send(link.driver, to, 'fence');
    expect(await box.before('fence')).to.deep.equal([]);
  });

  test('bounds the line of messages that wait', async (kit) => {
    const link = await kit.connect();
    const to = anycast();
    await kit.cut(link);
    const abort = new AbortController();
    setMaxListeners(0, abort.signal);
    const message = { body: Buffer.alloc(1024 * 1024) };
    const outcomes: unknown[] = [];
    const sending: Promise<unknown>[] = [];
    // In one turn of the event loop, during which no connection can come back. The bodies are one and the same.
    for (let count = 0; count < 20_000; count++) {
      const outcome = outcomeOf(link.driver.send(to, message, { signal: abort.signal }));
      sending.push(outcome.then((each) => outcomes.push(each)));
    }
    await Promise.resolve();
    abort.abort('enough');
    await Promise.all(sending);
    expect(new Set(outcomes)).to.deep.equal(new Set(['OVERLOADED', 'enough']));
    await kit.send(link.driver, to, 'there is room again');
  });

  test('tells the truth about each message around a loss', async (kit) => {
    const [link, receiver] = [await kit.connect(), await kit.driver()];
    const to = anycast();
    const box = await kit.open(receiver, to);
    await kit.send(link.driver, to, 'first');
    const outcomes = new Map<string, unknown>();
    const sending: Promise<unknown>[] = [];
    const burst = (hint: string): void => {
      const sent = sendUnder(kit, link, to, numbered(50, hint), {});
      sending.push(sent.then((some) => some.forEach((outcome, body) => void outcomes.set(body, outcome))));
    };
    for (let round = 0; round < 4; round++) {
      burst(`a${round}-`);
      const cut = kit.cut(link);
      burst(`b${round}-`);
      await cut;
      burst(`c${round}-`);
      await kit.restored(link);
    }
    await Promise.all(sending);
    for (const outcome of outcomes.values()) expect(outcome).to.be.oneOf(['resolved', 'UNKNOWN', ...NOT_WRITTEN]);
    await kit.send(link.driver, to, 'fence');
    await isTrue(box.before('fence'), outcomes);
  });

  test('closes while it is disconnected, and refuses what waits', async (kit) => {
    const link = await kit.connect();
    const { subscription } = await kit.open(link.driver, anycast());
    await kit.cut(link);
    const sending = outcomeOf(kit.send(link.driver, anycast(), 'x'));
    const subscribing = outcomeOf(link.driver.subscribe([anycast()], () => {}));
    await link.driver.close();
    expect(await sending).to.be.oneOf(['CLOSED', 'resolved']);
    expect(await subscribing).to.be.oneOf(['CLOSED', 'resolved']);
    expect(await subscription.ended).to.equal(undefined);
    expect(link.statuses.items.at(-1)?.state).to.equal('closed');
  });

  test('closes a subscription while it is disconnected', async (kit) => {
    const link = await kit.connect();
    const { subscription } = await kit.open(link.driver, anycast());
    await kit.cut(link);
    await Promise.all([subscription.pause(), subscription.stop(), subscription.close()]);
    expect(await subscription.ended).to.equal(undefined);
  });

  test('closes at the moment of the loss', async (kit) => {
    const link = await kit.connect();
    await kit.open(link.driver, anycast());
    await Promise.all([kit.harness.breakConnection?.(link.driver), link.driver.close()]);
    expect(link.statuses.items.at(-1)?.state).to.equal('closed');
  });

  test('keeps its features', async (kit) => {
    const link = await kit.connect();
    const before = structuredClone(link.driver.features);
    await kit.cut(link);
    expect(link.driver.features).to.deep.equal(before);
    await kit.restored(link);
    expect(link.driver.features).to.deep.equal(before);
  });

  const reply = suite.cases({ kinds: ['reply'], harness });

  reply('ends a reply subscription with the loss as the reason', async (kit) => {
    const link = await kit.connect();
    const box = await kit.open(link.driver, { kind: 'reply' });
    await kit.cut(link);
    expect(await box.subscription.ended).to.be.an('error');
  });

  reply('has a fresh reply address for who asks again', async (kit) => {
    const [link, peer] = [await kit.connect(), await kit.driver()];
    const first = await kit.open(link.driver, { kind: 'reply' });
    await kit.cut(link);
    await first.subscription.ended;
    const second = await kit.open(link.driver, { kind: 'reply' });
    expect(second.subscription.address).to.not.deep.equal(first.subscription.address);
    await kit.send(peer, second.subscription.address, 'x', { unrouted: 'fail' });
    expect(await second.textsOf(1)).to.deep.equal(['x']);
    expect(first.texts).to.deep.equal([]);
  });

  const restart = { harness: ['restart'], timeoutMs: RESTART_MS } as const;

  suite.cases({ ...restart, kinds: ['anycast', 'mailbox'], when: ({ durable, keep }) => durable && keep })(
    'comes back after a restart of the broker, with what was to survive it',
    async (kit) => {
      const link = await kit.connect();
      const [to, kept] = [anycast(), mailbox()];
      const options = { unrouted: 'keep', persistent: true, retention: { durability: 'durable' } } as const;
      await kit.sendAll(link.driver, kept, numbered(20), options);
      const box = await kit.open(link.driver, to, HOLD);
      await kit.send(link.driver, to, 'unsettled', { persistent: true });
      await box.first(1);
      await kit.harness.restart?.();
      await kit.restored(link, RESTART_MS);
      await box.until('the unsettled one', (items) => items.length >= 2, RESTART_MS / 2);
      expect([textOf((await box.nth(2)).message), (await box.nth(2)).redelivered]).to.deep.equal(['unsettled', true]);
      const survivors = await (await kit.open(link.driver, kept)).textsOf(20);
      expect([...survivors].sort()).to.deep.equal(numbered(20).sort());
      await kit.send(link.driver, to, 'after');
      expect(textOf((await box.nth(3)).message)).to.equal('after');
    },
  );

  suite.cases({ ...restart, kinds: ['anycast'], when: ({ durable }) => durable })(
    'loses no confirmed message through a restart under traffic',
    async (kit) => {
      const [link, receiver] = [await kit.connect(), await kit.connect()];
      const to = anycast();
      const box = await kit.open(receiver.driver, to);
      const outcomes = new Map<string, unknown>();
      let restarting: Promise<void> | undefined;
      const texts = numbered(1_000);
      for (let start = 0; start < texts.length; start += 50) {
        const chunk = texts.slice(start, start + 50);
        const sent = sendUnder(kit, link, to, chunk, { persistent: true, timeoutMs: RESTART_MS / 2 });
        if (start === 350) restarting = kit.harness.restart?.();
        for (const [body, outcome] of await sent) outcomes.set(body, outcome);
      }
      await restarting;
      await kit.restored(receiver, RESTART_MS);
      await kit.send(link.driver, to, 'fence');
      await isTrue(box.before('fence'), outcomes, { again: true });
    },
  );
}

function expectLoss(status: Status): void {
  if (status.state !== 'disconnected') throw new Error(`expected a loss, not ${status.state}`);
  expect(status.error).to.be.an('error');
  expect(status.attempt).to.be.a('number').that.is.at.least(0);
  expect(status.retryInMs).to.be.a('number').that.is.at.least(0);
}

function twice<A extends Extract<Address, Source>>(address: A): readonly [Source, Address] {
  return [address, address];
}

function topicPair(exchange: string): readonly [Source, Address] {
  return [pattern(exchange, '#'), topic(exchange, 'k')];
}

/** Waits until the subscription, which is restored in its own time, receives again. */
async function reaches(kit: Kit, link: Link, to: Address, box: { readonly texts: string[] }): Promise<void> {
  await kit.restored(link);
  await waitFor('the subscription to receive again', async () => {
    await kit.send(link.driver, to, 'after');
    return box.texts.includes('after');
  });
}

/** Sends the texts at once, and tells how each ended. */
async function sendUnder(
  kit: Kit,
  { driver }: Link,
  to: Address,
  bodies: readonly string[],
  options: SendOptions,
): Promise<Map<string, unknown>> {
  const outcomes = new Map<string, unknown>();
  await Promise.all(
    bodies.map(async (body) => outcomes.set(body, await outcomeOf(kit.send(driver, to, body, options)))),
  );
  return outcomes;
}

/** What was confirmed came, what was not written did not, and nothing came twice, unless a consumer was lost as well. */
async function isTrue(
  arrived: Promise<readonly string[]>,
  outcomes: ReadonlyMap<string, unknown>,
  { again = false }: { readonly again?: boolean } = {},
): Promise<void> {
  const texts = await arrived;
  const came = new Set(texts);
  const those = (test: (outcome: unknown) => boolean): string[] =>
    [...outcomes].filter(([, outcome]) => test(outcome)).map(([body]) => body);
  const lost = those((outcome) => outcome === 'resolved').filter((body) => !came.has(body));
  const ghosts = those((outcome) => NOT_WRITTEN.includes(String(outcome))).filter((body) => came.has(body));
  expect(lost, 'confirmed, and lost').to.deep.equal([]);
  expect(ghosts, 'failed, and written all the same').to.deep.equal([]);
  if (!again) expect(texts.length, 'copies').to.equal(came.size);
}
