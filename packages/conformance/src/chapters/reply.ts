import type { Address } from '@posthorn/core';
import { expect } from 'chai';
import { outcomeOf } from '../kit.ts';
import { anycast, numbered } from '../messages.ts';
import type { Suite } from '../suite.ts';

/** An address that the driver makes, for whom it is told. */
export function reply(suite: Suite): void {
  const test = suite.cases({ kinds: ['reply'] });
  const source = { kind: 'reply' } as const;

  test('makes an address that others can send to', async (kit) => {
    const [owner, peer] = [await kit.driver(), await kit.driver()];
    const box = await kit.open(owner, source);
    const { address } = box.subscription;
    expect(address.kind).to.equal('reply');
    const texts = numbered(20);
    await kit.sendAll(peer, address, texts, { unrouted: 'fail' });
    expect(await box.textsOf(20)).to.deep.equal(texts);
    expect((await box.nth(1)).to).to.deep.equal(address);
  });

  test('makes an address that works from its name alone', async (kit) => {
    const [owner, peer] = [await kit.driver(), await kit.driver()];
    const box = await kit.open(owner, source);
    const { address } = box.subscription;
    const spelled: Address = { kind: 'reply', name: address.kind === 'reply' ? address.name : '' };
    await kit.send(peer, spelled, 'x', { unrouted: 'fail' });
    expect(await box.textsOf(1)).to.deep.equal(['x']);
  });

  test('makes a fresh address for each subscription, also after one was closed', async (kit) => {
    const [one, other] = [await kit.driver(), await kit.driver()];
    const names = new Set<string>();
    for (const driver of [one, one, other, other]) {
      const { subscription } = await kit.open(driver, source);
      names.add(JSON.stringify(subscription.address));
      await subscription.close();
    }
    expect(names.size).to.equal(4);
  });

  test('keeps reply addresses apart', async (kit) => {
    const driver = await kit.driver();
    const boxes = [await kit.open(driver, source), await kit.open(driver, source)];
    for (const [index, { subscription }] of boxes.entries()) await kit.send(driver, subscription.address, `m${index}`);
    for (const { subscription } of boxes) await kit.send(driver, subscription.address, 'fence');
    for (const [index, box] of boxes.entries()) expect(await box.before('fence')).to.deep.equal([`m${index}`]);
  });

  test('carries the name of a reply address to the peer, who answers there', async (kit) => {
    const [client, server] = [await kit.driver(), await kit.driver()];
    const answers = await kit.open(client, source);
    const to = anycast();
    const requests = await kit.open(server, to);
    const { address } = answers.subscription;
    if (address.kind !== 'reply') throw new Error('expected a reply address');
    const message = { body: Buffer.from('ask'), replyTo: address.name, correlationId: '1' };
    await client.send(to, message, { confirm: true });
    const { replyTo = '', correlationId = '' } = (await requests.nth(1)).message;
    await server.send(
      { kind: 'reply', name: replyTo },
      { body: Buffer.from('answer'), correlationId },
      { confirm: true },
    );
    const answer = await answers.nth(1);
    expect([Buffer.from(answer.message.body).toString(), answer.message.correlationId]).to.deep.equal(['answer', '1']);
  });

  test('refuses a reply source that does not stand alone', async (kit) => {
    const driver = await kit.driver();
    const nothing = (): void => {};
    expect(await outcomeOf(driver.subscribe([source, anycast()], nothing))).to.equal('CONFIG');
    expect(await outcomeOf(driver.subscribe([anycast(), source], nothing))).to.equal('CONFIG');
  });

  test('refuses to keep messages for a reply address', async (kit) => {
    const driver = await kit.driver();
    const { subscription } = await kit.open(driver, source);
    const { address } = subscription;
    await subscription.close();
    expect(await outcomeOf(kit.send(driver, address, 'x', { unrouted: 'keep' }))).to.equal('UNSUPPORTED');
  });

  test('ends without an error when its owner closes it', async (kit) => {
    const { subscription } = await kit.open(await kit.driver(), source);
    await subscription.close();
    expect(await subscription.ended).to.equal(undefined);
  });

  suite.cases({ kinds: ['reply'], when: ({ unroutable }) => unroutable === 'detected' })(
    'is unroutable once it was closed',
    async (kit) => {
      const [owner, peer] = [await kit.driver(), await kit.driver()];
      const { subscription } = await kit.open(owner, source);
      const { address } = subscription;
      await subscription.close();
      expect(await outcomeOf(kit.send(peer, address, 'x', { unrouted: 'fail' }))).to.equal('UNROUTABLE');
    },
  );

  suite.cases({ kinds: ['reply'], when: ({ unroutable }) => unroutable === 'detected' })(
    'is unroutable once the driver of its owner was closed',
    async (kit) => {
      const [owner, peer] = [await kit.driver(), await kit.driver()];
      const { address } = (await kit.open(owner, source)).subscription;
      await owner.close();
      expect(await outcomeOf(kit.send(peer, address, 'x', { unrouted: 'fail' }))).to.equal('UNROUTABLE');
    },
  );
}
