import { setTimeout as sleep } from 'node:timers/promises';
import { DeadLetters } from '@posthorn/core';
import { NotificationListener, Notifier } from '@posthorn/notify';
import { expect } from 'chai';
import { playFaults, type TestTransport, testTransport, VirtualClock } from '../src/index.ts';
import { payment } from './support.ts';

describe('a virtual clock', () => {
  let test: TestTransport;

  beforeEach(async () => {
    test = await testTransport();
  });

  afterEach(() => test[Symbol.asyncDispose]());

  it('lets calls be answered while it stands still', async () => {
    using _clock = new VirtualClock();
    const client = await payment(test.transport, { charge: () => 'paid' });
    const begun = performance.now();
    expect(await client.call({}, 'charge')).to.equal('paid');
    expect(performance.now()).to.equal(begun);
  });

  it('ends a call at its deadline and not a millisecond before', async () => {
    using clock = new VirtualClock();
    const client = await payment(test.transport, { charge: () => new Promise(() => {}) });
    let ended: unknown;
    client.call({}, 'charge', {}, { timeoutMs: 30_000 }).catch((error: unknown) => {
      ended = error;
    });
    await clock.advance(29_900);
    expect(ended).to.equal(undefined);
    await clock.advance(200);
    expect(ended).to.have.property('code', 'TIMEOUT');
  });

  it('passes the pauses between attempts, until the dead letters have what fails', async () => {
    using clock = new VirtualClock();
    const times: number[] = [];
    const begun = Date.now();
    await new NotificationListener(test.transport, {
      targets: [{ topic: 'events' }],
      pool: 'billing',
      endpoints: [
        {
          info: () => {
            times.push(Date.now() - begun);
            throw new Error('not now');
          },
        },
      ],
      retry: { limit: 3, minDelayMs: 60_000 },
    }).start();
    await new Notifier(test.transport, { publisherId: 'p', topics: ['events'] }).info({}, 'order.paid', {});
    await clock.advance(3_600_000);
    expect(times).to.have.length(3);
    expect(times[1]).to.be.within(30_000, 61_000);
    const dead = new DeadLetters(test.transport, 'billing');
    expect(await dead.list()).to.have.length(1);
  });

  it('plays a script of faults at its times', async () => {
    using clock = new VirtualClock();
    const client = await payment(test.transport, { charge: () => 'paid' });
    using _script = playFaults(test.faults, [
      { atMs: 1_000, fault: 'disconnect' },
      { atMs: 4_000, fault: 'reconnect' },
    ]);
    await clock.advance(1_500);
    const calling = client.call({}, 'charge');
    await clock.advance(2_000);
    test.traffic.expect({ way: 'sent', state: 'running' });
    await clock.advance(1_000);
    expect(await calling).to.equal('paid');
  });

  it('sends past faults that are none', async () => {
    const client = await payment(test.transport, { charge: () => 'paid' });
    await client.cast({}, 'charge');
    test.faults.nextSends('none', 'refuse');
    await client.cast({}, 'charge');
    const refused = await client.cast({}, 'charge').catch((error: unknown) => error);
    expect(refused).to.have.property('code', 'NOT_DELIVERED');
  });

  it('moves the timers of node:timers/promises too, and gives all of them back', async () => {
    {
      using clock = new VirtualClock(0);
      expect(Date.now()).to.equal(0);
      let slept = false;
      void sleep(10_000).then(() => {
        slept = true;
      });
      await clock.advance(10_000);
      expect(slept).to.equal(true);
    }
    expect(Date.now()).to.be.above(1_700_000_000_000);
    await sleep(1);
  });
});
