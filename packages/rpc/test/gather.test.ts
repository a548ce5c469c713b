import { type Context, MemoryFaults, memory, native, newId, Transport, type Wire } from '@posthorn/core';
import { expect } from 'chai';
import sinon from 'sinon';
import {
  type Gathered,
  nativeCodec,
  type OutgoingCall,
  RPCClient,
  type RPCClientOptions,
  RPCServer,
} from '../src/index.ts';
import { rejection } from './support.ts';

describe('gather', () => {
  let name: string;
  let opened: Transport[];

  beforeEach(() => {
    name = newId();
    opened = [];
  });

  afterEach(async () => {
    sinon.restore();
    for (const transport of opened.reverse()) await transport.close({ timeoutMs: 1_000 });
  });

  const connect = async (wire: Wire = native(), faults = new MemoryFaults()): Promise<Transport> => {
    const transport = await Transport.open((context) => memory(context, { name, faults }), { wire });
    opened.push(transport);
    return transport;
  };

  const serve = async (servers: Readonly<Record<string, (context: Context) => unknown>>): Promise<void> => {
    const transport = await connect();
    for (const [server, status] of Object.entries(servers))
      await new RPCServer(transport, { target: { topic: 't', server }, endpoints: [{ status }] }).start();
  };

  const options: RPCClientOptions = { target: { topic: 't' } };

  it('has the types of the interface', async () => {
    interface StatusApi {
      status(): 'up';
    }
    await serve({ a: () => 'up' });
    const client = new RPCClient<StatusApi>(await connect(), options);
    const replies: readonly Gathered<'up'>[] = await client.gather({}, 'status', {}, { max: 1, timeoutMs: 9_000 });
    for (const { server, value, error } of replies)
      expect([server, value, error]).to.deep.equal(['a', 'up', undefined]);
    // @ts-expect-error how long is not a matter of defaults
    expect(await rejection(client.gather({}, 'other', {}, { max: 0 }))).to.have.property('code', 'CONFIG');
  });

  it('ends at the deadline, not sooner and not later', async () => {
    const toFake = ['setTimeout', 'clearTimeout', 'performance'] as const;
    const clock = sinon.useFakeTimers({ toFake: [...toFake] });
    await serve({ a: () => 1, b: () => new Promise(() => undefined), c: () => 3 });
    const gathering = new RPCClient(await connect(), options).gather({}, 'status', {}, { timeoutMs: 500 });
    let ended = false;
    const ending = gathering.finally(() => {
      ended = true;
    });
    // The replies travel in turns of the event loop, which is not faked.
    for (let hop = 0; hop < 10; hop++) await new Promise((resolve) => setImmediate(resolve));
    await clock.tickAsync(499);
    expect(ended).to.equal(false);
    await clock.tickAsync(2);
    expect(ended).to.equal(true);
    expect((await ending).map(({ server }) => server)).to.deep.equal(['a', 'c']);
  });

  it('is UNKNOWN when the connection is lost before enough replied', async () => {
    const faults = new MemoryFaults();
    let asked: () => void = () => {};
    const wasAsked = new Promise<void>((resolve) => {
      asked = resolve;
    });
    await serve({ a: () => new Promise(() => asked()) });
    const gathering = new RPCClient(await connect(native(), faults), options).gather(
      {},
      'status',
      {},
      { timeoutMs: 9_000 },
    );
    await wasAsked;
    faults.disconnect();
    expect(await rejection(gathering)).to.have.property('code', 'UNKNOWN');
  });

  it('is a time-out where nothing was ever sent, even if none were needed', async () => {
    const faults = new MemoryFaults();
    const client = new RPCClient(await connect(native(), faults), options);
    faults.disconnect();
    const error = await rejection(client.gather({}, 'status', {}, { min: 0, timeoutMs: 50 }));
    expect(error).to.have.property('code', 'TIMEOUT');
    expect(error.message).to.match(/^gather status from multicast posthorn\/t timed out/);
  });

  it('wants no signs of life: the deadline is all that counts', async () => {
    const servers = await connect();
    const headers: unknown[] = [];
    await servers.subscribe([{ kind: 'multicast', exchange: 'posthorn', topic: 't' }], (delivery) => {
      void delivery.settle('accept');
      headers.push(delivery.message.headers);
    });
    const client = new RPCClient(await connect(), { ...options, monitorMs: 20 });
    const error = await rejection(client.gather({}, 'status', {}, { timeoutMs: 1_000 }));
    expect(error.message).to.match(/0 of at least 1 replies came within 1000 ms/);
    expect(headers).to.deep.equal([{ 'ph-gather': true }]);
  });

  it('is refused on a wire that does not tell who replied, by its name', async () => {
    const { namesServers: _, ...rest } = nativeCodec(native().contents);
    const client = new RPCClient(await connect({ ...native(), name: 'oslo', codecs: { rpc: rest } }), options);
    const error = await rejection(client.gather({}, 'status', {}, { timeoutMs: 9_000 }));
    expect(error).to.have.property('code', 'UNSUPPORTED');
    expect(error.message).to.match(/^the oslo wire does not tell who replied/);
  });

  it('is one call for layers, and goes through the serializer, where one bad value spoils no other', async () => {
    await serve({ a: () => 1, b: () => 2 });
    const seen: unknown[] = [];
    const client = new RPCClient(await connect(), {
      ...options,
      layers: [
        (next) => (call: OutgoingCall) => {
          seen.push([call.kind, call.gather, call.target.fanout]);
          return next(call);
        },
      ],
      serializer: {
        deserializeEntity(_context, entity) {
          if (entity === 2) throw new RangeError('no two');
          return `number ${entity}`;
        },
      },
    });
    const replies = await client.gather({}, 'status', {}, { max: 2, timeoutMs: 9_000 });
    expect(seen).to.deep.equal([['gather', { min: 1, max: 2 }, true]]);
    expect(replies.map(({ server, value, error }) => [server, value ?? error?.message])).to.deep.equal([
      ['a', 'number 1'],
      ['b', 'no two'],
    ]);
  });
});
