import { serial } from '@posthorn/core';
import { expect } from 'chai';
import { deferred } from '../deferred.ts';
import type { TransportUnderTest } from '../transports.ts';
import { waitFor } from '../wait-for.ts';
import { Counter, Heard, MessagingLab, numbers, plain, QUICK, Sample } from './messaging-lab.ts';

/** What becomes of messages that fail. */
export function describeMessageDelivery(transport: TransportUnderTest): void {
  it('G-07: a message that fails comes again with the same id, later, and counts its attempts', async () => {
    await using lab = new MessagingLab(transport);
    const times: number[] = [];
    const heard = new Heard(() => {
      if (times.push(performance.now()) < 3) throw new Error('not yet');
    });
    await lab.hear(heard, { group: lab.group, retry: { minDelayMs: 40 } });
    const { messageId } = await (await lab.publisher()).publish(new Counter('cpu'), { key: 'a.b' });
    await heard.first(3);
    expect(
      heard.all.map((message) => [message.messageId, message.attempts, message.exchange, message.key]),
    ).to.deep.equal([1, 2, 3].map((attempt) => [messageId, attempt, lab.exchange, 'a.b']));
    const pauses = times.slice(1).map((time, n) => time - (times[n] ?? 0));
    // Timers round to whole milliseconds.
    for (const [n, least] of [40, 80].entries()) expect(pauses[n]).to.be.at.least(least - 2);
  });

  it('retries and redrives reach only the group that failed', async () => {
    await using lab = new MessagingLab(transport);
    let fails = true;
    const failing = new Heard(() => {
      if (fails) throw new Error('broken');
    });
    const fine = new Heard();
    await lab.hear(failing, { group: lab.group, retry: { ...QUICK, limit: 3 } });
    await lab.hear(fine, { group: `${lab.group}-fine` });
    const publisher = await lab.publisher();
    const { messageId } = await publisher.publish(new Counter('cpu', 3), { key: 'metering' });
    const dead = await lab.dead();
    await waitFor('the dead letter', async () => (await dead.list()).length > 0);
    const [letter] = await dead.list();
    expect(letter).to.include({
      id: messageId,
      reason: 'broken',
      attempts: 3,
      origin: `topic ${lab.exchange}/metering`,
    });
    fails = false;
    expect(await dead.redrive([messageId])).to.deep.equal([messageId]);
    await failing.first(4);
    expect(failing.all[3]).to.include({ messageId, attempts: 1, exchange: lab.exchange, key: 'metering' });
    expect(failing.payloads[3]).to.deep.equal({ name: 'cpu', volume: 3 });
    expect(await dead.list()).to.deep.equal([]);
    await publisher.publish(plain('fence'));
    expect(await fine.before('fence')).to.deep.equal([{ name: 'cpu', volume: 3 }]);
  });

  it('a payload that is not as its type has it never reaches the handler, and its dead letter says which path failed', async () => {
    await using lab = new MessagingLab(transport);
    const [samples, rest] = [new Heard(), new Heard()];
    const subscriber = await lab.subscriber({ group: lab.group });
    await subscriber.on(Sample, samples.handler).bind('#', rest.handler).start();
    const publisher = await lab.publisher();
    const bad = await publisher.publish({
      messageType: 'sample.cpu',
      version: '1.0',
      payload: { host: 'h', load: 'high' },
    });
    await publisher.publish(Sample, { host: 'good' });
    const dead = await lab.dead();
    const [letter] = await waitFor(
      'the dead letter',
      async () => (await dead.list()).length > 0 && (await dead.list()),
    );
    expect(letter).to.include({ id: bad.messageId, attempts: 1 });
    expect(letter?.reason).to.match(/^MALFORMED: the payload of sample\.cpu 1\.2: load: /);
    await samples.first(1);
    expect([samples.payloads, rest.payloads]).to.deep.equal([[{ host: 'good', load: 0 }], []]);
  });

  for (const [what, message, reason] of [
    ['half an envelope', '{"message_id":"m1"', /^MALFORMED: the envelope is not JSON/],
    ['an envelope without its publisher', '{"message_id":"m1"}', /^MALFORMED: the envelope's publisher_id/],
  ] as const)
    it(`${what} is a dead letter at once, and blocks nothing`, async () => {
      await using lab = new MessagingLab(transport);
      const heard = new Heard();
      await lab.hear(heard, { group: lab.group, prefetch: 1 });
      const to = { kind: 'topic', exchange: lab.exchange, key: 'k' } as const;
      const contentType = 'application/vnd.posthorn.message+json';
      await (await lab.calling()).send(to, { body: Buffer.from(message), contentType }, { confirm: true });
      await (await lab.publisher()).publish(plain('good'));
      await heard.first(1);
      const dead = await lab.dead();
      const [letter] = await waitFor(
        'the dead letter',
        async () => (await dead.list()).length > 0 && (await dead.list()),
      );
      expect(letter?.reason).to.match(reason);
      expect(heard.payloads).to.deep.equal(['good']);
    });

  it('a message of an unknown form is a dead letter that says so', async () => {
    await using lab = new MessagingLab(transport);
    await lab.hear(new Heard(), { group: lab.group });
    const to = { kind: 'topic', exchange: lab.exchange, key: 'k' } as const;
    const message = { body: Buffer.from('<xml/>'), contentType: 'text/xml', messageId: 'x1' };
    await (await lab.calling()).send(to, message, { confirm: true });
    const dead = await lab.dead();
    const [letter] = await waitFor(
      'the dead letter',
      async () => (await dead.list()).length > 0 && (await dead.list()),
    );
    expect(letter).to.include({ id: 'x1' });
    expect(letter?.reason).to.match(/content type text\/xml/);
  });

  it('without a group a message that fails is tried again in place, and discarded with an error in the end', async () => {
    await using lab = new MessagingLab(transport);
    const heard = new Heard(({ payload, attempts }) => {
      if (payload === 'never' || attempts < 3) throw new Error(`attempt ${attempts}`);
    });
    await lab.hear(heard, { retry: { limit: 3, minDelayMs: 20 } });
    const publisher = await lab.publisher();
    for (const payload of ['never', 'at last']) await publisher.publish(plain(payload));
    await heard.first(6);
    for (const payload of ['never', 'at last'])
      expect(heard.all.filter((one) => one.payload === payload).map(({ attempts }) => attempts)).to.deep.equal([
        1, 2, 3,
      ]);
    await waitFor('the error', () => lab.logged('error').some(({ message }) => message === 'discarded: attempt 3'));
    expect(lab.logged('error').filter(({ message }) => message.startsWith('discarded'))).to.have.length(1);
  });

  it('closing ends the retries in place', async () => {
    await using lab = new MessagingLab(transport);
    const heard = new Heard(() => {
      throw new Error('not today');
    });
    const subscriber = await lab.hear(heard, { retry: { minDelayMs: 3_600_000, maxDelayMs: 3_600_000 } });
    await (await lab.publisher()).publish(plain(1));
    await heard.first(1);
    await waitFor('the failure', () => lab.logged('error').length > 0);
    expect(await subscriber.close()).to.deep.equal({ abandoned: [] });
    expect(heard.all).to.have.length(1);
  });

  it('M-05: what a worker had not finished when it was cut off is done by another, once in the end', async () => {
    await using lab = new MessagingLab(transport);
    const begun = deferred();
    const first = new Heard(() => {
      begun.resolve();
      return new Promise(() => undefined);
    });
    const dying = await lab.connect();
    await lab.hear(first, { on: dying, group: lab.group });
    const { messageId } = await (await lab.publisher()).publish(plain('unfinished'));
    await begun.promise;
    const second = new Heard();
    await lab.hear(second, { on: await lab.connect(), group: lab.group });
    await dying.close({ timeoutMs: 1 });
    await second.first(1);
    expect(second.all.map((message) => message.messageId)).to.deep.equal([messageId]);
    await (await lab.publisher()).publish(plain('fence'));
    expect(await second.before('fence')).to.deep.equal(['unfinished']);
  });

  it('a paused subscriber takes nothing further, and goes on where it was', async () => {
    await using lab = new MessagingLab(transport);
    const [heard, witness] = [new Heard(), new Heard()];
    const subscriber = await lab.hear(heard, { group: lab.group, executor: serial() });
    await lab.hear(witness);
    const publisher = await lab.publisher();
    await subscriber.pause();
    for (const n of numbers(3)) await publisher.publish(plain(n));
    await witness.first(3);
    expect(heard.payloads).to.deep.equal([]);
    await subscriber.resume();
    await heard.first(3);
    expect(heard.payloads).to.deep.equal([0, 1, 2]);
  });

  it('R-18: a store of ids that fails loses nothing: the message is tried again', async () => {
    await using lab = new MessagingLab(transport);
    let down = true;
    const seen = {
      has: async () => {
        if (!down) return false;
        down = false;
        throw new Error('the store is away');
      },
      add: async () => {
        throw new Error('the store is away again');
      },
    };
    const heard = new Heard();
    await lab.hear(heard, { group: lab.group, seen });
    await (await lab.publisher()).publish(plain(1));
    await heard.first(1);
    expect(heard.all[0]).to.include({ attempts: 2 });
    await waitFor('the complaint', () => lab.logged('error').some(({ message }) => /could not remember/.test(message)));
    await (await lab.publisher()).publish(plain('fence'));
    expect(await heard.before('fence')).to.deep.equal([1]);
  });
}
