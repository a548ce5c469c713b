import { expect } from 'chai';
import sinon from 'sinon';
import { HealthRecord } from '../src/health.ts';
import { type Delivery, type DriverContext, MemoryFaults, memory, Transport } from '../src/index.ts';

describe('the health of a transport', () => {
  let clock: sinon.SinonFakeTimers;
  let faults: MemoryFaults;
  let transport: Transport;

  beforeEach(async () => {
    clock = sinon.useFakeTimers({ now: 1_000_000, toFake: ['Date', 'performance'] });
    faults = new MemoryFaults();
    transport = await Transport.open((context) => memory(context, { faults }));
  });

  afterEach(async () => {
    await transport.close();
    clock.restore();
  });

  it('is unknown before anything was heard of the connection', async () => {
    const nothing = { state: 'unknown', lastError: undefined, reconnects: 0, lateSettlements: 0, lastOk: undefined };
    expect(new HealthRecord().snapshot()).to.deep.equal(nothing);
    const mute = (context: DriverContext): DriverContext => ({ ...context, onStatus: () => {} });
    await using silent = await Transport.open((context) => memory(mute(context)));
    expect(silent.health()).to.deep.equal(nothing);
  });

  it('is healthy while connected, and was last well just now', () => {
    clock.tick(5_000);
    expect(transport.health()).to.deep.equal({
      state: 'healthy',
      lastError: undefined,
      reconnects: 0,
      lateSettlements: 0,
      lastOk: new Date(1_005_000),
    });
  });

  it('is unhealthy without a connection, with the error of the loss and when it was last well', () => {
    clock.tick(5_000);
    faults.disconnect();
    clock.tick(3_000);
    const { lastError, ...rest } = transport.health();
    expect(rest).to.deep.equal({ state: 'unhealthy', reconnects: 0, lateSettlements: 0, lastOk: new Date(1_005_000) });
    expect(lastError).to.have.property('code', 'CONNECTION');
  });

  it('is degraded for a minute after a reconnect, then healthy, and remembers the last error', () => {
    faults.disconnect();
    clock.tick(1_000);
    faults.reconnect();
    clock.tick(59_999);
    expect(transport.health()).to.include({ state: 'degraded', reconnects: 1 });
    clock.tick(1);
    expect(transport.health()).to.include({ state: 'healthy', reconnects: 1 });
    expect(transport.health().lastError).to.have.property('code', 'CONNECTION');
    expect(transport.health().lastOk).to.deep.equal(new Date(1_061_000));
  });

  it('counts each reconnect', () => {
    for (let times = 1; times <= 3; times++) {
      faults.disconnect();
      faults.reconnect();
      expect(transport.health().reconnects).to.equal(times);
    }
  });

  it('immunity 1: counts each delivery that was settled after its connection was lost, once', async () => {
    const to = { kind: 'anycast', exchange: 'e', topic: 't' } as const;
    const deliveries: Delivery[] = [];
    await transport.subscribe([to], (delivery) => void deliveries.push(delivery));
    for (let n = 0; n < 3; n++) await transport.send(to, { body: Buffer.from('x') });
    while (deliveries.length < 3) await new Promise(setImmediate);
    const [settled, ...late] = deliveries;
    await settled?.settle('accept');
    faults.disconnect();
    for (const delivery of [...deliveries, ...late]) await delivery.settle('accept');
    expect(transport.health().lateSettlements).to.equal(2);
  });

  it('is degraded while the broker blocks, says why, and has not been well since', () => {
    clock.tick(2_000);
    faults.block('disk alarm');
    clock.tick(7_000);
    const { lastError, ...rest } = transport.health();
    expect(rest).to.deep.equal({ state: 'degraded', reconnects: 0, lateSettlements: 0, lastOk: new Date(1_002_000) });
    expect(lastError?.message).to.equal('blocked by the broker: disk alarm');
    faults.unblock();
    expect(transport.health()).to.include({ state: 'healthy', reconnects: 0 });
    expect(transport.health().lastOk).to.deep.equal(new Date(1_009_000));
  });

  it('counts a loss while blocked as one reconnect', () => {
    faults.block();
    faults.disconnect();
    expect(transport.health().state).to.equal('unhealthy');
    faults.reconnect();
    expect(transport.health()).to.include({ state: 'degraded', reconnects: 1 });
  });

  it('is unhealthy once closed', async () => {
    await transport.close();
    clock.tick(1_000);
    expect(transport.health()).to.deep.equal({
      state: 'unhealthy',
      lastError: undefined,
      reconnects: 0,
      lateSettlements: 0,
      lastOk: new Date(1_000_000),
    });
  });

  it('is not changed by being looked at', () => {
    faults.disconnect();
    expect(transport.health()).to.deep.equal(transport.health());
    expect(transport.status.state).to.equal('disconnected');
  });
});
