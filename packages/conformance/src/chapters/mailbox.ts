import { expect } from 'chai';
import { outcomeOf } from '../kit.ts';
import { AWKWARD_NAMES, numbered, mailbox as to } from '../messages.ts';
import type { Suite } from '../suite.ts';
import { waitFor } from '../wait-for.ts';

/** Kept until fetched. */
export function mailbox(suite: Suite): void {
  const test = suite.cases({ kinds: ['mailbox'], when: ({ keep }) => keep });

  test('keeps what is sent before its first consumer, in order', async (kit) => {
    const [sender, reader] = [await kit.driver(), await kit.driver()];
    const address = to();
    const texts = numbered(10);
    for (const each of texts) await kit.send(sender, address, each, { unrouted: 'keep' });
    expect(await (await kit.open(reader, address)).textsOf(10)).to.deep.equal(texts);
  });

  test('keeps what is sent concurrently before its first consumer, once each', async (kit) => {
    const driver = await kit.driver();
    const address = to();
    const texts = numbered(50);
    await kit.sendAll(driver, address, texts, { unrouted: 'keep' });
    const box = await kit.open(driver, address);
    await box.first(50);
    await kit.send(driver, address, 'fence', { unrouted: 'keep' });
    expect((await box.before('fence')).sort()).to.deep.equal([...texts].sort());
  });

  test('keeps what two send concurrently before its first consumer, once each', async (kit) => {
    const [one, other] = [await kit.driver(), await kit.driver()];
    for (let round = 0; round < 5; round++) {
      const address = to();
      const texts = { one: numbered(25, 'one'), other: numbered(25, 'other') };
      const options = { unrouted: 'keep' } as const;
      await Promise.all([
        kit.sendAll(one, address, texts.one, options),
        kit.sendAll(other, address, texts.other, options),
      ]);
      const box = await kit.open(one, address);
      await box.first(50);
      await kit.send(one, address, 'fence', options);
      expect((await box.before('fence')).sort()).to.deep.equal([...texts.one, ...texts.other].sort());
    }
  });

  test('keeps what is sent between two consumers', async (kit) => {
    const driver = await kit.driver();
    const address = to();
    const first = await kit.open(driver, address);
    await kit.send(driver, address, 'one');
    await first.first(1);
    await first.subscription.close();
    await kit.send(driver, address, 'two');
    expect(await (await kit.open(driver, address)).textsOf(1)).to.deep.equal(['two']);
  });

  test('outlives the connection of the sender', async (kit) => {
    const [sender, reader] = [await kit.driver(), await kit.driver()];
    const address = to();
    await kit.send(sender, address, 'x', { unrouted: 'keep' });
    await sender.close();
    expect(await (await kit.open(reader, address)).textsOf(1)).to.deep.equal(['x']);
  });

  test('feeds two mailboxes into one subscription, or refuses to', async (kit) => {
    const driver = await kit.driver();
    const addresses = [to(), to()];
    const subscribing = kit.open(driver, addresses);
    if ((await outcomeOf(subscribing)) === 'UNSUPPORTED') return;
    const box = await subscribing;
    for (const address of addresses) await kit.send(driver, address, address.name);
    expect(await box.textsOf(2)).to.have.members(addresses.map((address) => address.name));
  });

  test('keeps mailboxes apart', async (kit) => {
    const driver = await kit.driver();
    const addresses = [to(), to()];
    for (const address of addresses) await kit.send(driver, address, address.name, { unrouted: 'keep' });
    for (const address of addresses) {
      const box = await kit.open(driver, address);
      await kit.send(driver, address, 'fence');
      expect(await box.before('fence')).to.deep.equal([address.name]);
    }
  });

  test('forgets the oldest beyond the length that was asked for', async (kit) => {
    const driver = await kit.driver();
    const address = to();
    const options = { unrouted: 'keep', retention: { maxLength: 2 } } as const;
    for (const each of ['one', 'two', 'three']) await kit.send(driver, address, each, options);
    const box = await kit.open(driver, address, { retention: { maxLength: 2 } });
    expect(await box.textsOf(2)).to.deep.equal(['two', 'three']);
  });

  test('heals when its queue has gone', async (kit) => {
    const driver = await kit.driver();
    const address = to();
    const retention = { expiresMs: 200 };
    await kit.send(driver, address, 'lost with it', { unrouted: 'keep', retention });
    // A broker takes its time to delete what has expired.
    const probe = () => outcomeOf(kit.send(driver, address, 'lost as well', { unrouted: 'fail' }));
    await waitFor('the queue to expire', async () => (await probe()) === 'UNROUTABLE');
    await kit.send(driver, address, 'kept again', { unrouted: 'keep' });
    expect(await (await kit.open(driver, address)).textsOf(1)).to.deep.equal(['kept again']);
  });

  for (const awkward of AWKWARD_NAMES) {
    test(`keeps under the name ${awkward.slice(0, 20)}`, async (kit) => {
      const driver = await kit.driver();
      const address = to(`${to().name}${awkward}`);
      await kit.send(driver, address, 'x', { unrouted: 'keep' });
      expect(await (await kit.open(driver, address)).textsOf(1)).to.deep.equal(['x']);
    });
  }
}
