import { generateKeyPairSync } from 'node:crypto';
import { type Message, serial } from '@posthorn/core';
import {
  type Draft,
  type Envelope,
  Exchange,
  ed25519,
  hmacSha256,
  MessageFactory,
  memoryIdStore,
  nativeEnvelope,
  type Refusal,
  type RefusalReason,
  type Subscriber,
  sign,
} from '@posthorn/messaging';
import { expect } from 'chai';
import { deferred } from '../deferred.ts';
import type { TransportUnderTest } from '../transports.ts';
import { waitFor } from '../wait-for.ts';
import { Counter, Heard, keyPair, MessagingLab, numbers, plain } from './messaging-lab.ts';

const KEY = keyPair('k1');

/** Signed messages, and those who would like to be. */
export function describeSignatures(transport: TransportUnderTest): void {
  /** Everything refused by a subscriber of the lab's exchange while `attack` runs. */
  async function refusals(
    lab: MessagingLab,
    attack: (send: (message: Message, key?: string, exchange?: string) => Promise<void>) => Promise<void>,
  ): Promise<{ readonly reasons: RefusalReason[]; readonly payloads: unknown[]; readonly counted: object }> {
    const heard = new Heard();
    const reasons: RefusalReason[] = [];
    const onRefused = ({ reason }: Refusal): void => void reasons.push(reason);
    const subscriber = await lab.hear(heard, {
      group: lab.group,
      verify: { verifier: KEY },
      onRefused,
      executor: serial(),
    });
    const on = await lab.calling();
    await attack(async (message, key = 'counter', exchange = lab.exchange) => {
      await on.send({ kind: 'topic', exchange, key }, message, { confirm: true });
    });
    await (await lab.publisher({ signer: KEY })).publish(plain('fence'));
    const payloads = await heard.before('fence');
    expect(await (await lab.dead()).list()).to.deep.equal([]);
    const counted = Object.fromEntries(Object.entries(subscriber.refused).filter(([, count]) => count > 0));
    return { reasons, payloads, counted };
  }

  const draft = (): Draft => new MessageFactory({ publisherId: 'p', signer: KEY }).createMessage(new Counter('cpu', 3));

  const signed = (lab: MessagingLab, change: Partial<Envelope> = {}, signer = KEY, key = 'counter'): Envelope =>
    sign({ ...draft().envelope, ...change }, { exchange: lab.exchange, key }, signer);

  const later = (ms: number): string => new Date(Date.now() + ms).toISOString();

  const ATTACKS: readonly {
    readonly what: string;
    readonly reason: RefusalReason;
    readonly envelope: (lab: MessagingLab) => Envelope;
    readonly key?: string;
  }[] = [
    {
      what: 'a payload that was changed',
      reason: 'wrong-signature',
      envelope: (lab) => ({ ...signed(lab), payload: { name: 'cpu', volume: 3_000 } }),
    },
    {
      what: 'a message under the id of a known key, signed with another secret',
      reason: 'wrong-signature',
      envelope: (lab) => signed(lab, {}, hmacSha256({ keys: { k1: 'some quite different secret' }, signWith: 'k1' })),
    },
    { what: 'a message moved to another key', reason: 'wrong-signature', envelope: (lab) => signed(lab), key: 'other' },
    {
      what: 'a message moved from another exchange',
      reason: 'wrong-signature',
      envelope: () => sign(draft().envelope, { exchange: 'elsewhere', key: 'counter' }, KEY),
    },
    { what: 'a message without a signature', reason: 'unsigned', envelope: () => draft().envelope },
    {
      what: 'a message of the future',
      reason: 'future',
      envelope: (lab) => signed(lab, { timestamp: later(3_600_000) }),
    },
    {
      what: 'a message that expired long ago',
      reason: 'expired',
      envelope: (lab) => signed(lab, { timestamp: later(-7_200_000), expires_at: later(-3_600_000) }),
    },
    { what: 'a message of an unknown key', reason: 'unknown-key', envelope: (lab) => signed(lab, {}, keyPair('k2')) },
    {
      what: 'a signature that is none',
      reason: 'malformed-signature',
      envelope: (lab) => ({ ...signed(lab), signature: 'trust me' }),
    },
  ];

  for (const { what, reason, envelope, key } of ATTACKS)
    it(`G-13: ${what} is refused (${reason}), counted, logged once and never dispatched`, async () => {
      await using lab = new MessagingLab(transport);
      const { reasons, payloads, counted } = await refusals(lab, async (send) => {
        for (const _ of numbers(3)) await send(nativeEnvelope.encode(envelope(lab)), key);
      });
      expect({ reasons, payloads, counted }).to.deep.equal({
        reasons: [reason, reason, reason],
        payloads: [],
        counted: { [reason]: 3 },
      });
      const lines = lab.logged('warn').filter(({ message }) => message.startsWith('refused: '));
      expect(lines).to.have.length(1);
      expect(lines[0]?.fields).to.include({ reason, exchange: lab.exchange, key: key ?? 'counter' });
    });

  it('G-13: a message is refused the second time: replayed', async () => {
    await using lab = new MessagingLab(transport);
    const { reasons, payloads, counted } = await refusals(lab, async (send) => {
      const message = nativeEnvelope.encode(signed(lab));
      await send(message);
      await send(message);
      await send(message);
    });
    expect({ reasons, payloads, counted }).to.deep.equal({
      reasons: ['replayed', 'replayed'],
      payloads: [{ name: 'cpu', volume: 3 }],
      counted: { replayed: 2 },
    });
  });

  it('G-13: what is put straight into the queue of a group is refused, whatever it says of where it comes from', async () => {
    await using lab = new MessagingLab(transport);
    const [heard, reasons] = [new Heard(), [] as RefusalReason[]];
    const onRefused = ({ reason }: Refusal): void => void reasons.push(reason);
    const subscriber = await lab.subscriber({ group: lab.group, verify: { verifier: KEY }, onRefused });
    await subscriber.bind('listened.to', heard.handler).start();
    const on = await lab.calling();
    const place = { exchange: lab.exchange, key: 'not.listened.to' };
    const message = nativeEnvelope.encode(sign(draft().envelope, place, KEY));
    const headers = { 'ph-exchange': place.exchange, 'ph-key': place.key };
    for (const each of [message, { ...message, headers }])
      await on.send({ kind: 'group', name: lab.group }, each, { confirm: true });
    await waitFor('two refusals', () => reasons.length === 2);
    expect(reasons).to.deep.equal(['misplaced', 'misplaced']);
    expect(heard.all).to.deep.equal([]);
  });

  it('G-27: each exchange has a key of its own, and what one signed does not verify for the other', async () => {
    await using lab = new MessagingLab(transport);
    const sides = ['a', 'b'].map((name) => ({
      exchange: `${lab.exchange}-${name}`,
      key: keyPair(name),
      heard: new Heard(),
    }));
    const subscribers: Subscriber[] = [];
    for (const { exchange, key, heard } of sides)
      subscribers.push(await lab.hear(heard, { exchange, verify: { verifier: key } }));
    for (const { exchange: from, key } of sides) {
      const publisher = await lab.publisher({ exchange: from, signer: key });
      for (const { exchange } of sides) await publisher.publish(plain(`${from} to ${exchange}`), { exchange });
    }
    await waitFor('all', () =>
      sides.every(({ heard }, n) => heard.all.length + (subscribers[n]?.refused['unknown-key'] ?? 0) === 2),
    );
    for (const { exchange, heard } of sides) expect(heard.payloads).to.deep.equal([`${exchange} to ${exchange}`]);
  });

  it('G-13: keys are rotated without a gap: the new one signs while both verify', async () => {
    await using lab = new MessagingLab(transport);
    const heard = new Heard();
    const keys = { old: 'the secret of last year', new: 'the secret of this year' };
    const subscriber = await lab.hear(heard, { verify: { verifier: hmacSha256({ keys }) } });
    for (const signWith of ['old', 'new'])
      await (await lab.publisher({ signer: hmacSha256({ keys, signWith }) })).publish(plain(signWith));
    await heard.first(2);
    expect(heard.payloads).to.have.members(['old', 'new']);
    expect(Object.values(subscriber.refused)).to.deep.equal(Array(8).fill(0));
  });

  it('G-13: who verifies Ed25519 need not be able to sign', async () => {
    await using lab = new MessagingLab(transport);
    const heard = new Heard();
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    await lab.hear(heard, { verify: { verifier: ed25519({ publicKeys: { k: publicKey } }) } });
    const signer = ed25519({ privateKey, keyId: 'k' });
    await (await lab.publisher({ signer })).publish(plain('signed'));
    await heard.first(1);
    expect(heard.all[0]?.envelope.signature).to.match(/^ed25519:k:[0-9a-f]{128}$/);
  });

  it('G-13: unsigned messages pass where the policy accepts them, wrongly signed ones never', async () => {
    await using lab = new MessagingLab(transport);
    const heard = new Heard();
    const verify = { verifier: KEY, policy: 'accept-unsigned' } as const;
    const subscriber = await lab.hear(heard, { verify, executor: serial() });
    await (await lab.publisher({ signer: keyPair('k2') })).publish(plain('wrong'));
    await (await lab.publisher()).publish(plain('unsigned'));
    await (await lab.publisher({ signer: KEY })).publish(plain('fence'));
    expect(await heard.before('fence')).to.deep.equal(['unsigned']);
    expect(subscriber.refused).to.include({ 'unknown-key': 1, unsigned: 0 });
  });

  it('G-13, M-19: a signed message survives a release, two delayed retries, a dead letter and a redrive, and is refused when replayed', async () => {
    await using lab = new MessagingLab(transport);
    const stop = deferred();
    const seen = memoryIdStore();
    const verify = { verifier: KEY, seen };
    const exchange = new Exchange(lab.exchange, await lab.calling());

    // Held back by a worker that is closed before it begins: that is the release.
    const blocking = new Heard(() => stop.promise);
    const first = await lab.hear(blocking, { group: lab.group, verify, executor: serial(), on: await lab.connect() });
    const publisher = await lab.publisher({ signer: KEY });
    await publisher.publish(plain('blocks'));
    await blocking.first(1);
    const message = draft();
    await exchange.send('counter', message);
    const closing = first.close();

    let fails = true;
    const heard = new Heard(() => {
      if (fails) throw new Error('not yet');
    });
    const retry = { limit: 4, minDelayMs: 20 };
    const subscriber = await lab.hear(heard, { group: lab.group, verify, retry, on: await lab.connect() });
    await heard.first(1);
    stop.resolve();
    await closing;
    expect(blocking.payloads).to.deep.equal(['blocks']);
    const dead = await lab.dead();
    await waitFor('the dead letter', async () => (await dead.list()).length === 1);
    // A broker that counts deliveries counts the release as an attempt.
    expect(heard.all.map(({ attempts }) => attempts)).to.be.deep.oneOf([
      [1, 2, 3, 4],
      [2, 3, 4],
    ]);
    fails = false;
    const handled = heard.all.length + 1;
    expect(await dead.redrive()).to.deep.equal([message.envelope.message_id]);
    await heard.first(handled);
    expect(heard.all.at(-1)).to.include({ messageId: message.envelope.message_id, key: 'counter' });
    expect(Object.values(subscriber.refused)).to.deep.equal(Array(8).fill(0));

    await exchange.send('counter', message);
    await waitFor('the refusal', () => subscriber.refused.replayed === 1);
    expect(heard.all).to.have.length(handled);
  });

  it('a message that is replayed to another worker of the group is refused there, where they share the store', async () => {
    await using lab = new MessagingLab(transport);
    const verify = { verifier: KEY, seen: memoryIdStore() };
    const heard = new Heard();
    const one = await lab.hear(heard, { group: lab.group, verify, on: await lab.connect() });
    const exchange = new Exchange(lab.exchange, await lab.calling());
    const message = draft();
    await exchange.send('counter', message);
    await heard.first(1);
    await one.close();
    const other = await lab.hear(heard, { group: lab.group, verify, on: await lab.connect() });
    await exchange.send('counter', message);
    await waitFor('the refusal', () => other.refused.replayed === 1);
    expect(heard.all).to.have.length(1);
  });
}
