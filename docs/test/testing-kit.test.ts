import { NotificationListener, Notifier } from '@posthorn/notify';
import { RPCClient, RPCServer } from '@posthorn/rpc';
// #region imports
import { playFaults, type TestTransport, testTransport, VirtualClock } from '@posthorn/testing';
// #endregion imports
import { expect } from 'chai';

describe('the testing kit, as its page has it', () => {
  let test: TestTransport;

  // #region open
  beforeEach(async () => {
    test = await testTransport();
  });

  afterEach(() => test[Symbol.asyncDispose]());
  // #endregion open

  // #region traffic
  it('ships what was paid', async () => {
    const shipping = { ship: () => 'shipped' };
    await new RPCServer(test.transport, {
      target: { topic: 'shipping', server: 'fake' },
      endpoints: [shipping],
    }).start();
    await new RPCClient(test.transport, { target: { topic: 'shipping' } }).cast({}, 'ship', { order: 'o-1', items: 3 });

    const handled = await test.traffic.until({ way: 'handled', name: 'ship' });
    expect(handled.result).to.equal('shipped');
    test.traffic.expect({ way: 'sent', operation: 'cast', topic: 'shipping', content: { order: 'o-1' } });
    test.traffic.expectNone({ state: 'failed' });
  });
  // #endregion traffic

  // #region clock
  it('tries again until the bank is back, which takes an hour and no time', async () => {
    using clock = new VirtualClock();
    using _script = playFaults(test.faults, [
      { atMs: 60_000, fault: 'disconnect' },
      { atMs: 90_000, fault: 'reconnect' },
    ]);
    let attempts = 0;
    const bank = () => {
      if (++attempts < 3) throw new Error('closed');
    };
    const listener = { targets: [{ topic: 'payments' }], pool: 'bank', endpoints: [{ info: bank }] };
    await new NotificationListener(test.transport, { ...listener, retry: { limit: 5, minDelayMs: 600_000 } }).start();
    await new Notifier(test.transport, { publisherId: 'shop', topics: ['payments'] }).info({}, 'order.paid', {});
    await clock.advance(3_600_000);
    expect(attempts).to.equal(3);
  });
  // #endregion clock
});
