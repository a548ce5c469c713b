import { getEventListeners } from 'node:events';
import { concurrent, newId, type Status, type Transport } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import type { ManagementApi } from '../src/management.ts';
import { rabbitUrl } from '../src/rabbit.ts';
import type { RabbitBroker } from '../src/rabbit-broker.ts';
import { connectQuietly, needRabbit, rejection } from '../src/rabbit-lab.ts';
import { TcpProxy } from '../src/tcp-proxy.ts';
import { waitFor } from '../src/wait-for.ts';

const PENDING = 100;

/** A server whose method `hang` waits for `release`, and whose `run` puts its name on record. */
class Slow {
  readonly executed: string[] = [];
  hanging = 0;
  release: () => void = () => {};
  readonly #released = new Promise<void>((resolve) => {
    this.release = resolve;
  });

  async hang(): Promise<void> {
    this.hanging++;
    await this.#released;
  }

  run(_: unknown, { name }: { readonly name: string }): string {
    this.executed.push(name);
    return name;
  }
}

describe('RabbitMQ: lost connections', () => {
  let broker: RabbitBroker & { readonly api: ManagementApi };
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown): void => void unhandled.push(reason);

  before(async function () {
    this.timeout(90_000);
    broker = await needRabbit(this);
  });

  beforeEach(() => {
    unhandled.length = 0;
    process.on('unhandledRejection', onUnhandled);
  });

  afterEach(() => {
    process.off('unhandledRejection', onUnhandled);
    expect(unhandled).to.deep.equal([]);
  });

  interface Pair extends AsyncDisposable {
    readonly proxy: TcpProxy;
    readonly name: string;
    readonly transports: readonly Transport[];
    readonly client: RPCClient;
    readonly slow: Slow;
    /** When the client was told that its connection is lost, on the clock of `performance.now()`. */
    lostAt(): number;
  }

  /** A client and a server, each with a connection of its own through one proxy. */
  async function openPair(query = ''): Promise<Pair> {
    const proxy = await TcpProxy.open(broker);
    const name = `loss-${newId()}`;
    const lost: number[] = [];
    const onStatus = ({ state }: Status): void => {
      if (state === 'disconnected') lost.push(performance.now());
    };
    const url = `${rabbitUrl(broker, { port: proxy.port })}?${query}`;
    const [serving, calling] = await Promise.all([
      connectQuietly(url, { rabbit: { connectionName: `${name}-server` } }),
      connectQuietly(url, { rabbit: { connectionName: `${name}-client` }, onStatus }),
    ]);
    const slow = new Slow();
    const topic = newId();
    await new RPCServer(serving, {
      target: { topic, server: 'one' },
      endpoints: [slow],
      executor: concurrent(2 * PENDING),
      prefetch: 2 * PENDING,
    }).start();
    return {
      proxy,
      name,
      transports: [serving, calling],
      client: new RPCClient(calling, { target: { topic } }),
      slow,
      lostAt: () => lost[0] ?? Number.NaN,
      [Symbol.asyncDispose]: async () => {
        slow.release();
        await Promise.all([calling.close(), serving.close()]);
        await proxy.close();
      },
    };
  }

  /** Starts calls that hang in their server; resolves once all do. Each tells its error's code, and when it came. */
  async function hang({ client, slow }: Pair): Promise<readonly Promise<{ code: string; at: number }>[]> {
    const calls = Array.from({ length: PENDING }, async () => {
      const { code } = await rejection(client.call({}, 'hang', {}, { timeoutMs: 60_000 }));
      return { code, at: performance.now() };
    });
    await waitFor('all calls to hang', () => slow.hanging === PENDING);
    return calls;
  }

  async function expectUnknown(pair: Pair, calls: readonly Promise<{ code: string; at: number }>[]): Promise<void> {
    const outcomes = await Promise.all(calls);
    expect(new Set(outcomes.map(({ code }) => code))).to.deep.equal(new Set(['UNKNOWN']));
    expect(Math.max(...outcomes.map(({ at }) => at)) - pair.lostAt()).to.be.below(1_000);
  }

  async function expectWorking({ client }: Pair): Promise<void> {
    expect(await client.call({}, 'run', { name: 'again' }, { timeoutMs: 8_000 })).to.equal('again');
    await client.cast({}, 'run', { name: 'cast' });
  }

  it('R-01, immunity 5: 100 pending calls are told that their outcome is unknown when the connection is reset, and all works again', async () => {
    await using pair = await openPair();
    const calls = await hang(pair);
    const begun = performance.now();
    pair.proxy.reset();
    await expectUnknown(pair, calls);
    expect(performance.now() - begun).to.be.below(1_000);
    await expectWorking(pair);
  });

  it('100 pending calls are told that their outcome is unknown when the broker closes the connection, and all works again', async () => {
    await using pair = await openPair();
    const calls = await hang(pair);
    expect(await broker.api.closeConnectionsNamed(new RegExp(`^${pair.name}`), { atLeast: 2 })).to.equal(2);
    await expectUnknown(pair, calls);
    await expectWorking(pair);
  });

  it('a peer that has gone silent is found out within two heartbeats, and all works again once it answers', async () => {
    await using pair = await openPair('heartbeatMs=2000');
    const calls = await hang(pair);
    const begun = performance.now();
    pair.proxy.freeze();
    await expectUnknown(pair, calls);
    expect(pair.lostAt() - begun).to.be.below(4_400);
    pair.proxy.thaw();
    await expectWorking(pair);
  });

  it('a quiet connection with a living peer is not taken for dead', async () => {
    await using pair = await openPair('heartbeatMs=2000');
    const beats = new Promise<void>((resolve) => {
      let left = 8; // four from each connection: four seconds and more of silence otherwise
      pair.proxy.onFrame((frame, way) => {
        if (way === 'broker->client' && frame.kind === 'heartbeat' && --left === 0) resolve();
      });
    });
    await beats;
    expect(pair.proxy.connections.total).to.equal(2);
    expect(pair.lostAt()).to.be.NaN;
  });

  /** Refuses connections from now on and cuts those there are; resolves when both sides have noticed. */
  async function takeDown({ proxy, transports }: Pair): Promise<void> {
    proxy.refuse();
    proxy.reset();
    await waitFor('both to be disconnected', () => transports.every(({ status }) => status.state === 'disconnected'));
  }

  it('immunity 9: calls and casts made without a connection wait for it, and those whose time is up are never written', async () => {
    await using pair = await openPair('reconnectMaxMs=200');
    const { client, slow, proxy } = pair;
    await takeDown(pair);
    const begun = performance.now();
    const call = client.call({}, 'run', { name: 'call' });
    const cast = client.cast({}, 'run', { name: 'cast' });
    const late = await Promise.all([
      rejection(client.call({}, 'run', { name: 'late call' }, { timeoutMs: 200 })),
      rejection(client.cast({}, 'run', { name: 'late cast' }, { timeoutMs: 200 })),
    ]);
    expect(late.map(({ code }) => code)).to.deep.equal(['TIMEOUT', 'TIMEOUT']);
    expect(performance.now() - begun).to.be.within(195, 5_000);
    await proxy.accept();
    expect(await call).to.equal('call');
    await cast;
    await client.call({}, 'run', { name: 'marker' });
    expect([...slow.executed].sort()).to.deep.equal(['call', 'cast', 'marker']);
  });

  it('an abort ends a call that waits for the connection with its own reason, and it is never written', async () => {
    await using pair = await openPair('reconnectMaxMs=200');
    const { client, slow, proxy } = pair;
    await takeDown(pair);
    const controller = new AbortController();
    const { signal } = controller;
    const reason = new Error('changed my mind');
    const outcomes = Promise.allSettled([
      client.call({}, 'run', { name: 'call' }, { signal }),
      client.cast({}, 'run', { name: 'cast' }, { signal }),
    ]);
    controller.abort(reason);
    expect((await outcomes).map((one) => one.status === 'rejected' && one.reason)).to.deep.equal([reason, reason]);
    expect(getEventListeners(signal, 'abort')).to.deep.equal([]);
    await proxy.accept();
    await client.call({}, 'run', { name: 'marker' });
    expect(slow.executed).to.deep.equal(['marker']);
  });

  it('immunity 9: the line of casts that wait for the connection is bounded: one more fails with OVERLOADED', async () => {
    await using pair = await openPair('reconnectMaxMs=200&lineMessages=2');
    const { client, slow, proxy } = pair;
    await takeDown(pair);
    const waiting = ['first', 'second'].map((name) => client.cast({}, 'run', { name }));
    const error = await rejection(client.cast({}, 'run', { name: 'third' }));
    expect(error.code).to.equal('OVERLOADED');
    expect(error.retryable).to.equal(true);
    await proxy.accept();
    await Promise.all(waiting);
    await client.call({}, 'run', { name: 'marker' });
    expect(slow.executed).to.deep.equal(['first', 'second', 'marker']);
  });

  it('immunity 9: a peer that reads nothing does not make the process buffer without bound: OVERLOADED at the byte limit', async () => {
    await using pair = await openPair('lineBytes=1048576');
    const { client, proxy } = pair;
    await client.call({}, 'run', { name: 'warm' });
    proxy.freeze();
    const padding = 'x'.repeat(500_000);
    const codes = await Promise.all(
      Array.from({ length: 80 }, async (_, index) => {
        const call = client.call({}, 'run', { name: `${index}`, padding }, { timeoutMs: 1_500 });
        return (await rejection(call)).code;
      }),
    );
    expect(codes.slice(-20)).to.deep.equal(Array(20).fill('OVERLOADED'));
    expect(codes[0]).to.equal('TIMEOUT');
    proxy.thaw();
    await expectWorking(pair);
  });

  for (const fault of ['reset', 'freeze'] as const) {
    it(`immunity 15: leaves no timer, socket or listener behind after ${fault} and close`, async () => {
      await using proxy = await TcpProxy.open(broker);
      const before = resources();
      const listeners = processListeners();
      const controller = new AbortController();
      const url = `${rabbitUrl(broker, { port: proxy.port })}?heartbeatMs=1000`;
      const transport = await connectQuietly(url);
      const slow = new Slow();
      const topic = newId();
      await new RPCServer(transport, { target: { topic, server: 'one' }, endpoints: [slow] }).start();
      const client = new RPCClient(transport, { target: { topic } });
      const { signal } = controller;
      const calls = Array.from({ length: 4 }, () =>
        rejection(client.call({}, 'hang', {}, { signal, timeoutMs: 60_000 })),
      );
      await waitFor('all calls to hang', () => slow.hanging === 4);
      proxy[fault]();
      await Promise.all(calls);
      proxy.thaw();
      await client.call({}, 'run', { name: 'again' }, { signal });
      slow.release();
      await transport.close();
      expect(getEventListeners(signal, 'abort')).to.deep.equal([]);
      expect(processListeners()).to.deep.equal(listeners);
      await waitFor(`nothing but ${JSON.stringify(before)}`, () => isWithin(resources(), before), 1_000);
    });
  }

  it('leaves nothing behind when it is closed while it reconnects to a peer that does not answer', async () => {
    await using proxy = await TcpProxy.open(broker);
    const before = resources();
    const transport = await connectQuietly(rabbitUrl(broker, { port: proxy.port }));
    proxy.reset();
    proxy.freeze();
    await waitFor('the attempt to reconnect', () => proxy.connections.total === 2);
    await transport.close();
    proxy.cut();
    await waitFor(`nothing but ${JSON.stringify(before)}`, () => isWithin(resources(), before), 1_000);
  });
});

/** What keeps the process alive, counted by kind. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

function isWithin(now: Readonly<Record<string, number>>, limit: Readonly<Record<string, number>>): boolean {
  return Object.entries(now).every(([kind, count]) => count <= (limit[kind] ?? 0));
}

function processListeners(): Record<string, number> {
  return Object.fromEntries(process.eventNames().map((name) => [String(name), process.listenerCount(name)]));
}
