import type { Address } from '@posthorn/core';
import { expect } from 'chai';
import { type Kit, outcomeOf } from '../kit.ts';
import { anycast, group, mailbox, multicast, name, numbered, pattern, topic, unicast } from '../messages.ts';
import type { Suite } from '../suite.ts';

/** Addresses where nobody ever was. */
const NOWHERE: readonly (() => Address)[] = [
  () => anycast(),
  () => unicast('s'),
  () => multicast(),
  () => topic(name('e'), 'k'),
  () => group(),
  () => mailbox(),
  () => ({ kind: 'reply', name: name('reply') }),
];

/** What happens when nobody receives at the address. */
export function unrouted(suite: Suite): void {
  for (const make of NOWHERE) {
    const { kind } = make();
    const test = suite.cases({ kinds: [kind] });
    const detected = suite.cases({ kinds: [kind], when: ({ unroutable }) => unroutable === 'detected' });
    const undetected = suite.cases({ kinds: [kind], when: ({ unroutable }) => unroutable === 'undetected' });

    for (const confirm of [true, false]) {
      test(`drops a message to a ${kind} address, ${confirm ? 'confirmed' : 'unconfirmed'}`, async (kit) => {
        const link = await kit.connect();
        await kit.send(link.driver, make(), 'x', { unrouted: 'drop', confirm });
        await kit.send(link.driver, make(), 'x', { confirm });
        expect(link.returned.items).to.deep.equal([]);
      });
    }

    detected(`refuses a confirmed message to a ${kind} address`, async (kit) => {
      const driver = await kit.driver();
      expect(await outcomeOf(kit.send(driver, make(), 'x', { unrouted: 'fail' }))).to.equal('UNROUTABLE');
    });

    detected(`tells of an unconfirmed message to a ${kind} address, by the promise or later`, async (kit) => {
      const link = await kit.connect();
      const messageId = name('id');
      const message = { body: Buffer.from('x'), messageId };
      const outcome = await outcomeOf(link.driver.send(make(), message, { unrouted: 'fail' }));
      if (outcome === 'UNROUTABLE') return;
      expect(outcome).to.equal('resolved');
      expect((await link.returned.nth(1)).messageId).to.equal(messageId);
    });

    undetected(`does not claim to know about a ${kind} address`, async (kit) => {
      const driver = await kit.driver();
      const options = { unrouted: 'fail', timeoutMs: 1_000 } as const;
      expect(await outcomeOf(kit.send(driver, make(), 'x', options))).to.be.oneOf(['resolved', 'TIMEOUT', 'UNKNOWN']);
    });
  }

  suite.cases({ kinds: ['anycast'], when: ({ unroutable }) => unroutable === 'detected' })(
    'tells each of 100 concurrent messages apart',
    async (kit) => {
      const driver = await kit.driver();
      const [there, nowhere] = [anycast(), anycast()];
      const box = await kit.open(driver, there);
      const send = (index: number) =>
        outcomeOf(kit.send(driver, index % 3 === 0 ? nowhere : there, `m${index}`, { unrouted: 'fail' }));
      const outcomes = await Promise.all(numbered(100).map((_, index) => send(index)));
      const expected = numbered(100).map((_, index) => (index % 3 === 0 ? 'UNROUTABLE' : 'resolved'));
      expect(outcomes).to.deep.equal(expected);
      await box.first(66);
    },
  );

  const pair = (make: () => Address) => suite.cases({ kinds: [make().kind], when: ({ keep }) => keep });
  for (const make of [() => anycast(), () => unicast('s'), () => mailbox(), () => group()] as const) {
    pair(make)(`keeps messages to a ${make().kind} address for whoever comes`, async (kit) => {
      const driver = await kit.driver();
      const to = make();
      await kit.sendAll(driver, to, ['one', 'two'], { unrouted: 'keep' });
      const box = await kit.open(driver, to);
      expect((await box.textsOf(2)).sort()).to.deep.equal(['one', 'two']);
      await kit.send(driver, to, 'fence', { unrouted: 'keep' });
      expect(await box.before('fence')).to.have.lengthOf(2);
    });
  }

  const keep = suite.cases({ kinds: ['topic', 'group'], when: (features) => features.keep });

  keep('keeps messages to a topic in the group that bears the name of the key', async (kit) => {
    const driver = await kit.driver();
    const [exchange, key] = [name('e'), name('k')];
    for (const each of ['one', 'two']) await kit.send(driver, topic(exchange, key), each, { unrouted: 'keep' });
    const box = await kit.open(driver, pattern(exchange, key), { group: key });
    expect(await box.textsOf(2)).to.deep.equal(['one', 'two']);
  });

  keep('fills no default queue while a group listens elsewhere', async (kit) => {
    const driver = await kit.driver();
    const [exchange, key] = [name('e'), name('k')];
    const listener = await kit.open(driver, pattern(exchange, '#'), { group: name('g') });
    await kit.send(driver, topic(exchange, key), 'x', { unrouted: 'keep' });
    expect(await listener.textsOf(1)).to.deep.equal(['x']);
    const reader = await kit.open(driver, group(key));
    await kit.send(driver, group(key), 'fence');
    expect(await reader.before('fence')).to.deep.equal([]);
  });

  keep('goes on to the default group while nobody else listens', async (kit) => {
    const driver = await kit.driver();
    const [exchange, key] = [name('e'), name('k')];
    await kit.send(driver, topic(exchange, key), 'one', { unrouted: 'keep' });
    const listener = await kit.open(driver, pattern(exchange, '#'), { group: name('g') });
    await kit.send(driver, topic(exchange, key), 'two', { unrouted: 'keep' });
    expect(await listener.textsOf(1)).to.deep.equal(['two']);
    const reader = await kit.open(driver, group(key));
    expect((await reader.textsOf(1))[0]).to.equal('one');
  });

  for (const make of NOWHERE) {
    const { kind } = make();
    suite.cases({ kinds: [kind], when: (features) => !features.keep })(
      `refuses to keep a message to a ${kind} address, where it cannot`,
      (kit) => refusesToKeep(kit, make()),
    );
  }
}

async function refusesToKeep(kit: Kit, to: Address): Promise<void> {
  const driver = await kit.driver();
  expect(await outcomeOf(kit.send(driver, to, 'x', { unrouted: 'keep' }))).to.equal('UNSUPPORTED');
}
