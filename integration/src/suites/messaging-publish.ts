import { type Delivery, newId } from '@posthorn/core';
import { cloudEvents, Exchange, MessageFactory, Router } from '@posthorn/messaging';
import { expect } from 'chai';
import { skip } from '../skip.ts';
import type { TransportUnderTest } from '../transports.ts';
import { waitFor } from '../wait-for.ts';
import { Counter, Heard, keyPair, MessagingLab, numbers, plain, Sample } from './messaging-lab.ts';
import { codeOf, rejectionOf } from './rejection.ts';

/** What goes out, where to, and what is told of it. */
export function describePublishing(transport: TransportUnderTest): void {
  /** What is on the wire under every key of the lab's exchange. */
  async function wire(lab: MessagingLab): Promise<Delivery[]> {
    const deliveries: Delivery[] = [];
    const receive = (delivery: Delivery): void => {
      deliveries.push(delivery);
      void delivery.settle('accept');
    };
    await (await lab.serving()).subscribe([{ kind: 'topic', exchange: lab.exchange, pattern: '#' }], receive);
    return deliveries;
  }

  it('G-05, G-20: what travels names no method and no receiver, and no reply is asked for', async () => {
    await using lab = new MessagingLab(transport);
    const deliveries = await wire(lab);
    await (await lab.publisher()).publish(new Counter('cpu'));
    const { message } = await waitFor('the message', () => deliveries[0]);
    expect(message.replyTo).to.equal(undefined);
    expect(message.correlationId).to.equal(undefined);
    expect(JSON.parse(Buffer.from(message.body).toString())).to.not.have.any.keys('method', 'reply_to', 'target');
  });

  it('G-05: publishing where nobody listens succeeds', async () => {
    await using lab = new MessagingLab(transport);
    expect(await (await lab.publisher()).publish(new Counter('cpu'))).to.include({ status: 'confirmed' });
  });

  it('G-06: the envelope on the wire is exactly the standard one', async () => {
    await using lab = new MessagingLab(transport);
    const deliveries = await wire(lab);
    const before = Date.now();
    const { messageId } = await (await lab.publisher({ signer: keyPair('k1') })).publish(new Counter('cpu', 7));
    const { message } = await waitFor('the message', () => deliveries[0]);
    const { timestamp, signature, ...rest } = JSON.parse(Buffer.from(message.body).toString());
    expect(rest).to.deep.equal({
      message_id: messageId,
      publisher_id: 'compute.host1',
      message_type: 'counter',
      message_type_version: '1.0',
      payload: { name: 'cpu', volume: 7 },
    });
    expect(timestamp).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(Date.parse(timestamp)).to.be.within(before, Date.now());
    expect(signature).to.match(/^hmac-sha256:k1:[0-9a-f]{64}$/);
    expect(message).to.include({ messageId, contentType: 'application/vnd.posthorn.message+json' });
  });

  it('G-06, G-12: payloads of any JSON shape arrive as they are, and further fields are kept', async () => {
    await using lab = new MessagingLab(transport);
    const heard = new Heard();
    await lab.hear(heard, { orderBy: () => 'one by one' });
    const publisher = await lab.publisher();
    const payloads = [{ a: { b: [1, null] } }, [1, 'zwei', false], 'text ✓', '', 0, 1.5, true, false, null];
    for (const payload of payloads) await publisher.publish(plain(payload));
    const factory = new MessageFactory({ publisherId: 'p' });
    const draft = factory.createMessage(plain('extra'));
    const extended = { ...draft, envelope: { ...draft.envelope, tenant: 't1' } };
    await new Exchange(lab.exchange, await lab.calling()).send('thing', extended);
    await heard.first(payloads.length + 1);
    expect(heard.payloads).to.deep.equal([...payloads, 'extra']);
    expect(heard.all.at(-1)?.envelope).to.include({ tenant: 't1' });
  });

  it('G-07, G-08, G-09: each message has an id of its own, its publisher and its time, as a Date', async () => {
    await using lab = new MessagingLab(transport);
    const heard = new Heard();
    await lab.hear(heard);
    const publisher = await lab.publisher();
    const before = Date.now();
    const results = await Promise.all(numbers(20).map((n) => publisher.publish(plain(n))));
    await publisher.publish(plain('other'), { publisherId: 'compute.host2' });
    await heard.first(21);
    const ids = heard.all.filter(({ payload }) => payload !== 'other').map(({ messageId }) => messageId);
    expect(new Set(ids).size).to.equal(20);
    expect(ids).to.have.members(results.map(({ messageId }) => messageId));
    for (const { payload, publisherId, timestamp } of heard.all) {
      expect(publisherId).to.equal(payload === 'other' ? 'compute.host2' : 'compute.host1');
      expect(timestamp.getTime()).to.be.within(before, Date.now());
    }
  });

  it('G-10: the type is the routing key, unless another is given', async () => {
    await using lab = new MessagingLab(transport);
    const heard = new Heard();
    await lab.hear(heard, { orderBy: () => 'one by one' });
    const publisher = await lab.publisher();
    await publisher.publish(Sample, { host: 'h1' });
    await publisher.publish(new Counter('cpu'), { key: 'metering' });
    await publisher.send('metering.again', new Counter('cpu'));
    await heard.first(3);
    expect(heard.all.map(({ type, key }) => [type, key])).to.deep.equal([
      ['sample.cpu', 'sample.cpu'],
      ['counter', 'metering'],
      ['counter', 'metering.again'],
    ]);
  });

  it('G-16: a message can name its exchange and key, and goes only there', async () => {
    await using lab = new MessagingLab(transport);
    const other = `${lab.exchange}-other`;
    const [here, there] = [new Heard(), new Heard()];
    await lab.hear(here);
    await lab.hear(there, { exchange: other });
    const publisher = await lab.publisher();
    await publisher.publish(plain('elsewhere'), { exchange: other, key: 'a.b' });
    await publisher.publish(plain('fence'));
    expect(await here.before('fence')).to.deep.equal([]);
    await there.first(1);
    expect(there.all[0]).to.include({ payload: 'elsewhere', exchange: other, key: 'a.b' });
  });

  it('G-23: two buses in one process do not mix', async () => {
    await using one = new MessagingLab(transport);
    await using other = new MessagingLab(transport);
    const [heard, otherHeard] = [new Heard(), new Heard()];
    await one.hear(heard);
    await other.hear(otherHeard);
    await (await other.publisher()).publish(plain('other'));
    await (await one.publisher()).publish(plain('one'));
    await Promise.all([heard.first(1), otherHeard.first(1)]);
    expect([heard.payloads, otherHeard.payloads]).to.deep.equal([['one'], ['other']]);
  });

  it('G-24, G-25, G-26: an exchange sends what a factory made, signed for where it goes', async () => {
    await using lab = new MessagingLab(transport);
    const heard = new Heard();
    const key = keyPair('k1');
    await lab.hear(heard, { verify: { verifier: key } });
    const exchange = new Exchange(lab.exchange, await lab.calling());
    const message = new MessageFactory({ publisherId: 'p1', signer: key }).createMessage(new Counter('cpu', 3));
    expect(await exchange.send('metering', message)).to.deep.equal({
      status: 'confirmed',
      messageId: message.envelope.message_id,
    });
    await heard.first(1);
    expect(heard.all[0]).to.include({ publisherId: 'p1', key: 'metering', messageId: message.envelope.message_id });
    expect(heard.payloads).to.deep.equal([{ name: 'cpu', volume: 3 }]);
  });

  it('G-28: a router of the application sends by what it knows', async () => {
    await using lab = new MessagingLab(transport);
    class CeilometerRouter extends Router {
      sendMeterMessage(meter: Counter) {
        return this.send('metering', meter);
      }
    }
    const heard = new Heard();
    const subscriber = await lab.subscriber({ keys: ['metering'] });
    await subscriber.on(Counter, heard.handler).start();
    const router = new CeilometerRouter(await lab.publisher());
    expect(await router.sendMeterMessage(new Counter('cpu', 4))).to.include({ status: 'confirmed' });
    const [message] = await heard.first(1);
    expect(message).to.include({ exchange: lab.exchange, key: 'metering', type: 'counter' });
    expect(message?.payload).to.be.instanceOf(Counter);
  });

  it('a message that must be received is returned where nobody listens', async () => {
    await using lab = new MessagingLab(transport);
    const result = await (await lab.publisher()).publish(plain(1), { unrouted: 'fail' });
    expect(result).to.include({ status: 'returned' });
    expect(result.error).to.include({ code: 'UNROUTABLE' });
  });

  it('a delayed message arrives no sooner, under its own exchange and key, and counts its time to live from then', async () => {
    await using lab = new MessagingLab(transport);
    const heard = new Heard();
    const key = keyPair('k1');
    await lab.hear(heard, { verify: { verifier: key } });
    const publisher = await lab.publisher({ signer: key });
    const before = performance.now();
    await Promise.all([
      publisher.publish(plain('later'), { key: 'a.b', delayMs: 300, ttlMs: 100 }),
      publisher.publish(plain('now')),
    ]);
    await heard.first(2);
    expect(performance.now() - before).to.be.at.least(298);
    expect(heard.all.map(({ payload, exchange, key: at }) => [payload, exchange, at])).to.deep.equal([
      ['now', lab.exchange, 'thing'],
      ['later', lab.exchange, 'a.b'],
    ]);
  });

  it('a message whose time to live is over is not delivered', async () => {
    await using lab = new MessagingLab(transport);
    const heard = new Heard();
    const subscriber = await lab.hear(heard, { group: lab.group, orderBy: () => 'one by one' });
    await subscriber.close();
    const publisher = await lab.publisher();
    await publisher.publish(plain('short'), { ttlMs: 50 });
    await publisher.publish(plain('long'), { ttlMs: 60_000 });
    const published = performance.now();
    // Brokers discard by timers, which fire late on a busy machine.
    await waitFor('the time to pass', () => performance.now() > published + 550);
    await lab.hear(heard, { group: lab.group, orderBy: () => 'one by one' });
    await publisher.publish(plain('fence'));
    expect(await heard.before('fence')).to.deep.equal(['long']);
    expect(heard.all[0]?.envelope.expires_at).to.match(/Z$/);
  });

  it('higher priorities come first, in a queue that has them', async function () {
    await using lab = new MessagingLab(transport);
    if (!(await lab.serving()).features.priority) skip(this, 'priorities', `${transport.name} has none`);
    const heard = new Heard();
    const retention = { maxPriority: 5, expiresMs: 300_000 };
    const options = { group: lab.group, retention, orderBy: () => 'one by one' };
    await (await lab.hear(heard, options)).close();
    const publisher = await lab.publisher();
    for (const priority of [0, 1, 5, 3]) await publisher.publish(plain(priority), { priority });
    await lab.hear(heard, options);
    await heard.first(4);
    expect(heard.payloads).to.deep.equal([5, 3, 1, 0]);
  });

  for (const mode of ['structured', 'binary'] as const)
    it(`a signed CloudEvent (${mode}) is understood by every subscriber`, async () => {
      await using lab = new MessagingLab(transport);
      const heard = new Heard();
      const key = keyPair('k1');
      const subscriber = await lab.subscriber({ verify: { verifier: key } });
      await subscriber.on(Counter, heard.handler).start();
      const publisher = await lab.publisher({ signer: key, envelope: cloudEvents({ mode }) });
      await publisher.publish(new Counter('cpu', 5), { replyTo: 'box-1', ttlMs: 60_000 });
      const [message] = await heard.first(1);
      expect(message?.payload).to.be.instanceOf(Counter).and.to.include({ name: 'cpu', volume: 5 });
      expect(message).to.include({ publisherId: 'compute.host1', type: 'counter', version: '1.0', replyTo: 'box-1' });
      expect(Object.values(subscriber.refused)).to.deep.equal(Array(8).fill(0));
    });

  it('what cannot be published is refused before anything is written', async () => {
    await using lab = new MessagingLab(transport);
    const deliveries = await wire(lab);
    const publisher = await lab.publisher();
    // @ts-expect-error the compiler knows, too
    const wrong = await rejectionOf(publisher.publish(Sample, { host: 7 }));
    expect(wrong).to.include({ code: 'MALFORMED' });
    expect(wrong.message).to.match(/host/);
    expect(await codeOf(publisher.publish(plain(1n)))).to.equal('MALFORMED');
    expect(await codeOf(publisher.publish(plain(1, '')))).to.equal('CONFIG');
    expect(await codeOf(publisher.publish(plain(1), { key: 'all.*' }))).to.equal('INVALID_TARGET');
    expect(await codeOf(publisher.publish({ ...plain(1), version: 'one' }))).to.equal('CONFIG');
    const reason = new Error('enough');
    expect(await rejectionOf(publisher.publish(plain(1), { signal: AbortSignal.abort(reason) }))).to.equal(reason);
    const fence = newId();
    await publisher.publish(plain(fence));
    await waitFor('the fence', () => deliveries.length > 0);
    expect(Buffer.from(deliveries[0]?.message.body ?? '').toString()).to.include(fence);
    expect(deliveries).to.have.length(1);
  });
}
