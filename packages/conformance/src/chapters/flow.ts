import { expect } from 'chai';
import { type Kit, type Link, outcomeOf } from '../kit.ts';
import { anycast, numbered, textOf } from '../messages.ts';
import type { Suite } from '../suite.ts';
import { waitFor } from '../wait-for.ts';

const BLOCK_MS = 60_000;

/** The broker does not read. */
export function flow(suite: Suite): void {
  const test = suite.cases({ kinds: ['anycast'], harness: ['block'], timeoutMs: BLOCK_MS });

  test('says that it is blocked, and that it is no longer', async (kit) => {
    const link = await kit.connect();
    const unblock = await blocked(kit, link);
    expect(link.statuses.items.at(-1)).to.have.property('reason').that.is.a('string');
    const from = link.statuses.items.length;
    await unblock();
    await link.statuses.find('connected', ({ state }) => state === 'connected', from);
    expect(link.statuses.items.map(({ state }) => state)).to.deep.equal(['connected', 'blocked', 'connected']);
  });

  test('fails sends by their deadline, and never writes those that failed before the write', async (kit) => {
    const [link, receiver] = [await kit.connect(), await kit.driver()];
    const to = anycast();
    const box = await kit.open(receiver, to);
    const unblock = await blocked(kit, link);
    const from = performance.now();
    const outcomes = await Promise.all(
      numbered(20).map((body) => outcomeOf(kit.send(link.driver, to, body, { timeoutMs: 300 }))),
    );
    expect(performance.now() - from).to.be.within(290, 5_000);
    for (const outcome of outcomes) expect(outcome).to.be.oneOf(['TIMEOUT', 'UNKNOWN', 'OVERLOADED']);
    await unblock();
    await kit.send(link.driver, to, 'fence');
    const unknown = numbered(20).filter((_, index) => outcomes[index] === 'UNKNOWN');
    expect(unknown).to.include.members(await box.before('fence'));
  });

  test('writes what waits once the block ends, and loses nothing', async (kit) => {
    const [link, receiver] = [await kit.connect(), await kit.driver()];
    const to = anycast();
    const box = await kit.open(receiver, to);
    const unblock = await blocked(kit, link);
    const texts = numbered(100);
    const sending = kit.sendAll(link.driver, to, texts, { timeoutMs: BLOCK_MS });
    await unblock();
    await sending;
    expect(await box.textsOf(100)).to.deep.equal(texts);
  });

  test('holds no more than the prefetch', async (kit) => {
    const link = await kit.connect();
    const to = anycast();
    const box = await kit.open(link.driver, to, { prefetch: 3, settle: 'hold' });
    await kit.sendAll(link.driver, to, numbered(10));
    await box.first(3);
    const unblock = await blocked(kit, link);
    const settled = (await box.first(3)).map((delivery) => delivery.settle('accept'));
    expect(box.items.length).to.be.at.most(6);
    await unblock();
    await Promise.all(settled);
    for (let nth = 4; nth <= 10; nth++) {
      const delivery = await box.nth(nth);
      expect(box.items.length - (nth - 1)).to.be.at.most(3);
      await delivery.settle('accept');
    }
    expect(box.items.map(({ message }) => textOf(message))).to.deep.equal(numbered(10));
  });

  test('closes by its signal while it is blocked', async (kit) => {
    const link = await kit.connect();
    const to = anycast();
    await kit.open(link.driver, to);
    await blocked(kit, link);
    const sending = outcomeOf(kit.send(link.driver, to, 'x'));
    const from = performance.now();
    await link.driver.close({ signal: AbortSignal.timeout(500) });
    expect(performance.now() - from).to.be.below(5_000);
    expect(await sending).to.be.oneOf(['CLOSED', 'UNKNOWN', 'CONNECTION', 'TIMEOUT']);
    expect(link.statuses.items.at(-1)?.state).to.equal('closed');
  });
}

/**
 * Blocks the broker, and resolves once the driver noticed. Brokers tell a connection only when it publishes, so it does:
 * what it publishes for that gets lost.
 */
async function blocked(kit: Kit, { driver, statuses }: Link): Promise<() => Promise<void>> {
  const unblock = await kit.block();
  const isBlocked = (): boolean => statuses.items.at(-1)?.state === 'blocked';
  await waitFor('word of the block', async () => {
    if (!isBlocked()) await outcomeOf(kit.send(driver, anycast(), 'poke', { timeoutMs: 100 }));
    return isBlocked();
  });
  return unblock;
}
