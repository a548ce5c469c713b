import {
  concurrent,
  type Delivery,
  type Driver,
  type DriverContext,
  MemoryFaults,
  memory,
  type Status,
  silent,
  Transport,
} from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { connect as connectAmqp } from 'amqplib';
import { expect } from 'chai';
import sinon from 'sinon';
import type { AmqpFrame } from '../src/amqp-frames.ts';
import { deferred } from '../src/deferred.ts';
import { confirm, fakeBroker, WILLING } from '../src/fake-broker.ts';
import type { ManagementApi } from '../src/management.ts';
import { PublishTap } from '../src/publish-tap.ts';
import { rabbitUrl } from '../src/rabbit.ts';
import type { RabbitBroker } from '../src/rabbit-broker.ts';
import { connectQuietly, needRabbit, rejection } from '../src/rabbit-lab.ts';
import { TcpProxy } from '../src/tcp-proxy.ts';
import { openVhost, type Vhost } from '../src/vhost.ts';
import { waitFor } from '../src/wait-for.ts';

const TEXT = { body: Buffer.from('x') };

/**
 * Troubles that messaging libraries for Node are known for, by number. The rest of them is proven where its subject is;
 * the titles there bear the number too.
 */
describe('immunities', function () {
  this.timeout(20_000);
  let broker: RabbitBroker & { readonly api: ManagementApi };
  let vhost: Vhost;

  before(async function () {
    this.timeout(180_000);
    broker = await needRabbit(this);
  });

  beforeEach(async () => {
    vhost = await openVhost(broker);
  });

  afterEach(() => vhost?.[Symbol.asyncDispose]());

  describe('1: stale settlements', () => {
    it('immunity 1: settlements from before a loss are counted, and do nothing to the new channel, nor to the message', async () => {
      await using proxy = await TcpProxy.open(vhost);
      const closedChannels: AmqpFrame[] = [];
      proxy.onFrame((frame, way) => {
        if (way === 'broker->client' && frame.name === 'channel.close') closedChannels.push(frame);
      });
      await using transport = await connectQuietly(`${rabbitUrl(vhost, { port: proxy.port })}?reconnectMinMs=10`);
      const deliveries: Delivery[] = [];
      const to = { kind: 'anycast', exchange: 'e', topic: 't' } as const;
      await transport.subscribe([to], (delivery) => void deliveries.push(delivery), { prefetch: 5 });
      for (let n = 0; n < 5; n++) await transport.send(to, TEXT, { confirm: true });
      await waitFor('five deliveries', () => deliveries.length === 5);
      proxy.reset();
      await waitFor('five more', () => deliveries.length === 10);
      const [old, fresh] = [deliveries.slice(0, 5), deliveries.slice(5)];
      // On the new channel the same tags belong to other deliveries, and unknown ones close it with 406.
      for (const delivery of [...old, ...old]) expect(await delivery.settle('accept')).to.equal(false);
      expect(transport.health().lateSettlements).to.equal(old.length);
      for (const delivery of fresh) expect(await delivery.settle('release')).to.equal(true);
      await waitFor('all five again', () => deliveries.length === 15);
      expect(closedChannels).to.deep.equal([]);
    });
  });

  describe('2: channels that cannot be had', () => {
    it('immunity 2: a queue that is locked by another is asked for with growing pauses, until it is free', async () => {
      await using proxy = await TcpProxy.open(vhost);
      await using serving = await connectQuietly(rabbitUrl(vhost, { port: proxy.port }));
      const endpoint = { echo: () => 'echo' };
      await new RPCServer(serving, {
        target: { exchange: 'e', topic: 't', server: 's' },
        endpoints: [endpoint],
      }).start();
      const asked: number[] = [];
      const isAsked = ({ name, payload }: AmqpFrame): boolean => name === 'queue.declare' && payload.includes('e/t');
      proxy.onFrame((frame, way) => way === 'client->broker' && isAsked(frame) && asked.push(performance.now()));
      const thief = await connectAmqp(vhost.url.replace('rabbit:', 'amqp:'));
      try {
        const channel = await thief.createChannel();
        // In one write: the server, which misses its queue, does not come in between.
        await Promise.all([channel.deleteQueue('e/t'), channel.assertQueue('e/t', { exclusive: true })]);
        await waitFor('five attempts', () => asked.length >= 5);
        const pauses = asked.slice(1).map((at, index) => at - (asked[index] ?? 0));
        for (const [index, pause] of pauses.slice(0, 4).entries()) expect(pause).to.be.at.least(95 * 2 ** index);
        expect(serving.status).to.deep.include({ state: 'connected', generation: 1 });
      } finally {
        await thief.close();
      }
      await using calling = await connectQuietly(vhost.url);
      const client = new RPCClient(calling, { target: { exchange: 'e', topic: 't' } });
      const call = (): Promise<unknown> => client.call({}, 'echo', {}, { timeoutMs: 1_000 }).catch(() => undefined);
      await waitFor('the server to be back', async () => (await call()) === 'echo');
    });
  });

  it('immunity 3: a reply that comes before the request counts as sent is not missed', async () => {
    const replied = deferred();
    await using transport = await Transport.open(async (context) => lateSender(context, replied.promise));
    const endpoint = { echo: () => 'at once' };
    await new RPCServer(transport, { target: { topic: 't', server: 's' }, endpoints: [endpoint] }).start();
    const client = new RPCClient(transport, { target: { topic: 't' }, timeoutMs: 5_000 });
    // Should the client begin to listen only when its send is over, this would never end: the send waits for the end.
    expect(await client.call({}, 'echo').finally(replied.resolve)).to.equal('at once');
  });

  describe('4: deadlines', () => {
    it('immunity 4: whatever waits for a peer that has gone silent ends at its deadline', async () => {
      await using proxy = await TcpProxy.open(vhost);
      await using transport = await connectQuietly(rabbitUrl(vhost, { port: proxy.port }));
      const server = new RPCServer(transport, { target: { topic: 't', server: 's' }, endpoints: [{ m: () => 1 }] });
      await server.start();
      const client = new RPCClient(transport, { target: { topic: 't' }, timeoutMs: 300 });
      await client.call({}, 'm', {}, { timeoutMs: 5_000 });
      await client.cast({}, 'm', {}, { timeoutMs: 5_000 });
      proxy.freeze();
      const begun = performance.now();
      const outcomes = await Promise.all([
        rejection(client.call({}, 'm')),
        rejection(client.cast({}, 'm')),
        rejection(client.fanout({}, 'm')),
        rejection(client.prepare({ topic: 'never-used', exchange: 'new' }).cast({}, 'm')),
      ]);
      expect(outcomes.map(({ code }) => code)).to.deep.equal(['TIMEOUT', 'UNKNOWN', 'TIMEOUT', 'TIMEOUT']);
      expect(performance.now() - begun).to.be.within(290, 5_000);
      await server.close({ timeoutMs: 200 });
      await transport.close({ timeoutMs: 200 });
      expect(performance.now() - begun).to.be.below(10_000);
    });

    it('immunity 4: calls and casts have a deadline of 60 s where nobody sets one', async () => {
      const clock = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      try {
        const faults = new MemoryFaults();
        await using transport = await connectQuietly('memory://', { memory: { faults } });
        faults.block();
        const client = new RPCClient(transport, { target: { topic: 't' } });
        const ended: string[] = [];
        for (const sending of [client.call({}, 'm'), client.cast({}, 'm')])
          void rejection(sending).then(({ code }) => ended.push(code));
        await clock.tickAsync(59_000);
        expect(ended).to.deep.equal([]);
        await clock.tickAsync(1_000);
        expect(ended).to.deep.equal(['TIMEOUT', 'TIMEOUT']);
      } finally {
        clock.restore();
      }
    });
  });

  it('immunity 8: callbacks that throw harm nothing, over five lost connections', async () => {
    const strays: unknown[] = [];
    const onStray = (reason: unknown): void => void strays.push(reason);
    process.on('unhandledRejection', onStray).on('uncaughtException', onStray);
    try {
      await using proxy = await TcpProxy.open(vhost);
      const states: Status[] = [];
      await using transport = await connectQuietly(`${rabbitUrl(vhost, { port: proxy.port })}?reconnectMinMs=10`, {
        onStatus: (status) => {
          states.push(status);
          throw new Error('from onStatus');
        },
      });
      const endpoint = {
        echo: () => 'echo',
        fail: () => Promise.reject(new Error('from a method')),
        odd: () => {
          throw undefined;
        },
      };
      await new RPCServer(transport, { target: { topic: 't', server: 's' }, endpoints: [endpoint] }).start();
      const client = new RPCClient(transport, { target: { topic: 't' }, timeoutMs: 3_000 });
      for (let generation = 2; generation <= 6; generation++) {
        for (const method of ['fail', 'odd'])
          expect((await rejection(client.call({}, method))).code).to.equal('REMOTE');
        const pending = rejection(client.call({}, 'echo'));
        proxy.reset();
        await pending.catch(() => undefined);
        await waitFor(
          'the connection',
          () => states.at(-1)?.state === 'connected' && transport.status.state === 'connected',
        );
        await waitFor('an echo', async () => (await client.call({}, 'echo').catch(() => undefined)) === 'echo');
        expect(transport.status).to.deep.include({ generation });
      }
    } finally {
      process.off('unhandledRejection', onStray).off('uncaughtException', onStray);
    }
    expect(strays).to.deep.equal([]);
  });

  it('immunity 10: by default settlements are manual, prefetch bounded, casts confirmed and persistent, queues durable', async () => {
    await using tap = await PublishTap.open(vhost);
    const frames = new Map<string, AmqpFrame[]>();
    tap.proxy.onFrame((frame, direction) => {
      const key = `${direction} ${frame.name}`;
      frames.set(key, [...(frames.get(key) ?? []), { ...frame, payload: Buffer.from(frame.payload) }]);
    });
    await using transport = await connectQuietly(rabbitUrl(vhost, { port: tap.port }));
    const ran = deferred();
    const server = { target: { exchange: 'e', topic: 't', server: 's' }, endpoints: [{ m: () => ran.resolve() }] };
    await new RPCServer(transport, { ...server, executor: concurrent(7) }).start();
    await new RPCClient(transport, { target: { exchange: 'e', topic: 't' } }).cast({}, 'm');
    await ran.promise;
    const ours = (name: string): AmqpFrame[] => frames.get(`client->broker ${name}`) ?? [];
    expect(ours('confirm.select')).to.not.be.empty;
    expect(frames.get('broker->client basic.ack')).to.have.lengthOf(1);
    expect(tap.published.map(({ properties }) => properties['deliveryMode'])).to.deep.equal([2]);
    for (const { payload } of ours('basic.consume')) expect((payload.at(-5) ?? 0) & 0b10, 'no-ack').to.equal(0);
    const counts = ours('basic.qos').map(({ payload }) => payload.readUInt16BE(8));
    expect(counts).to.have.lengthOf(3);
    for (const count of counts) expect(count).to.be.within(1, 100);
    for (const { name, durable, exclusive } of await broker.api.queues(vhost.vhost))
      expect(durable || exclusive, name).to.equal(true);
  });

  it('immunity 11: confirms that come out of order, refused or for many at once end the right sends', async () => {
    let published = 0;
    const script = {
      ...WILLING,
      'basic.publish': ({ channel }: AmqpFrame) =>
        ++published < 6
          ? []
          : [
              confirm('ack', channel, 3),
              confirm('nack', channel, 2),
              confirm('nack', channel, 5),
              confirm('ack', channel, 4, true),
            ],
    };
    await using peer = await fakeBroker(script);
    await using transport = await connectQuietly(`rabbit://127.0.0.1:${peer.port}/`);
    const to = { kind: 'anycast', exchange: 'e', topic: 't' } as const;
    const send = async (): Promise<string> => {
      const options = { confirm: true, timeoutMs: 2_000 };
      return await transport.send(to, TEXT, options).then(
        () => 'confirmed',
        (error: { readonly code: string }) => error.code,
      );
    };
    expect(await Promise.all([send(), send(), send(), send(), send(), send()])).to.deep.equal([
      'confirmed',
      'NOT_DELIVERED',
      'confirmed',
      'confirmed',
      'NOT_DELIVERED',
      'UNKNOWN',
    ]);
  });

  describe('13: closing', () => {
    for (const [when, prepare] of [
      ['disconnected', (proxy: TcpProxy) => proxy.refuse()],
      ['silent', (proxy: TcpProxy) => proxy.freeze()],
    ] as const)
      it(`immunity 13: close ends by its deadline, however often it is called, when the broker is ${when}`, async () => {
        await using proxy = await TcpProxy.open(vhost);
        await using transport = await connectQuietly(rabbitUrl(vhost, { port: proxy.port }));
        const begun = deferred();
        const gate = deferred();
        const endpoint = {
          hang: async () => {
            begun.resolve();
            await gate.promise;
          },
        };
        await new RPCServer(transport, { target: { topic: 't', server: 's' }, endpoints: [endpoint] }).start();
        const client = new RPCClient(transport, { target: { topic: 't' } });
        const pending = rejection(client.call({}, 'hang'));
        await begun.promise;
        prepare(proxy);
        if (when === 'disconnected') proxy.reset();
        const from = performance.now();
        const closing = transport.close({ timeoutMs: 400 });
        expect(transport.close() === closing, 'the same promise').to.equal(true);
        expect(await closing).to.deep.equal({ abandoned: ['hang'] });
        expect(performance.now() - from).to.be.within(390, 5_000);
        expect((await pending).code).to.be.oneOf(['CLOSED', 'UNKNOWN']);
        expect(transport.status.state).to.equal('closed');
        gate.resolve();
      });

    it('immunity 13: a server that is still starting on a silent connection closes by its deadline', async () => {
      await using proxy = await TcpProxy.open(vhost);
      await using transport = await connectQuietly(rabbitUrl(vhost, { port: proxy.port }));
      proxy.freeze();
      const server = new RPCServer(transport, { target: { topic: 't', server: 's' }, endpoints: [{ m: () => 1 }] });
      const starting = rejection(server.start());
      const from = performance.now();
      await server.close({ timeoutMs: 200 });
      await transport.close({ timeoutMs: 200 });
      expect(performance.now() - from).to.be.below(5_000);
      expect((await starting).code).to.be.oneOf(['CLOSED', 'CONNECTION']);
    });
  });
});

/** The memory driver, but a send is over only once the promise is. */
async function lateSender(context: DriverContext, over: Promise<void>): Promise<Driver> {
  const driver = await memory({ ...context, logger: silent });
  const send: Driver['send'] = async (to, message, options) => {
    await driver.send(to, message, options);
    if (to.kind === 'anycast') await over;
  };
  return {
    name: driver.name,
    features: driver.features,
    send,
    subscribe: driver.subscribe.bind(driver),
    close: driver.close.bind(driver),
    [Symbol.asyncDispose]: () => driver.close(),
  };
}
