import { newId } from '@posthorn/core';
import { Publisher } from '@posthorn/messaging';
import { Notifier } from '@posthorn/notify';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { Amqp1FrameReader } from '../src/amqp1-frames.ts';
import { Amqp1Recorder } from '../src/amqp1-recorder.ts';
import { places } from '../src/places.ts';
import { connectQuietly } from '../src/rabbit-lab.ts';
import { FullMix, ROUND } from '../src/scenarios/full-mix.ts';
import { TcpProxy } from '../src/tcp-proxy.ts';
import { waitFor } from '../src/wait-for.ts';

const ROUNDS = 20;

describe('AMQP 1.0: what all that a process can be costs together', function () {
  this.timeout(120_000);

  for (const { name, open } of places().filter((place) => /AMQP 1\.0|posthorn broker/.test(place.name)))
    it(`R-10: clients, servers, notifiers, listeners, publishers and subscribers share one connection, and nothing is opened or attached after the warm-up (${name})`, async function () {
      await using place = await open(this);
      const url = new URL(place.url);
      await using proxy = await TcpProxy.open({ host: url.hostname, port: Number(url.port) });
      const counts = new Map<string, number>();
      const readers = { 'client->broker': new Amqp1FrameReader(), 'broker->client': new Amqp1FrameReader() };
      proxy.onData((chunk, way) => {
        for (const frame of readers[way].read(chunk)) {
          const key = `${way} ${frame}`;
          counts.set(key, (counts.get(key) ?? 0) + 1);
        }
      });
      url.host = `127.0.0.1:${proxy.port}`;
      await using transport = await connectQuietly(url.href);
      const mix = await FullMix.start(transport);
      await mix.round();
      counts.clear();
      for (let left = ROUNDS; left > 0; left--) await mix.round();

      const { calls, casts, notifications, messages } = ROUND;
      const moved = ROUNDS * (2 * calls + casts + notifications + messages);
      // What moves messages, and says what became of them and how many more may come.
      const moving = /(?:transfer|disposition|flow)$/;
      expect([...counts.keys()].filter((key) => !moving.test(key))).to.deep.equal([]);
      await waitFor('the last delivery', () => counts.get('broker->client transfer') === moved);
      expect(counts.get('client->broker transfer')).to.equal(moved);
      expect(proxy.connections).to.deep.equal({ now: 1, total: 1 });
    });
});

describe('AMQP 1.0: what each pattern asks of the broker', () => {
  it('R-09: is what its transfers say', async () => {
    await using recorder = await Amqp1Recorder.open('Posthorn');
    const transport = await connectQuietly(recorder.url);
    try {
      const topic = newId();
      const echo = { echo: (_: unknown, args: object) => args };
      await new RPCServer(transport, { target: { topic, server: 'one' }, endpoints: [echo] }).start();
      const client = new RPCClient(transport, { target: { topic } });
      const notifier = new Notifier(transport, { publisherId: 'audit', topics: [topic] });
      const publisher = new Publisher(transport, { publisherId: 'audit', exchange: topic });
      await client.call({}, 'echo', {});
      await client.cast({}, 'echo', {});
      await client.fanout({}, 'echo', {});
      await notifier.info({}, 'audit', {});
      await publisher.send('news', { messageType: 'news', version: '1.0', payload: {} });
      const [call, reply, cast, fanout, notification, message, ...more] = recorder.transferred.map(
        ({ durable, settled, ttl }) => ({ durable, settled, expires: ttl !== undefined }),
      );
      // None is settled by its sender: the broker says of each what became of it, a call's included, which fails at once so.
      const table = { call, reply, cast, fanout, notification, message };
      expect(table).to.deep.equal({
        call: { durable: false, settled: false, expires: true },
        reply: { durable: false, settled: false, expires: false },
        cast: { durable: true, settled: false, expires: false },
        fanout: { durable: false, settled: false, expires: false },
        notification: { durable: true, settled: false, expires: false },
        message: { durable: true, settled: false, expires: false },
      });
      expect(more).to.deep.equal([]);
    } finally {
      await transport.close();
    }
  });
});
