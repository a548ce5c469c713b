import type { Address, AddressKind, Source } from '@posthorn/core';
import { profiles as PROFILES } from '@posthorn/core';
import { expect } from 'chai';
import { outcomeOf } from '../kit.ts';
import { anycast, group, mailbox, multicast, name, pattern, topic, unicast } from '../messages.ts';
import type { Suite } from '../suite.ts';

const EXAMPLES: Readonly<Record<AddressKind, () => { readonly to: Address; readonly from: Source }>> = {
  anycast: () => same(anycast()),
  unicast: () => same(unicast('s')),
  multicast: () => same(multicast()),
  topic: () => ({ to: topic('e', 'k'), from: pattern('e', 'k') }),
  group: () => same(group()),
  mailbox: () => same(mailbox()),
  reply: () => ({ to: { kind: 'reply', name: name('reply') }, from: { kind: 'reply' } }),
};
const KINDS = Object.keys(EXAMPLES) as readonly AddressKind[];

/** What a driver declares, and the promises that the kinds of message rest on. */
export function profiles(suite: Suite): void {
  const any = suite.cases({});

  any('declares its features, the same for each connection', async (kit) => {
    const [one, other] = [await kit.driver(), await kit.driver()];
    expect(one.features).to.deep.equal(other.features);
    expect(one.features.kinds).to.not.be.empty;
    expect(KINDS).to.include.members([...one.features.kinds]);
    expect(new Set(one.features.kinds).size).to.equal(one.features.kinds.length);
    if (!one.features.keep) expect(one.features.kinds).to.not.include('mailbox');
    expect(one.features.unroutable).to.be.oneOf(['detected', 'undetected']);
    for (const flag of [
      'ttl',
      'delay',
      'priority',
      'keep',
      'deliveryCount',
      'untilEmpty',
      'inPlace',
      'durable',
    ] as const)
      expect(one.features[flag], flag).to.be.a('boolean');
  });

  for (const kind of KINDS) {
    suite.cases({ when: ({ kinds }) => !kinds.includes(kind) })(
      `refuses ${kind} addresses, which it does not know`,
      async (kit) => {
        const driver = await kit.driver();
        const { to, from } = EXAMPLES[kind]();
        expect(await outcomeOf(kit.send(driver, to, 'x'))).to.equal('UNSUPPORTED');
        expect(await outcomeOf(driver.subscribe([from], () => {}))).to.equal('UNSUPPORTED');
      },
    );
  }

  const call = suite.cases({ kinds: ['anycast', 'reply'] });

  call('carries a call to its server and the reply back', async (kit) => {
    const [client, server] = [await kit.driver(), await kit.driver()];
    const to = anycast();
    const requests = await kit.open(server, to);
    const replies = await kit.open(client, { kind: 'reply' });
    await kit.send(client, to, 'call', PROFILES.call);
    await requests.first(1);
    await kit.send(server, replies.subscription.address, 'reply', PROFILES.reply);
    expect(await replies.textsOf(1)).to.deep.equal(['reply']);
  });

  suite.cases({ kinds: ['anycast', 'reply'], when: ({ unroutable }) => unroutable === 'detected' })(
    'tells of calls and replies that nobody receives, and never of those that somebody does',
    async (kit) => {
      const link = await kit.connect();
      const to = anycast();
      const box = await kit.open(link.driver, to);
      const gone = (await kit.open(link.driver, { kind: 'reply' })).subscription;
      await gone.close();
      const ids: string[] = [];
      for (const [address, profile] of [
        [anycast(), PROFILES.call],
        [to, PROFILES.call],
        [gone.address, PROFILES.reply],
      ] as const) {
        const messageId = name('id');
        const outcome = await outcomeOf(link.driver.send(address, { body: Buffer.from('x'), messageId }, profile));
        expect(outcome).to.be.oneOf(['resolved', 'UNROUTABLE']);
        if (outcome === 'UNROUTABLE') link.returned.add({ messageId, to: address });
        ids.push(messageId);
      }
      await box.first(1);
      await link.returned.first(2);
      expect(link.returned.items.map(({ messageId }) => messageId)).to.deep.equal([ids[0], ids[2]]);
    },
  );

  suite.cases({ kinds: ['anycast'] })('takes a cast for a server that is not there', async (kit) => {
    const link = await kit.connect();
    await kit.send(link.driver, anycast(), 'cast', PROFILES.cast);
    const to = anycast();
    const box = await kit.open(link.driver, to);
    await kit.send(link.driver, to, 'cast', PROFILES.cast);
    expect(await box.textsOf(1)).to.deep.equal(['cast']);
    expect(link.returned.items).to.deep.equal([]);
  });

  suite.cases({ kinds: ['multicast'] })('takes fanouts and cancels for whoever is there, be it nobody', async (kit) => {
    const link = await kit.connect();
    for (const profile of [PROFILES.fanout, PROFILES.cancel]) {
      await kit.send(link.driver, multicast(), 'for nobody', profile);
      const to = multicast();
      const boxes = [await kit.open(link.driver, to), await kit.open(link.driver, to)];
      await kit.send(link.driver, to, 'for all', profile);
      for (const box of boxes) expect(await box.textsOf(1)).to.deep.equal(['for all']);
    }
    expect(link.returned.items).to.deep.equal([]);
  });
}

function same<A extends Extract<Address, Source>>(address: A): { readonly to: A; readonly from: A } {
  return { to: address, from: address };
}
