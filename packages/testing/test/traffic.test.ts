import { AssertionError } from 'node:assert';
import { type Activity, native, processing } from '@posthorn/core';
import { RPCClient } from '@posthorn/rpc';
import { expect } from 'chai';
import { type TestTransport, Traffic, testTransport } from '../src/index.ts';
import { payment } from './support.ts';

describe('the traffic of a transport', () => {
  let test: TestTransport;
  let client: RPCClient;

  beforeEach(async () => {
    test = await testTransport();
    client = await payment(test.transport, {
      charge: (_: unknown, { order }: { order: string }) => {
        if (order === 'bad') throw new RangeError('no such order');
        return `${order} paid`;
      },
    });
  });

  afterEach(() => test[Symbol.asyncDispose]());

  it('is what was sent and what was handled, with its content and its outcome', async () => {
    await client.call({ user: 'alice' }, 'charge', { order: 'o-1' });
    const { sent, handled } = test.traffic;
    expect(sent).to.have.length(1);
    expect(sent[0]).to.deep.include({ operation: 'call', topic: 'payment', content: { order: 'o-1' }, state: 'done' });
    expect(sent[0]?.result).to.equal('o-1 paid');
    expect(handled).to.have.length(1);
    expect(handled[0]).to.deep.include({ operation: 'serve', name: 'charge', server: 'fake', result: 'o-1 paid' });
  });

  it('has what failed, with its error', async () => {
    await client.call({}, 'charge', { order: 'bad' }).catch(() => {});
    expect(test.traffic.failed.map(({ way }) => way)).to.have.members(['sent', 'handled']);
    test.traffic.expect({ way: 'handled', state: 'failed', error: { name: 'RangeError', message: /such/ } });
    test.traffic.expect({ way: 'sent', error: { code: 'REMOTE' } });
    test.traffic.expect({ way: 'handled', error: new RangeError('no such order') });
    test.traffic.expectNone({ way: 'handled', error: new RangeError('another') });
  });

  it('is found by what is named, at any depth', async () => {
    await client.call({ user: 'alice', role: 'admin' }, 'charge', { order: 'o-1', items: [{ id: 1 }] });
    const { traffic } = test;
    expect(traffic.expect({ way: 'sent', name: /^ch/, context: { user: 'alice' } }).name).to.equal('charge');
    traffic.expect({ content: { items: [{ id: 1 }] } });
    traffic.expectNone({ content: { items: [{ id: 2 }] } });
    traffic.expectNone({ content: { items: [] } });
    traffic.expectNone({ context: { user: 'bob' } });
    traffic.expectNone({ content: new Map([['order', 'o-1']]) });
  });

  it('says what there was, where nothing was as wanted', async () => {
    await client.call({}, 'charge', { order: 'o-1' });
    expect(() => test.traffic.expect({ name: /refund/ }))
      .to.throw(AssertionError)
      .with.property('message')
      .that.includes('nothing was like {"name":"/refund/"}')
      .and.includes('sent call payment charge {"order":"o-1"} done');
    expect(() => test.traffic.expectNone({ name: 'charge' })).to.throw(AssertionError, 'something was like');
  });

  it('can be waited for, before it begins and after it ended', async () => {
    const early = test.traffic.until({ way: 'handled', name: 'charge' });
    await client.cast({}, 'charge', { order: 'o-1' });
    const seen = await early;
    expect(seen).to.deep.include({ state: 'done', result: 'o-1 paid' });
    expect(await test.traffic.until({ way: 'handled', name: 'charge' })).to.equal(seen);
  });

  it('is that of its own transport alone', async () => {
    await using other = await testTransport();
    const elsewhere = await payment(other.transport, { charge: () => 'paid' });
    await elsewhere.call({}, 'charge', {});
    expect(test.traffic.all).to.be.empty;
    expect(other.traffic.all).to.have.length(2);
  });

  it('is also that of the views of its transport', async () => {
    await new RPCClient(test.transport.with({ wire: native({ exchange: 'other' }) }), { target: { topic: 'nobody' } })
      .cast({}, 'x', {})
      .catch(() => {});
    expect(test.traffic.sent.map(({ topic }) => topic)).to.deep.equal(['nobody']);
  });

  it('has what failed without a rejection, too', async () => {
    const { transport, traffic } = test;
    const what = {
      pattern: 'notify',
      operation: 'listen',
      name: 'disk.full',
      exchange: undefined,
      topic: 'disks',
    } as const;
    const activity: Activity = { ...what, transport, context: {}, content: {}, headers: {} };
    await processing.tracePromise(async () => {
      activity.failure = new RangeError('no room');
    }, activity);
    expect(traffic.failed.map(({ name }) => name)).to.deep.equal(['disk.full']);
    traffic.expect({ state: 'failed', error: { name: 'RangeError', message: 'no room' } });
  });

  it('is that of all transports of the process where none is named', async () => {
    await using other = await testTransport();
    using traffic = new Traffic();
    await new RPCClient(other.transport, { target: { topic: 'nobody' } }).call({}, 'x').catch(() => {});
    await client.call({}, 'charge', { order: 'o-1' });
    expect(traffic.sent.map(({ topic, state }) => [topic, state])).to.deep.equal([
      ['nobody', 'failed'],
      ['payment', 'done'],
    ]);
  });

  it('forgets what is cleared, and sees nothing once it is disposed', async () => {
    await client.call({}, 'charge', { order: 'o-1' });
    test.traffic.clear();
    expect(test.traffic.all).to.be.empty;
    test.traffic[Symbol.dispose]();
    await client.call({}, 'charge', { order: 'o-2' });
    expect(test.traffic.all).to.be.empty;
  });
});
