import { expect } from 'chai';
import sinon from 'sinon';
import {
  type Driver,
  type DriverContext,
  memory,
  native,
  type Status,
  Transport,
  UnsupportedError,
  type Wire,
} from '../src/index.ts';
import { rejection, text } from './support.ts';

const anycast = { kind: 'anycast', exchange: 'e', topic: 't' } as const;

describe('a transport', () => {
  let driver: Driver | undefined;
  let context: DriverContext | undefined;
  const opened: Transport[] = [];

  const open = async (options?: Parameters<typeof Transport.open>[1]): Promise<Transport> => {
    const transport = await Transport.open(async (given) => {
      context = given;
      driver = await memory(given);
      return driver;
    }, options);
    opened.push(transport);
    return transport;
  };

  afterEach(async () => {
    sinon.restore();
    for (const transport of opened.splice(0)) await transport.close();
  });

  it('closes its children newest first, one after the other, and then the driver', async () => {
    const transport = await open();
    const order: string[] = [];
    for (const name of ['first', 'second', 'third'])
      transport.adopt({
        async close() {
          order.push(`${name} begins`);
          await Promise.resolve();
          order.push(`${name} ends`);
          return { abandoned: [name] };
        },
      });
    const close = sinon.stub(driver as Driver, 'close').callsFake(async () => void order.push('driver'));
    const report = await transport.close();
    close.restore();
    const steps = ['third', 'second', 'first'].flatMap((name) => [`${name} begins`, `${name} ends`]);
    expect(order).to.deep.equal([...steps, 'driver']);
    expect(report).to.deep.equal({ abandoned: ['third', 'second', 'first'] });
    await driver?.close();
  });

  it('shares its connection with its views alone, and with no transport of another copy of the package', async () => {
    const transport = await open();
    expect(transport.sharesConnection(transport.with({ wire: native() }))).to.equal(true);
    expect(transport.sharesConnection(await open())).to.equal(false);
    const foreign: Transport = Object.create(Transport.prototype);
    expect(transport.sharesConnection(foreign)).to.equal(false);
  });

  it('lets children send while they close, and nobody afterwards', async () => {
    const transport = await open();
    let sent: unknown = 'nothing';
    transport.adopt({
      async close() {
        sent = await transport.send(anycast, text('last'), { unrouted: 'keep' });
        return { abandoned: [] };
      },
    });
    await transport.close();
    expect(sent).to.equal(undefined);
    expect(await rejection(transport.send(anycast, text('1')))).to.have.property('code', 'CLOSED');
    expect(await rejection(transport.subscribe([anycast], () => undefined))).to.have.property('code', 'CLOSED');
  });

  it('does not close a child that was released', async () => {
    const transport = await open();
    const close = sinon.stub().resolves({ abandoned: [] });
    transport.adopt({ close })();
    await transport.close();
    sinon.assert.notCalled(close);
  });

  it('shares one time limit among its children', async () => {
    const transport = await open();
    const limits: number[] = [];
    for (let n = 0; n < 2; n++)
      transport.adopt({
        async close({ timeoutMs = 0 } = {}) {
          limits.push(timeoutMs);
          return { abandoned: [] };
        },
      });
    await transport.close({ timeoutMs: 500 });
    for (const limit of limits) expect(limit).to.be.within(1, 500);
    expect(limits).to.have.length(2);
  });

  it('closes once: later calls get the same promise', async () => {
    const transport = await open();
    expect(transport.close()).to.equal(transport.close());
    expect(transport.with({ wire: native() }).close()).to.equal(transport.close());
  });

  it('refuses a body above its limit with TOO_LARGE, before anything reaches the driver', async () => {
    const transport = await open({ maxMessageBytes: 4 });
    const send = sinon.spy(driver as Driver, 'send');
    const error = await rejection(transport.send(anycast, text('12345')));
    expect(error).to.include({ code: 'TOO_LARGE', bytes: 5, limitBytes: 4 });
    sinon.assert.notCalled(send);
    await transport.send(anycast, text('1234'));
    sinon.assert.calledOnce(send);
  });

  it('allows 16 MiB where it was told nothing else', async () => {
    expect(await open()).to.have.property('maxMessageBytes', 16 * 1024 * 1024);
  });

  it('speaks the wire as it is on its driver and broker, each view for itself', async () => {
    const wire = (name: string): Wire => ({
      ...native(),
      on: (on) => ({ ...native({ exchange: `${name} on ${on.name} (${on.product})` }), name }),
    });
    const transport = await open({ wire: wire('first') });
    expect(transport.wire).to.include({ name: 'first', exchange: 'first on memory (undefined)' });
    expect(transport.with({ wire: wire('second') }).wire).to.include({ name: 'second' });
    const asItIs = { ...native(), on: () => undefined };
    expect(transport.with({ wire: asItIs }).wire).to.equal(asItIs);
  });

  it('does not stay connected where its wire cannot be spoken', async () => {
    const failure = new UnsupportedError('memory', 'that wire');
    const wire: Wire = {
      ...native(),
      on: () => {
        throw failure;
      },
    };
    expect(await rejection(open({ wire }))).to.equal(failure);
    expect(await rejection((driver as Driver).send(anycast, text('1')))).to.have.property('code', 'CLOSED');
  });

  it('remembers for a minute that nobody reads a reply address', async () => {
    const clock = sinon.useFakeTimers({ toFake: ['performance'] });
    const transport = await open();
    const to = { kind: 'reply', name: 'gone' } as const;
    await transport.send(to, text('1'));
    context?.onReturned(undefined, to);
    const send = sinon.spy(driver as Driver, 'send');
    expect(await rejection(transport.send(to, text('2')))).to.have.property('code', 'UNROUTABLE');
    sinon.assert.notCalled(send);
    clock.tick(60_000);
    await transport.send(to, text('3'));
    sinon.assert.calledOnce(send);
  });

  it('tells its status, to whoever listens and whatever the listener throws', async () => {
    const states: Status['state'][] = [];
    const error = sinon.spy();
    const nothing = (): void => {};
    const transport = await open({
      logger: { debug: nothing, info: nothing, warn: nothing, error },
      onStatus: ({ state }) => {
        states.push(state);
        throw new Error('a listener of the application');
      },
    });
    expect(transport.status.state).to.equal('connected');
    context?.onStatus({ state: 'blocked', reason: 'memory' });
    expect(transport.status).to.deep.equal({ state: 'blocked', reason: 'memory' });
    await transport.close();
    expect(states).to.deep.equal(['connected', 'blocked', 'closed']);
    sinon.assert.callCount(error, 3);
  });

  it('fails every pending reply of all its views when the driver may have lost something', async () => {
    const transport = await open();
    const view = transport.with({ wire: native() });
    const failed: unknown[] = [];
    for (const { inbox } of [transport, view]) {
      inbox.expect({
        what: 'x',
        timeoutMs: 1_000,
        timeoutError: () => new Error('late'),
        isWritten: () => true,
        answer: () => true,
        fail: (reason) => failed.push(reason),
      });
    }
    context?.onLost(new Error('a channel was closed'));
    expect(failed).to.have.lengthOf(2);
    for (const error of failed) expect(error).to.have.property('code', 'UNKNOWN');
  });
});
