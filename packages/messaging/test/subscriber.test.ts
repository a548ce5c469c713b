import { DeadLetters, type Logger, MemoryFaults, type Message, type Transport } from '@posthorn/core';
import { expect } from 'chai';
import sinon from 'sinon';
import { hmacSha256, Publisher, Subscriber } from '../src/index.ts';
import { open, rejection, settled } from './support.ts';

const message = (payload: unknown) => ({ messageType: 't', version: '1.0', payload });
const KEY = hmacSha256({ keys: { k: 'sixteen bytes, or more' }, signWith: 'k' });

describe('a subscriber', () => {
  const log = { debug: sinon.spy(), info: sinon.spy(), warn: sinon.spy(), error: sinon.spy() } satisfies Logger;
  let transport: Transport;
  let publisher: Publisher;

  beforeEach(async () => {
    transport = await open({ logger: log });
    publisher = new Publisher(transport, { exchange: 'e', publisherId: 'p' });
  });

  afterEach(async () => {
    await transport.close();
    sinon.restore();
    sinon.resetHistory();
  });

  it('can be closed before it was started, ends its loops, and does not start then', async () => {
    const subscriber = new Subscriber(transport, { exchange: 'e' });
    const loop = (async () => {
      for await (const _ of subscriber) throw new Error('nothing was published');
    })();
    expect(await subscriber.close()).to.deep.equal({ abandoned: [] });
    await loop;
    expect(await rejection(subscriber.start())).to.include({ code: 'CLOSED' });
  });

  it('that listens to nothing says so when it is started, and can be closed all the same', async () => {
    const subscriber = new Subscriber(transport, { exchange: 'e', keys: [] });
    expect((await rejection(subscriber.start())).message).to.match(/keys: nothing to listen to/);
    expect(await subscriber.close()).to.deep.equal({ abandoned: [] });
  });

  it('is closed with its transport, which waits for its work', async () => {
    let ended = false;
    const subscriber = new Subscriber(transport, { exchange: 'e' }).bind('#', async () => {
      await settled();
      ended = true;
    });
    await subscriber.start();
    await publisher.publish(message(1));
    await new Promise((resolve) => setImmediate(resolve));
    expect(await transport.close()).to.deep.equal({ abandoned: [] });
    expect(ended).to.equal(true);
  });

  it('hands unfinished batches over as they are when it is closed', async () => {
    const batches: unknown[] = [];
    const subscriber = new Subscriber(transport, { exchange: 'e', group: 'g' });
    subscriber.bind('#', { size: 10, maxAgeMs: 3_600_000 }, (all) => batches.push(all.map(({ payload }) => payload)));
    await subscriber.start();
    for (const n of [1, 2]) await publisher.publish(message(n));
    await settled();
    await subscriber.close();
    expect(batches).to.deep.equal([[1, 2]]);
  });

  it('refuses batches of sizes and ages that make no sense', () => {
    const subscriber = new Subscriber(transport, { exchange: 'e' });
    expect(() => subscriber.bind('#', { size: 0, maxAgeMs: 1 }, () => undefined)).to.throw(/size/);
    expect(() => subscriber.bind('#', { size: 1, maxAgeMs: 0 }, () => undefined)).to.throw(/maxAgeMs/);
  });

  it('refuses nothing without verification, and says so', async () => {
    expect(new Subscriber(transport, { exchange: 'e' }).refused).to.deep.equal({});
  });

  it('logs refusals once in ten seconds, with how many there were, and survives a hook that throws', async () => {
    const clock = sinon.useFakeTimers({ toFake: ['performance'] });
    const subscriber = new Subscriber(transport, {
      exchange: 'e',
      verify: { verifier: KEY },
      onRefused: () => {
        throw new Error('my fault');
      },
    });
    await subscriber.bind('#', () => undefined).start();
    for (let n = 0; n < 5; n++) await publisher.publish(message(n));
    await settled();
    clock.tick(10_000);
    await publisher.publish(message(5));
    await settled();
    expect(subscriber.refused).to.include({ unsigned: 6 });
    expect(log.warn.args.map(([fields, text]) => [fields.times, text])).to.deep.equal([
      [1, 'refused: unsigned: it bears no signature'],
      [5, 'refused: unsigned: it bears no signature'],
    ]);
    expect(log.error.args.filter(([, text]) => text === 'onRefused threw')).to.have.length(6);
  });

  it('goes on with the retry of a signed message when it is delivered again after a lost connection', async () => {
    const faults = new MemoryFaults();
    await using lossy = await open({ faults });
    const attempts: number[] = [];
    let [begin, finish] = [() => {}, () => {}];
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const subscriber = new Subscriber(lossy, {
      exchange: 'e',
      group: 'g',
      verify: { verifier: KEY },
      retry: { minDelayMs: 1 },
    });
    subscriber.bind('#', async (_, { attempts: attempt }) => {
      attempts.push(attempt);
      if (attempts.length === 1) throw new Error('once more');
      begin();
      await finished;
    });
    await subscriber.start();
    await new Publisher(lossy, { exchange: 'e', publisherId: 'p', signer: KEY }).publish(message(1));
    await begun;
    faults.disconnect();
    faults.reconnect();
    await settled();
    finish();
    await settled();
    expect(attempts).to.deep.equal([1, 2]);
    expect(subscriber.refused).to.include({ replayed: 0 });
  });

  it('refuses a replay that comes while the message is still being handled', async () => {
    let [begin, finish, handled] = [() => {}, () => {}, 0];
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const subscriber = new Subscriber(transport, { exchange: 'e', group: 'g', verify: { verifier: KEY } });
    subscriber.bind('#', async () => {
      handled++;
      begin();
      await finished;
    });
    const copies: Message[] = [];
    await transport.subscribe([{ kind: 'topic', exchange: 'e', pattern: '#' }], (delivery) => {
      copies.push(delivery.message);
      void delivery.settle('accept');
    });
    await subscriber.start();
    await new Publisher(transport, { exchange: 'e', publisherId: 'p', signer: KEY }).publish(message(1));
    await begun;
    const [copy] = copies;
    if (copy === undefined) throw new Error('the copy is here by now');
    await transport.send({ kind: 'topic', exchange: 'e', key: 't' }, copy, { confirm: true });
    await settled();
    expect(handled).to.equal(1);
    finish();
    await settled();
    expect(handled).to.equal(1);
    expect(subscriber.refused).to.include({ replayed: 1 });
  });

  it('makes a dead letter of a message that cannot be put in order', async () => {
    const subscriber = new Subscriber(transport, {
      exchange: 'e',
      group: 'g',
      orderBy: ({ payload }) => String(Object(payload).host.name),
    });
    await subscriber.bind('#', () => undefined).start();
    await publisher.publish(message(7));
    await settled();
    const [letter] = await new DeadLetters(transport, 'g').list();
    expect(letter?.reason).to.match(/Cannot read properties of undefined/);
  });

  it('skips what is past its time by more than clocks may differ', async () => {
    const seen: unknown[] = [];
    const clock = sinon.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    const options = { exchange: 'e', group: 'g', orderBy: () => 'one by one' };
    await (await new Subscriber(transport, options).bind('#', () => undefined).start()).close();
    await publisher.publish(message('a'), { ttlMs: 30_000 });
    await publisher.publish(message('b'), { ttlMs: 90_000 });
    clock.tick(90_001);
    await new Subscriber(transport, options).bind('#', (payload) => seen.push(payload)).start();
    await settled();
    expect(seen).to.deep.equal(['b']);
    expect(log.info.args.some(([fields, text]) => text === 'skipped' && fields.why === 'expired')).to.equal(true);
  });
});
