import { MemoryFaults, MessagingError, silent, type Transport } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { connect } from 'posthorn';
import sinon from 'sinon';

// #region service
interface PaymentApi {
  charge(args: { order: string }): string;
}

/** The service under test: what is not known to be paid is looked into by people. */
class Orders {
  readonly #payment: RPCClient<PaymentApi>;

  constructor(transport: Transport) {
    this.#payment = new RPCClient(transport, { target: { topic: 'payment' }, timeoutMs: 30_000 });
  }

  async place(order: string): Promise<string> {
    try {
      return await this.#payment.call({}, 'charge', { order });
    } catch (error) {
      if (error instanceof MessagingError && error.retryable) return 'try later';
      return 'look into it';
    }
  }
}
// #endregion service

// #region faults
describe('orders', () => {
  let clock: sinon.SinonFakeTimers;
  let faults: MemoryFaults;
  let transport: Transport;
  let charge: sinon.SinonStub;

  beforeEach(async () => {
    clock = sinon.useFakeTimers();
    faults = new MemoryFaults();
    transport = await connect('memory://', { memory: { faults }, logger: silent });
    charge = sinon.stub().resolves('paid');
    await new RPCServer(transport, { target: { topic: 'payment', server: 'fake' }, endpoints: [{ charge }] }).start();
  });

  afterEach(async () => {
    await transport.close({ signal: AbortSignal.abort() });
    clock.restore();
  });
  // #endregion faults

  // #region tests
  it('are paid', async () => {
    const placing = new Orders(transport).place('o-1');
    await clock.runAllAsync();
    expect(await placing).to.equal('paid');
    expect(charge.firstCall.args[1]).to.deep.equal({ order: 'o-1' });
  });

  it('are looked into when payment does not answer in 30 s, which take no time', async () => {
    charge.returns(new Promise(() => {}));
    const placing = new Orders(transport).place('o-1');
    await clock.tickAsync(30_000);
    expect(await placing).to.equal('look into it');
  });

  it('are looked into when the connection is lost after the request was written', async () => {
    faults.nextSends('cut');
    expect(await new Orders(transport).place('o-1')).to.equal('look into it');
    faults.reconnect();
    await clock.runAllAsync();
    expect(charge.callCount).to.equal(1);
  });

  it('are for another time when the broker refuses the request', async () => {
    faults.nextSends('refuse');
    expect(await new Orders(transport).place('o-1')).to.equal('try later');
  });

  it('wait for the connection, and are paid once it is back', async () => {
    faults.disconnect();
    const placing = new Orders(transport).place('o-1');
    await clock.tickAsync(10_000);
    expect(charge.callCount).to.equal(0);
    faults.reconnect();
    await clock.runAllAsync();
    expect(await placing).to.equal('paid');
  });
});
// #endregion tests
