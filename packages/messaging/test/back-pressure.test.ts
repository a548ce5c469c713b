import { type Logger, MemoryFaults, newId, silent, type Transport } from '@posthorn/core';
import { expect } from 'chai';
import sinon from 'sinon';
import { type BackPressure, Publisher, type PublishResult } from '../src/index.ts';
import { open, rejection, settled, tap } from './support.ts';

const message = (payload: unknown) => ({ messageType: 't', version: '1.0', payload });

describe('publishing when the broker takes nothing', () => {
  let faults: MemoryFaults;
  let warn: sinon.SinonSpy;
  let transport: Transport;
  let receiving: Transport;
  let received: unknown[];

  beforeEach(async () => {
    const name = newId();
    faults = new MemoryFaults();
    warn = sinon.spy();
    const logger: Logger = { ...silent, warn };
    transport = await open({ name, faults, logger });
    receiving = await open({ name });
    received = await tap(receiving, 'e');
  });

  afterEach(async () => {
    sinon.restore();
    await transport.close();
    await receiving.close();
  });

  const publisher = (backPressure?: BackPressure): Publisher =>
    new Publisher(transport, { exchange: 'e', publisherId: 'p', ...(backPressure && { backPressure }) });

  /** What became of them: a status, or the code of the error. */
  const outcomes = async (results: readonly Promise<PublishResult>[]): Promise<string[]> =>
    (await Promise.allSettled(results)).map((result) =>
      result.status === 'fulfilled' ? result.value.status : String(result.reason.code),
    );

  for (const [what, stop, go] of [
    ['is away', () => faults.disconnect(), () => faults.reconnect()],
    ['blocks', () => faults.block(), () => faults.unblock()],
  ] as const) {
    it(`G-30: by default a message waits while the broker ${what}`, async () => {
      stop();
      const results = [1, 2, 3].map((n) => publisher().publish(message(n)));
      await settled();
      go();
      expect(await outcomes(results)).to.deep.equal(['confirmed', 'confirmed', 'confirmed']);
      await settled();
      expect(received).to.deep.equal([1, 2, 3]);
    });

    it(`G-30: wait: it waits until its deadline while the broker ${what}, and is never written then`, async () => {
      stop();
      const error = await rejection(publisher({ policy: 'wait', timeoutMs: 20 }).publish(message(1)));
      expect(error).to.include({ code: 'TIMEOUT' });
      go();
      await settled();
      expect(received).to.deep.equal([]);
    });

    it(`G-30: wait: no more than the limit wait while the broker ${what}, the next one is refused`, async () => {
      stop();
      const waiting = publisher({ policy: 'wait', limit: 2 });
      const results = [1, 2, 3].map((n) => waiting.publish(message(n)));
      await settled();
      go();
      expect(await outcomes(results)).to.deep.equal(['confirmed', 'confirmed', 'OVERLOADED']);
      await settled();
      expect(received).to.deep.equal([1, 2]);
    });

    it(`G-30: buffer: the oldest are dropped while the broker ${what}, the rest follows in order, all are told`, async () => {
      stop();
      const buffering = publisher({ policy: 'buffer', limit: 3 });
      const results = [1, 2, 3, 4, 5].map((n) => buffering.publish(message(n)));
      expect(await outcomes(results.slice(0, 2))).to.deep.equal(['dropped', 'dropped']);
      go();
      expect(await outcomes(results.slice(2))).to.deep.equal(['confirmed', 'confirmed', 'confirmed']);
      await settled();
      expect(received).to.deep.equal([3, 4, 5]);
      expect((await results[0])?.error).to.include({ code: 'OVERLOADED' });
      expect(warn.args.filter(([, text]) => text === 'a message was dropped')).to.have.length(1);
    });

    it(`G-30: drop: a message is dropped at once while the broker ${what}, and goes out when it is back`, async () => {
      const dropping = publisher({ policy: 'drop' });
      stop();
      const result = await dropping.publish(message(1));
      expect(result).to.include({ status: 'dropped' });
      expect(result.error).to.include({ code: 'OVERLOADED' });
      go();
      expect(await dropping.publish(message(2))).to.include({ status: 'confirmed' });
      await settled();
      expect(received).to.deep.equal([2]);
      expect(warn.args.filter(([, text]) => text === 'a message was dropped')).to.have.length(1);
    });
  }

  for (const [policy, outcome] of [
    ['wait', 'TIMEOUT'],
    ['buffer', 'dropped'],
  ] as const)
    it(`${policy}: a message whose time to live is over while it waits is never written`, async () => {
      const clock = sinon.useFakeTimers({ toFake: ['Date'], now: Date.now() });
      faults.block();
      const publishing = publisher({ policy });
      const results = [
        publishing.publish(message('short'), { ttlMs: 50 }),
        publishing.publish(message('long'), { ttlMs: 60_000 }),
      ];
      await settled();
      clock.tick(51);
      faults.unblock();
      expect(await outcomes(results)).to.deep.equal([outcome, 'confirmed']);
      await settled();
      expect(received).to.deep.equal(['long']);
    });

  it('buffer: what still waits when the transport is closed is dropped, and told', async () => {
    faults.disconnect();
    const results = [1, 2].map((n) => publisher({ policy: 'buffer' }).publish(message(n)));
    await settled();
    await transport.close();
    expect(await outcomes(results)).to.deep.equal(['dropped', 'dropped']);
    expect((await results[0])?.error).to.include({ code: 'CLOSED' });
  });

  it('buffer: a message that is given up by its signal leaves the buffer', async () => {
    faults.disconnect();
    const buffering = publisher({ policy: 'buffer', limit: 2 });
    const abort = new AbortController();
    const [one, two] = [1, 2].map((n) => buffering.publish(message(n), n === 1 ? { signal: abort.signal } : {}));
    await settled();
    const reason = new Error('no longer wanted');
    abort.abort(reason);
    expect(await rejection(one ?? Promise.resolve())).to.equal(reason);
    const three = buffering.publish(message(3));
    faults.reconnect();
    expect(await outcomes([two, three].flatMap((result) => result ?? []))).to.deep.equal(['confirmed', 'confirmed']);
  });

  it('a publish that nobody waits for ends no process', async () => {
    faults.disconnect();
    void publisher({ policy: 'wait', timeoutMs: 1 }).publish(message(1));
    void publisher().publish(message(1n));
    // An unhandled rejection fails the whole run.
    await rejection(publisher({ policy: 'wait', timeoutMs: 10 }).publish(message(2)));
  });

  it('policies and limits that make no sense are refused', () => {
    for (const wrong of [{ policy: 'wait', limit: 0 }, { policy: 'buffer', limit: 1.5 }, { policy: 'hope' }])
      expect(() => publisher(wrong as BackPressure)).to.throw(/backPressure/);
  });
});

describe('what a publisher tells', () => {
  for (const [fault, status, code] of [
    ['refuse', 'nacked', 'NOT_DELIVERED'],
    ['cut', 'unknown', 'UNKNOWN'],
  ] as const)
    it(`is ${status} where the broker ${fault === 'cut' ? 'was lost before its confirm' : 'refused the message'}`, async () => {
      const faults = new MemoryFaults();
      await using transport = await open({ faults });
      const publisher = new Publisher(transport, { exchange: 'e', publisherId: 'p' });
      faults.nextSends(fault);
      const result = await publisher.publish(message(1));
      expect(result).to.include({ status });
      expect(result.messageId).to.match(/^[0-9a-f]{32}$/);
      expect(result.error).to.include({ code });
    });

  it('is a rejection where the message was not written: the transport is closed, or it is too large', async () => {
    const transport = await open();
    const publisher = new Publisher(transport, { exchange: 'e', publisherId: 'p' });
    expect(await rejection(publisher.publish(message('x'.repeat(17 * 1024 * 1024))))).to.include({ code: 'TOO_LARGE' });
    await transport.close();
    expect(await rejection(publisher.publish(message(1)))).to.include({ code: 'CLOSED' });
  });
});
