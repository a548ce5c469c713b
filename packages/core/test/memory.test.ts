import { expect } from 'chai';
import sinon from 'sinon';
import { type Address, type Driver, memory, newId, type Source, type Status } from '../src/index.ts';
import { context, memoryDriver, Reader, rejection, settled, text } from './support.ts';

const anycast = { kind: 'anycast', exchange: 'e', topic: 't' } as const;
const multicast = { kind: 'multicast', exchange: 'e', topic: 't' } as const;
const unicast = (server: string): Extract<Address, { kind: 'unicast' }> => ({
  kind: 'unicast',
  exchange: 'e',
  topic: 't',
  server,
});
const pattern = (words: string): Source => ({ kind: 'topic', exchange: 'e', pattern: words });
const key = (words: string): Address => ({ kind: 'topic', exchange: 'e', key: words });

describe('the memory transport', () => {
  let driver: Driver;

  beforeEach(async () => {
    driver = await memoryDriver();
  });

  afterEach(async () => {
    sinon.restore();
    await driver.close();
  });

  const send = async (to: Address, ...bodies: readonly string[]): Promise<void> => {
    for (const body of bodies) await driver.send(to, text(body));
  };

  describe('addresses', () => {
    it('anycast reaches one of the consumers, in turns', async () => {
      const [one, two] = [await Reader.open(driver, anycast), await Reader.open(driver, anycast)];
      await send(anycast, '1', '2', '3', '4');
      await settled();
      expect([one.bodies, two.bodies]).to.deep.equal([
        ['1', '3'],
        ['2', '4'],
      ]);
    });

    it('unicast reaches the consumer of that name', async () => {
      const [a, b] = [await Reader.open(driver, unicast('a')), await Reader.open(driver, unicast('b'))];
      await send(unicast('b'), '1');
      await settled();
      expect([a.bodies, b.bodies]).to.deep.equal([[], ['1']]);
    });

    it('multicast reaches everyone who is there, and not who comes later', async () => {
      const [one, two] = [await Reader.open(driver, multicast), await Reader.open(driver, multicast)];
      await send(multicast, '1');
      const late = await Reader.open(driver, multicast);
      await settled();
      expect([one.bodies, two.bodies, late.bodies]).to.deep.equal([['1'], ['1'], []]);
    });

    it('a topic reaches each group whose pattern matches once, however many of its patterns match', async () => {
      const workers = [
        await Reader.open(driver, [pattern('a.*'), pattern('a.#')], { group: 'g' }),
        await Reader.open(driver, pattern('a.#'), { group: 'g' }),
      ];
      const other = await Reader.open(driver, pattern('#.b'));
      const none = await Reader.open(driver, pattern('b.#'));
      await driver.send(key('a.b'), text('1'));
      await settled();
      expect(workers.flatMap(({ bodies }) => bodies)).to.deep.equal(['1']);
      expect([other.bodies, none.bodies]).to.deep.equal([['1'], []]);
    });

    it('a group is reached by its name alone, whatever it listens to', async () => {
      const member = await Reader.open(driver, pattern('a.#'), { group: 'g' });
      await send({ kind: 'group', name: 'g' }, '1');
      await settled();
      expect(member.bodies).to.deep.equal(['1']);
    });

    it('a mailbox keeps what was sent before anybody fetched', async () => {
      await driver.send({ kind: 'mailbox', name: 'm' }, text('1'), { unrouted: 'keep' });
      const late = await Reader.open(driver, { kind: 'mailbox', name: 'm' });
      await settled();
      expect(late.bodies).to.deep.equal(['1']);
    });

    it('a reply address is fresh, and reaches the one who made it', async () => {
      const [one, two] = [await Reader.open(driver, { kind: 'reply' }), await Reader.open(driver, { kind: 'reply' })];
      await send(one.subscription.address, '1');
      await settled();
      expect([one.bodies, two.bodies]).to.deep.equal([['1'], []]);
      await one.subscription.close();
      const gone = driver.send(one.subscription.address, text('2'), { unrouted: 'fail' });
      expect(await rejection(gone)).to.have.property('code', 'UNROUTABLE');
    });

    it('the same topic in two exchanges is two topics', async () => {
      const reader = await Reader.open(driver, { ...anycast, exchange: 'other' });
      await driver.send({ ...anycast, exchange: 'other' }, text('1'));
      await driver.send(anycast, text('2'));
      await settled();
      expect(reader.bodies).to.deep.equal(['1']);
    });

    it('several sources feed one queue with one prefetch', async () => {
      const reader = await Reader.open(driver, [pattern('a'), { kind: 'topic', exchange: 'f', pattern: '#' }], {
        prefetch: 1,
      });
      await driver.send(key('a'), text('1'));
      await driver.send({ kind: 'topic', exchange: 'f', key: 'x' }, text('2'));
      await settled();
      expect(reader.bodies).to.deep.equal(['1']);
      await reader.deliveries[0]?.settle('accept');
      await settled();
      expect(reader.bodies).to.deep.equal(['1', '2']);
    });
  });

  describe('messages', () => {
    it('are bytes: what the sender changes afterwards does not arrive', async () => {
      const reader = await Reader.open(driver, anycast);
      const body = Buffer.from('before');
      await driver.send(anycast, { body });
      body.write('change');
      await settled();
      expect(reader.bodies).to.deep.equal(['before']);
    });

    it('arrive with their properties, in a later turn', async () => {
      const reader = await Reader.open(driver, anycast);
      const properties = { contentType: 'x/y', headers: { a: 1 }, messageId: 'm', correlationId: 'c', replyTo: 'r' };
      await driver.send(anycast, text('1', properties));
      expect(reader.deliveries).to.be.empty;
      await settled();
      expect(reader.deliveries[0]).to.include({ redelivered: false, deliveryCount: 0 });
      expect(reader.deliveries[0]?.message).to.include(properties);
      expect(reader.deliveries[0]?.to).to.deep.equal(anycast);
    });

    it('that nobody receives are dropped, refused or kept, as the sender asks', async () => {
      await driver.send(anycast, text('dropped'));
      const refused = driver.send(anycast, text('refused'), { unrouted: 'fail' });
      expect(await rejection(refused))
        .to.include({ code: 'UNROUTABLE' })
        .and.have.property('address', anycast);
      await driver.send(anycast, text('kept'), { unrouted: 'keep' });
      await driver.send(key('a.b'), text('kept for the group of its name'), { unrouted: 'keep' });
      const [reader, member] = [
        await Reader.open(driver, anycast),
        await Reader.open(driver, { kind: 'group', name: 'a.b' }),
      ];
      await settled();
      expect(reader.bodies).to.deep.equal(['kept']);
      expect(member.bodies).to.deep.equal(['kept for the group of its name']);
    });

    it('cannot be kept where there is no queue to keep them in', async () => {
      for (const to of [multicast, { kind: 'reply', name: 'r' }] as const) {
        const refused = driver.send(to, text('1'), { unrouted: 'keep' });
        expect(await rejection(refused)).to.have.property('code', 'UNSUPPORTED');
      }
    });

    it('with a priority overtake others, in queues that have priorities', async () => {
      const retention = { maxPriority: 5 };
      for (const priority of [1, 9, 5, 1])
        await driver.send(anycast, text(`p${priority}`), { priority, unrouted: 'keep', retention });
      const reader = await Reader.open(driver, anycast);
      await settled();
      // Beyond the maximum they are all the same.
      expect(reader.bodies).to.deep.equal(['p9', 'p5', 'p1', 'p1']);
    });

    it('with a priority keep their order, in queues that have none', async () => {
      for (const priority of [1, 9]) await driver.send(anycast, text(`p${priority}`), { priority, unrouted: 'keep' });
      const reader = await Reader.open(driver, anycast);
      await settled();
      expect(reader.bodies).to.deep.equal(['p1', 'p9']);
    });

    it('that were not delivered within their time are discarded', async () => {
      const clock = sinon.useFakeTimers({ toFake: ['performance'] });
      await driver.send(anycast, text('short', { ttlMs: 10 }), { unrouted: 'keep' });
      await driver.send(anycast, text('long', { ttlMs: 1_000 }));
      await driver.send(anycast, text('for ever'));
      clock.tick(10);
      const reader = await Reader.open(driver, anycast);
      await settled();
      expect(reader.bodies).to.deep.equal(['long', 'for ever']);
    });

    it('with a delay arrive when it is over, and not sooner', async () => {
      const clock = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
      const reader = await Reader.open(driver, anycast);
      await driver.send(anycast, text('later'), { delayMs: 500 });
      clock.tick(499);
      await settled();
      expect(reader.bodies).to.deep.equal([]);
      clock.tick(1);
      await settled();
      expect(reader.bodies).to.deep.equal(['later']);
    });

    it('with a delay are kept with the attributes that were asked for', async () => {
      const clock = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
      for (const body of ['1', '2', '3'])
        await driver.send(anycast, text(body), { delayMs: 5, unrouted: 'keep', retention: { maxLength: 2 } });
      clock.tick(5);
      const reader = await Reader.open(driver, anycast);
      await settled();
      expect(reader.bodies).to.deep.equal(['2', '3']);
    });

    it('are withdrawn when beforeWrite says so', async () => {
      const reader = await Reader.open(driver, anycast);
      await driver.send(anycast, text('withdrawn'), { beforeWrite: () => false });
      await driver.send(anycast, text('sent'), { beforeWrite: () => true });
      await settled();
      expect(reader.bodies).to.deep.equal(['sent']);
    });

    it('are not sent when the signal was aborted, and the reason is passed on', async () => {
      const reader = await Reader.open(driver, anycast);
      const reason = new Error('enough');
      expect(await rejection(driver.send(anycast, text('1'), { signal: AbortSignal.abort(reason) }))).to.equal(reason);
      await settled();
      expect(reader.bodies).to.deep.equal([]);
    });
  });

  describe('settlement', () => {
    it('of a prefetch full of messages lets the next one come', async () => {
      const reader = await Reader.open(driver, anycast, { prefetch: 2 });
      await send(anycast, '1', '2', '3', '4');
      await settled();
      expect(reader.bodies).to.deep.equal(['1', '2']);
      await reader.deliveries[1]?.settle('accept');
      await settled();
      expect(reader.bodies).to.deep.equal(['1', '2', '3']);
    });

    it('counts once: what comes later changes nothing', async () => {
      const reader = await Reader.open(driver, anycast, { prefetch: 1 });
      await send(anycast, '1', '2');
      await settled();
      const [first] = reader.deliveries;
      expect(await first?.settle('accept')).to.equal(true);
      await first?.settle('release');
      await settled();
      expect(reader.bodies).to.deep.equal(['1', '2']);
    });

    it('by release delivers again, marked as such and counted', async () => {
      const reader = await Reader.open(driver, anycast);
      await send(anycast, '1');
      await settled();
      await reader.deliveries[0]?.settle('release');
      await settled();
      expect(reader.bodies).to.deep.equal(['1', '1']);
      expect(reader.deliveries[1]).to.include({ redelivered: true, deliveryCount: 1 });
    });

    it('by release puts messages back in their first order, before what came later', async () => {
      const reader = await Reader.open(driver, anycast, { prefetch: 3 });
      await send(anycast, '1', '2', '3', '4');
      await settled();
      await reader.subscription.stop();
      for (const index of [1, 0, 2]) await reader.deliveries[index]?.settle('release');
      const next = await Reader.open(driver, anycast);
      await settled();
      expect(next.bodies).to.deep.equal(['1', '2', '3', '4']);
    });

    it('by reject forgets the message, or gives it to the dead letter group', async () => {
      const retention = { deadLetter: 'dead' };
      const plain = await Reader.open(driver, anycast);
      const careful = await Reader.open(driver, { ...anycast, topic: 'u' }, { retention });
      await send(anycast, 'forgotten');
      await send({ ...anycast, topic: 'u' }, 'kept');
      await settled();
      for (const { deliveries } of [plain, careful]) await deliveries[0]?.settle('reject');
      const dead = await Reader.open(driver, { kind: 'group', name: 'dead' });
      await settled();
      expect([plain.bodies, careful.bodies, dead.bodies]).to.deep.equal([['forgotten'], ['kept'], ['kept']]);
    });
  });

  describe('queues', () => {
    it('with a greatest length lose the oldest messages', async () => {
      const reader = await Reader.open(driver, anycast, { prefetch: 1, retention: { maxLength: 2 } });
      await send(anycast, '1');
      await settled();
      await send(anycast, '2', '3', '4');
      await reader.deliveries[0]?.settle('accept');
      await settled();
      await reader.deliveries[1]?.settle('accept');
      await settled();
      expect(reader.bodies).to.deep.equal(['1', '3', '4']);
    });

    it('with an expiry go when unused for that long, and not while they are used', async () => {
      const clock = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const fails = (): Promise<unknown> =>
        driver.send(anycast, text('1'), { unrouted: 'fail' }).catch((error: { readonly code: string }) => error.code);
      const reader = await Reader.open(driver, anycast, { retention: { expiresMs: 100 } });
      clock.tick(1_000);
      expect(await fails()).to.equal(undefined);
      await reader.subscription.close();
      clock.tick(99);
      expect(await fails()).to.equal(undefined);
      const again = await Reader.open(driver, anycast);
      clock.tick(1_000);
      expect(await fails()).to.equal(undefined);
      await again.subscription.close();
      clock.tick(100);
      expect(await fails()).to.equal('UNROUTABLE');
    });

    it('of a topic stay when their consumers go; private ones go too', async () => {
      const shared = await Reader.open(driver, anycast);
      const own = await Reader.open(driver, unicast('s'));
      const all = await Reader.open(driver, multicast);
      for (const reader of [shared, own, all]) await reader.subscription.close();
      await driver.send(anycast, text('1'), { unrouted: 'fail' });
      for (const to of [unicast('s'), multicast])
        expect(await rejection(driver.send(to, text('1'), { unrouted: 'fail' }))).to.have.property(
          'code',
          'UNROUTABLE',
        );
    });

    it("a server's own queue that still holds messages waits for it", async () => {
      const own = await Reader.open(driver, unicast('s'));
      await send(unicast('s'), '1');
      await settled();
      await own.subscription.close();
      const again = await Reader.open(driver, unicast('s'));
      await settled();
      expect(again.bodies).to.deep.equal(['1']);
    });
  });

  describe('subscriptions', () => {
    it('that are paused get nothing until they are resumed, and can settle meanwhile', async () => {
      const reader = await Reader.open(driver, anycast);
      await send(anycast, '1');
      await settled();
      await reader.subscription.pause();
      await send(anycast, '2');
      expect(await reader.deliveries[0]?.settle('accept')).to.equal(true);
      await settled();
      expect(reader.bodies).to.deep.equal(['1']);
      await reader.subscription.resume();
      await settled();
      expect(reader.bodies).to.deep.equal(['1', '2']);
    });

    it('that are stopped get nothing more, not even by resume, and can still settle', async () => {
      const reader = await Reader.open(driver, anycast);
      await send(anycast, '1');
      await settled();
      await reader.subscription.stop();
      await reader.subscription.resume();
      await send(anycast, '2');
      await settled();
      expect(reader.bodies).to.deep.equal(['1']);
      expect(await reader.deliveries[0]?.settle('accept')).to.equal(true);
      await reader.subscription.close();
      const next = await Reader.open(driver, anycast);
      await settled();
      expect(next.bodies).to.deep.equal(['2']);
    });

    it('that are closed give back what is unsettled in its order, and end without a reason', async () => {
      const reader = await Reader.open(driver, anycast);
      await send(anycast, '1', '2', '3');
      await settled();
      await reader.deliveries[1]?.settle('accept');
      await reader.subscription.close();
      expect(await reader.subscription.ended).to.equal(undefined);
      expect(await reader.deliveries[0]?.settle('accept')).to.equal(false);
      const next = await Reader.open(driver, anycast);
      await settled();
      expect(next.bodies).to.deep.equal(['1', '3']);
      expect(next.deliveries.map(({ redelivered }) => redelivered)).to.deep.equal([true, true]);
    });

    it('need a source', async () => {
      expect(await rejection(driver.subscribe([], () => undefined))).to.have.property('code', 'CONFIG');
    });
  });

  describe('brokers', () => {
    it('of one name are one, of other names and of none are apart', async () => {
      const name = newId();
      await using one = await memoryDriver(name);
      await using two = await memoryDriver(name);
      await using three = await memoryDriver(newId());
      await using alone = await memoryDriver();
      const readers = [];
      for (const each of [one, two, three, alone]) readers.push(await Reader.open(each, multicast));
      await one.send(multicast, text('1'));
      await settled();
      expect(readers.map(({ bodies }) => bodies)).to.deep.equal([['1'], ['1'], [], []]);
    });

    it('are removed with all they hold by the last one who leaves', async () => {
      const name = newId();
      const [one, two] = [await memoryDriver(name), await memoryDriver(name)];
      await one.send(anycast, text('1'), { unrouted: 'keep' });
      await one.close();
      await one.close();
      await two.send(anycast, text('2'), { unrouted: 'fail' });
      await two.close();
      await using next = await memoryDriver(name);
      const refused = next.send(anycast, text('3'), { unrouted: 'fail' });
      expect(await rejection(refused)).to.have.property('code', 'UNROUTABLE');
    });

    it('take nothing from a driver that was closed, whose close is always the same promise', async () => {
      const states: Status['state'][] = [];
      const closing = await memory(context({ onStatus: ({ state }) => states.push(state) }));
      const reader = await Reader.open(closing, anycast);
      const first = closing.close();
      expect(closing.close()).to.equal(first);
      await first;
      expect(await reader.subscription.ended).to.equal(undefined);
      expect(await rejection(closing.send(anycast, text('1')))).to.have.property('code', 'CLOSED');
      expect(await rejection(closing.subscribe([anycast], () => undefined))).to.have.property('code', 'CLOSED');
      expect(states).to.deep.equal(['connected', 'closed']);
    });

    it('keep the topics of a view apart from those of others', async () => {
      const view = driver.view?.({ space: 'other' });
      expect(view).to.not.equal(undefined);
      const refused = Promise.resolve(view?.send(anycast, text('1'), { unrouted: 'fail' }));
      await Reader.open(driver, anycast);
      expect(await rejection(refused)).to.have.property('code', 'UNROUTABLE');
    });
  });
});
