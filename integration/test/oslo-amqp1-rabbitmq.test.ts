import { Heard } from '@posthorn/conformance';
import { newId, silent, type Transport } from '@posthorn/core';
import { NotificationListener, Notifier } from '@posthorn/notify';
import { oslo } from '@posthorn/oslo';
import { RemoteError, RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { connect } from 'posthorn';
import { amqp1Url } from '../src/amqp1-harness.ts';
import { OsloListener, OsloNotifier } from '../src/oslo-notify-peers.ts';
import { OsloClient, OsloError, OsloServer } from '../src/oslo-peers.ts';
import { type OsloPlace, openOsloPlace } from '../src/oslo-place.ts';
import { findRabbit, isSkip, rabbitVersions } from '../src/rabbit-broker.ts';
import { rejection } from '../src/rejection.ts';
import { skip } from '../src/skip.ts';
import { waitFor } from '../src/wait-for.ts';

/** Its AMQP 1.0 is that of a plugin. */
const OLD = 'RabbitMQ';

for (const candidate of rabbitVersions().filter(({ name }) => name !== OLD)) {
  const title = `the oslo wire over AMQP 1.0 on ${candidate.name}`;

  describe(`${title}, with Python peers over AMQP 0-9-1`, function () {
    this.timeout(30_000);
    let place: OsloPlace;
    let transport: Transport;
    let server: OsloServer;
    let python: OsloClient;
    const notes: unknown[] = [];

    before(async function () {
      place = await openOsloPlace(this, title, candidate);
      const { url, exchange, topic } = place;
      transport = await connect(amqp1Url(place.vhost), { wire: oslo({ exchange }), logger: silent });
      const endpoint = {
        echo: (ctxt: object, kw: object) => ({ ctxt, kw, server: 'node' }),
        note: (_: object, kw: object) => void notes.push(kw),
        boom: () => {
          throw new TypeError('oh');
        },
      };
      await new RPCServer(transport, { target: { topic, server: 'node' }, endpoints: [endpoint] }).start();
      [server, python] = await Promise.all([
        OsloServer.start({ url, exchange, topic, server: 'python' }),
        OsloClient.start({ url, exchange }),
      ]);
    });

    after(async () => {
      await transport?.close();
      await server?.[Symbol.asyncDispose]();
      await python?.[Symbol.asyncDispose]();
      await place?.vhost[Symbol.asyncDispose]();
    });

    const client = (): RPCClient =>
      new RPCClient(transport, { target: { topic: place.topic, server: 'python' }, timeoutMs: 10_000 });

    it('Node calls Python, and gets results, errors and signs of life', async () => {
      const [context, args] = [{ user: 'u1' }, { text: 'héllo ✓', l: [1, null, true] }];
      const answer = await client().call(context, 'echo', args);
      expect(answer).to.deep.include({ kw: args, server: 'python' });
      expect(await rejection(client().call({}, 'boom', { text: 'no' })))
        .to.be.instanceOf(RemoteError)
        .with.property('type', 'builtins.ValueError');
      expect(await client().prepare({ monitorMs: 4_000 }).call({}, 'slow', { seconds: 5 })).to.equal(5);
    });

    it('Python calls Node, and gets results and errors', async () => {
      const { topic } = place;
      const asked = { topic, server: 'node', args: { n: 1 }, ctxt: { user: 'u2' }, timeout: 10 };
      const answer = await python.call({ ...asked, method: 'echo' });
      expect(answer).to.deep.include({ kw: { n: 1 }, server: 'node' });
      const error = await rejection(python.call({ ...asked, method: 'boom' }));
      expect(error).to.be.instanceOf(OsloError).with.property('excType', 'TypeError');
    });

    it('each side casts to the other, and to all servers of both kinds', async () => {
      const { topic } = place;
      const marks = [newId(), newId(), newId(), newId()] as const;
      await client().cast({}, 'note', { mark: marks[0] });
      await python.cast({ topic, server: 'node', method: 'note', args: { mark: marks[1] } });
      await new RPCClient(transport, { target: { topic } }).fanout({}, 'note', { mark: marks[2] });
      await python.fanout({ topic, method: 'note', args: { mark: marks[3] } });
      for (const mark of [marks[0], marks[2], marks[3]]) await server.note(new RegExp(mark));
      await waitFor('the notes in Node', () => notes.length >= 3);
      expect(notes).to.have.deep.members([marks[1], marks[2], marks[3]].map((mark) => ({ mark })));
    });

    it('notifications of each side reach the other, and wait for its first listener', async () => {
      const { url, exchange } = place;
      const topics = [`n-${newId()}`];
      const notifier = new Notifier(transport, { publisherId: 'p', topics });
      await notifier.info({ user_id: 'u' }, 'from node', { n: 1 });
      await using listener = await OsloListener.start({ url, exchange, topics });
      await notifier.error({}, 'from node later', { n: 2 });
      await waitFor('both', () => listener.events.length >= 2);
      expect(listener.events).to.have.members(['from node', 'from node later']);

      const topic = `n-${newId()}`;
      await using telling = await OsloNotifier.start({ url, exchange });
      await telling.notify({ topics: [topic], event_type: 'from python', payload: { n: 3 } });
      const heard = new Heard();
      const listening = new NotificationListener(transport, { targets: [{ topic }], endpoints: [heard.endpoint] });
      await using _ = await listening.start();
      expect(await heard.first(1)).to.deep.equal(['from python']);
      expect(heard.all[0]).to.deep.include({ payload: { n: 3 } });
    });

    it('a pool is one queue for both sides', async () => {
      const { url, exchange } = place;
      const [topic, pool] = [`n-${newId()}`, `pool-${newId()}`];
      await using listener = await OsloListener.start({ url, exchange, topics: [topic], pool });
      const heard = new Heard();
      const options = { targets: [{ topic }], endpoints: [heard.endpoint], pool };
      await using _ = await new NotificationListener(transport, options).start();
      // Python declares when it starts, and consumes in a thread of its own.
      const group = { kind: 'group', name: pool } as const;
      await waitFor('both to consume', async () => (await transport.inspect(group))?.consumers === 2);
      const notifier = new Notifier(transport, { publisherId: 'p', topics: [topic] });
      const events = Array.from({ length: 20 }, (_, n) => `event-${n}`);
      for (const event of events) await notifier.info({}, event, {});
      await waitFor('all', () => listener.events.length + heard.events.length >= events.length);
      expect([...listener.events, ...heard.events].toSorted()).to.deep.equal(events.toSorted());
      expect(Math.min(listener.events.length, heard.events.length)).to.be.above(0);
    });

    it('a fanout reaches the next server when the last one took the exchange with it', async () => {
      const topic = newId();
      const [told, target] = [[] as unknown[], { topic }];
      const serve = (): Promise<RPCServer> => {
        const endpoint = { note: (_: object, { n }: { n: number }) => void told.push(n) };
        return new RPCServer(transport, { target: { topic, server: 's' }, endpoints: [endpoint] }).start();
      };
      const fanouts = new RPCClient(transport, { target });
      const first = await serve();
      await fanouts.fanout({}, 'note', { n: 1 });
      await waitFor('the first', () => told.length === 1);
      await first.close();
      for (const n of [2, 3]) await fanouts.fanout({}, 'note', { n });
      await using _ = await serve();
      await fanouts.fanout({}, 'note', { n: 4 });
      await waitFor('the last', () => told.includes(4));
      expect(told).to.deep.equal([1, 4]);
    });

    it('a topic that nobody serves is told at once', async () => {
      const nobody = new RPCClient(transport, { target: { topic: newId() }, timeoutMs: 10_000 });
      expect(await rejection(nobody.call({}, 'echo', {}))).to.have.property('code', 'UNROUTABLE');
      await nobody.cast({}, 'note', {});
      await nobody.fanout({}, 'note', {});
    });
  });
}

describe('the oslo wire over AMQP 1.0 on RabbitMQ 3', () => {
  it('is refused by name, and leaves no connection', async function () {
    this.timeout(180_000);
    const broker = await findRabbit();
    if (isSkip(broker)) return skip(this, 'the oslo wire over AMQP 1.0 on RabbitMQ 3', broker.skip);
    const states: string[] = [];
    const error = await rejection(
      connect(amqp1Url(broker), { wire: oslo(), logger: silent, onStatus: ({ state }) => void states.push(state) }),
    );
    expect(error).to.have.property('code', 'UNSUPPORTED');
    expect(error)
      .to.have.property('message')
      .that.matches(/oslo wire on RabbitMQ 3, where rabbit:\/\//);
    expect(states.at(-1)).to.equal('closed');
  });
});
