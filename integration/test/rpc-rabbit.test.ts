import { type Context, newId, type Transport } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { connect } from 'posthorn';
import { bestOfThree } from '../src/best-of-three.ts';
import { FrameTap } from '../src/frame-counter.ts';
import type { ManagementApi } from '../src/management.ts';
import { PublishTap } from '../src/publish-tap.ts';
import { isSkip, type RabbitBroker, rabbitUrl, rabbitVersions } from '../src/rabbit-broker.ts';
import { recordingLogger } from '../src/recording-logger.ts';
import { skip } from '../src/skip.ts';
import { waitFor } from '../src/wait-for.ts';

const echo = { echo: (_context: Context, args: object) => args };

/** Frames that set something up, by the broker's name for them. */
const SETUP = /channel\.open|declare|bind|basic\.consume|basic\.qos|confirm\.select/;

for (const { name, find } of rabbitVersions())
  describe(`RPC on the wire of ${name}`, () => {
    let broker: RabbitBroker;
    let tap: FrameTap;
    let transport: Transport;
    let other: Transport;
    let topic: string;

    before(async function () {
      this.timeout(180_000);
      const found = await find();
      if (isSkip(found)) skip(this, name, found.skip);
      broker = found;
    });

    beforeEach(async () => {
      topic = `topic-${newId()}`;
      tap = await FrameTap.open(broker);
      const logger = recordingLogger();
      transport = await connect(rabbitUrl(broker, { port: tap.port }), { logger });
      other = await connect(broker.url, { logger });
    });

    afterEach(async () => {
      await transport?.close();
      await other?.close();
      await tap?.close();
    });

    const serve = (on: Transport, server = 'server', endpoint: object = echo): Promise<RPCServer> =>
      new RPCServer(on, { target: { topic, server }, endpoints: [endpoint] }).start();
    const setUps = (): string[] => Object.keys(tap.counts()).filter((frame) => SETUP.test(frame));

    it('N-02: a process that only casts declares no queue and consumes nothing', async () => {
      await serve(other);
      await new RPCClient(transport, { target: { topic } }).cast({}, 'echo');
      const frames = Object.keys(tap.counts());
      expect(frames).to.include('client->broker basic.publish');
      expect(frames.filter((frame) => /queue\.declare|basic\.consume/.test(frame))).to.be.empty;
    });

    it('N-07: a server makes its three queues, and their exchanges, by itself', async function () {
      const api: ManagementApi = broker.api ?? skip(this, this.test?.fullTitle() ?? name, 'no management API');
      await serve(other, 'host1');
      const ours = ({ name: queue }: { readonly name: string }): boolean => queue.includes(topic);
      const queues = await waitFor('three queues', async () => {
        const found = (await api.queues(broker.vhost)).filter(ours);
        return found.length >= 3 && found;
      });
      const [shared, all, own] = queues.map(({ name: queue }) => queue).sort();
      expect([shared, own]).to.deep.equal([`posthorn/${topic}`, `posthorn/${topic}/host1`]);
      expect(all).to.match(new RegExp(`^posthorn/${topic}/all/[0-9a-f]{32}$`));
      const exchanges = (await api.exchanges(broker.vhost)).map((one) => `${one.type} ${one.name}`);
      expect(exchanges).to.include.members(['direct posthorn/rpc', `fanout posthorn/${topic}/all`]);
    });

    it('R-05, R-06: after the warm-up 1,000 calls set up nothing, and each is one publish and one delivery', async () => {
      await serve(other);
      const client = new RPCClient(transport, { target: { topic } });
      await Promise.all(Array.from({ length: 10 }, () => client.call({}, 'echo')));
      tap.reset();
      for (let batch = 0; batch < 10; batch++)
        await Promise.all(Array.from({ length: 100 }, () => client.call({}, 'echo')));
      const counts = tap.counts();
      expect(setUps()).to.deep.equal([]);
      expect(counts['client->broker basic.publish']).to.equal(1_000);
      expect(counts['broker->client basic.deliver']).to.equal(1_000);
    });

    it('R-07: 1,000 casts to ten targets declare at most ten times', async () => {
      const topics = Array.from({ length: 10 }, (_, n) => `${topic}-${n}`);
      const clients = topics.map((one) => new RPCClient(transport, { target: { topic: one } }));
      tap.reset();
      await Promise.all(
        Array.from({ length: 1_000 }, (_, n) => clients[n % clients.length]?.cast({}, 'echo') ?? Promise.reject()),
      );
      const counts = tap.counts();
      expect(counts['client->broker basic.publish']).to.equal(1_000);
      const declares = Object.entries(counts).filter(([frame]) => /client->broker .*declare/.test(frame));
      expect(declares.reduce((sum, [, count]) => sum + count, 0)).to.be.at.most(10);
    });

    it('R-08: 1,000 casts are written in less than a second, with 200 ms to the broker and back', async () => {
      await serve(other);
      const client = new RPCClient(transport, { target: { topic } });
      await client.cast({}, 'echo');
      tap.proxy.latencyMs = 100;
      const [writtenMs] = await bestOfThree(async () => {
        tap.reset();
        const began = performance.now();
        const casts = Array.from({ length: 1_000 }, () => client.cast({}, 'echo'));
        await waitFor('all to be written', () => (tap.counts()['client->broker basic.publish'] ?? 0) >= 1_000);
        const tookMs = performance.now() - began;
        await Promise.all(casts);
        return [tookMs] as const;
      });
      expect(writtenMs).to.be.below(1_000);
    });

    it('R-10: 50 clients and 20 servers of a process share one connection', async () => {
      for (let n = 0; n < 20; n++) await serve(transport, `server-${n}`);
      const clients = Array.from({ length: 50 }, () => new RPCClient(transport, { target: { topic } }));
      const results = await Promise.all(clients.map((client, n) => client.call({}, 'echo', { n })));
      expect(results).to.deep.equal(clients.map((_, n) => ({ n })));
      expect(tap.proxy.connections).to.deep.equal({ now: 1, total: 1 });
    });

    it('R-09: a call, its reply, a cast and a fanout each travel by their profile', async () => {
      await using published = await PublishTap.open(broker);
      const tapped = await connect(rabbitUrl(broker, { port: published.port }), { logger: recordingLogger() });
      try {
        await serve(tapped);
        const client = new RPCClient(tapped, { target: { topic }, timeoutMs: 5_000 });
        await client.call({}, 'echo');
        await client.cast({}, 'echo');
        await client.fanout({}, 'echo');
        const travels = published.published.map(({ exchange, mandatory, properties }) => ({
          to: exchange.replace(topic, 't'),
          mandatory,
          persistent: properties['deliveryMode'] === 2,
          expires: 'expiration' in properties,
          answers: 'replyTo' in properties,
        }));
        const [call, reply, cast, fanout, ...more] = travels;
        expect(call).to.deep.equal({
          to: 'posthorn/rpc',
          mandatory: true,
          persistent: false,
          expires: true,
          answers: true,
        });
        expect(reply).to.deep.equal({ to: '', mandatory: true, persistent: false, expires: false, answers: false });
        expect(cast).to.deep.equal({
          to: 'posthorn/rpc',
          mandatory: false,
          persistent: true,
          expires: false,
          answers: false,
        });
        expect(fanout).to.deep.equal({
          to: 'posthorn/t/all',
          mandatory: false,
          persistent: false,
          expires: false,
          answers: false,
        });
        expect(more).to.deep.equal([]);
      } finally {
        await tapped.close();
      }
    });

    it('R-11: a hundred clients and twenty servers more cost no connection, and each transport has one', async function () {
      this.timeout(30_000);
      const transports = await Promise.all(
        Array.from({ length: 5 }, () => connect(rabbitUrl(broker, { port: tap.port }), { logger: recordingLogger() })),
      );
      try {
        const before = tap.proxy.connections.total;
        expect(before).to.equal(1 + transports.length);
        await Promise.all(
          transports.flatMap((one, n) => Array.from({ length: 4 }, (_, m) => serve(one, `server-${n}-${m}`))),
        );
        const clients = transports.flatMap((one) =>
          Array.from({ length: 20 }, () => new RPCClient(one, { target: { topic } })),
        );
        const answers = await Promise.all(clients.map((client, n) => client.call({}, 'echo', { n })));
        expect(answers).to.deep.equal(clients.map((_, n) => ({ n })));
        expect(tap.proxy.connections.total).to.equal(before);
      } finally {
        await Promise.all(transports.map((one) => one.close()));
      }
    });
  });
