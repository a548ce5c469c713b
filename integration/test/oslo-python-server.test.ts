import { MessagingError, newId, silent, type Transport } from '@posthorn/core';
import { oslo } from '@posthorn/oslo';
import { PING_METHOD, RemoteError, RPCClient, waitUntilReady } from '@posthorn/rpc';
import { expect } from 'chai';
import { connect } from 'posthorn';
import { OsloServer } from '../src/oslo-peers.ts';
import { type OsloPlace, openOsloPlace } from '../src/oslo-place.ts';
import { PublishTap } from '../src/publish-tap.ts';
import { rabbitUrl, rabbitVersions } from '../src/rabbit-broker.ts';
import { rejection } from '../src/rejection.ts';

class KeyError extends Error {}

for (const candidate of rabbitVersions()) {
  const title = `a Node client of a Python server on ${candidate.name}`;

  describe(title, function () {
    this.timeout(30_000);
    let place: OsloPlace;
    let transport: Transport;
    let client: RPCClient;
    const servers = new Map<string, OsloServer>();
    const server = (name: string): OsloServer => {
      const found = servers.get(name);
      if (found === undefined) throw new Error(`no server ${name}`);
      return found;
    };

    before(async function () {
      place = await openOsloPlace(this, title, candidate);
      const { url, exchange, topic } = place;
      await Promise.all(
        ['one', 'two'].map(async (name) =>
          servers.set(name, await OsloServer.start({ url, exchange, topic, server: name, ping: true })),
        ),
      );
      transport = await connect(`${url}?wire=oslo`, { logger: silent });
      client = new RPCClient(transport, {
        target: { exchange, topic },
        timeoutMs: 10_000,
        errors: { 'builtins.KeyError': KeyError },
      });
    });

    after(async () => {
      await transport?.close();
      await Promise.all([...servers.values()].map((one) => one[Symbol.asyncDispose]()));
      await place?.vhost[Symbol.asyncDispose]();
    });

    it('gets the result of a call, whose arguments and context arrived', async () => {
      const context = { user: 'u1', tags: ['a', 'b'], nested: { deep: null } };
      const args = { text: 'hello', n: 5, f: 1.5, l: [1, null, true], d: { k: 'v' } };
      const { ctxt, kw } = (await client.call(context, 'echo', args)) as { ctxt: object; kw: object };
      expect(kw).to.deep.equal(args);
      expect(ctxt).to.deep.include(context);
    });

    it('casts to one of the servers', async () => {
      const mark = newId();
      await client.prepare({ server: 'one' }).cast({ user: 'u2' }, 'note', { mark });
      const { kw, ctxt } = await server('one').note(new RegExp(mark));
      expect(kw).to.deep.equal({ mark });
      expect(ctxt).to.include({ user: 'u2' });
    });

    it('reaches every server by fanout', async () => {
      const mark = newId();
      await client.fanout({}, 'note', { mark });
      const told = await Promise.all([...servers.values()].map((one) => one.note(new RegExp(mark))));
      expect(told.map((note) => note.server)).to.deep.equal([...servers.keys()]);
    });

    it('reaches the server that it names', async () => {
      for (const name of servers.keys()) {
        expect(await client.prepare({ server: name }).call({}, 'echo', {})).to.include({ server: name });
      }
    });

    it('reaches an endpoint by namespace and version, the legacy namespace included', async () => {
      for (const namespace of ['peer.ns', 'peer.old']) {
        const spaced = client.prepare({ namespace, version: '1.3' });
        expect(await spaced.call({}, 'echo', {})).to.include({ namespace: 'peer.ns' });
      }
    });

    it('is refused a version above the implemented one, and an unknown namespace', async () => {
      for (const target of [{ namespace: 'peer.ns', version: '1.4' }, { version: '2.0' }, { namespace: 'unknown' }]) {
        const error = await rejection(client.prepare(target).call({}, 'echo', {}));
        expect(error).to.be.instanceOf(MessagingError).with.property('code', 'UNSUPPORTED_VERSION');
      }
    });

    it('is told that there is no such method', async () => {
      for (const method of ['nope', '_private', '__init__', 'toString']) {
        const error = await rejection(client.call({}, method, {}));
        expect(error).to.be.instanceOf(MessagingError).with.property('code', 'NO_SUCH_METHOD');
      }
    });

    it('gets a Python exception as the class that is registered for it', async () => {
      const error = await rejection(client.call({}, 'boom', { kind: 'KeyError', text: 'no key' }));
      expect(error).to.be.instanceOf(KeyError).with.property('message', "'no key'");
      expect((error as Error).cause)
        .to.be.instanceOf(RemoteError)
        .with.property('type', 'builtins.KeyError');
    });

    it('gets any other Python exception as a RemoteError with type, message, traceback and arguments', async () => {
      const error = await rejection(client.call({}, 'boom', { kind: 'PeerError', text: 'no good', code: 7 }));
      if (!(error instanceof RemoteError)) throw error;
      expect(error.code).to.equal('REMOTE');
      expect(error.type).to.equal('peers.errors.PeerError');
      expect(error.message).to.equal('no good');
      expect(error.args).to.deep.equal(['no good']);
      expect(error.kwargs).to.deep.equal({ code: 7 });
      expect(error.trace[0]).to.equal('Traceback (most recent call last):');
      expect(error.trace.at(-1)).to.equal('peers.errors.PeerError: no good');
    });

    it('gets expected exceptions and wrong arguments as failures, too', async () => {
      const known = await rejection(client.call({}, 'expected', { text: 'often' }));
      expect(known).to.be.instanceOf(RemoteError).with.property('type', 'peers.errors.PeerError');
      const wrong = await rejection(client.call({}, 'add', { a: 1 }));
      expect(wrong).to.be.instanceOf(RemoteError).with.property('type', 'builtins.TypeError');
    });

    it('exchanges any text unchanged', async () => {
      const text = 'é ✓ 漢字 🦉 "quoted" \\ \u0000 \u2028 \ud83d';
      expect(await client.call({}, 'unicode', { text })).to.equal(text);
    });

    it('exchanges NaN, infinities and integers beyond 2^53 unchanged', async () => {
      const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2n ** 53n + 1n, -(2n ** 63n)];
      const { kw } = (await client.call({}, 'echo', { values })) as { kw: { values: unknown } };
      expect(kw.values).to.deep.equal(values);
      expect(await client.call({}, 'numbers', {})).to.deep.equal([...values, 2n ** 70n]);
    });

    it('gets falsy results as they are', async () => {
      const falsy = { none: null, zero: 0, false: false, text: '', list: [], dict: {} };
      for (const [which, value] of Object.entries(falsy))
        expect(await client.call({}, 'falsy', { which })).to.deep.equal(value);
    });

    it('pings', async () => {
      expect(await client.call({}, PING_METHOD, {})).to.equal('pong');
      await waitUntilReady(client, { timeoutMs: 5_000 });
    });

    it('gets each of many concurrent answers to the call that asked', async () => {
      const sums = Array.from({ length: 200 }, (_, a) => client.call({}, 'add', { a, b: 1_000 }));
      expect(await Promise.all(sums)).to.deep.equal(Array.from({ length: 200 }, (_, a) => a + 1_000));
    });

    it('waits for a long method that shows signs of life', async () => {
      const monitored = client.prepare({ monitorMs: 4_000, timeoutMs: 60_000 });
      expect(await monitored.call({}, 'slow', { seconds: 6 })).to.equal(6);
    });

    it('gives up at the timeout, signs of life or not', async () => {
      const error = await rejection(
        client.prepare({ timeoutMs: 500, monitorMs: 2_000 }).call({}, 'slow', { seconds: 10 }),
      );
      expect(error).to.be.instanceOf(MessagingError).with.property('code', 'TIMEOUT');
    });

    it('ends a monitored call about the monitor time after its server was killed', async () => {
      const { url, exchange } = place;
      const topic = newId();
      await using mortal = await OsloServer.start({ url, exchange, topic, server: 'mortal' });
      const call = rejection(
        client.prepare({ topic, monitorMs: 2_000, timeoutMs: 60_000 }).call({}, 'slow', { seconds: 30 }),
      );
      await mortal.slow();
      await mortal.peer.kill9();
      const killed = performance.now();
      expect(await call)
        .to.be.instanceOf(MessagingError)
        .with.property('code', 'TIMEOUT');
      expect(performance.now() - killed).to.be.below(4_000);
    });

    it('reads replies that Python compressed', async () => {
      const { vhost, exchange } = place;
      const topic = newId();
      await using tap = await PublishTap.open(vhost);
      const options = { 'oslo_messaging_rabbit.kombu_compression': 'gzip' };
      const url = rabbitUrl(vhost, { port: tap.port });
      await using _ = await OsloServer.start({ url, exchange, topic, server: 'zip', options });
      const text = 'é'.repeat(10_000);
      expect(await client.prepare({ topic }).call({}, 'unicode', { text })).to.equal(text);
      const reply = tap.published.at(-1);
      expect(reply?.headers).to.deep.equal({ compression: 'application/x-gzip' });
      expect(reply?.body.length).to.be.below(1_000);
    });

    it('fails a call to a topic that nobody serves at once', async () => {
      const started = performance.now();
      const error = await rejection(client.prepare({ topic: newId() }).call({}, 'echo', {}));
      expect(error).to.be.instanceOf(MessagingError).with.property('code', 'UNROUTABLE');
      expect(performance.now() - started).to.be.below(1_000);
    });

    it('when strict, waits for its timeout where nobody serves the topic, as Python does', async () => {
      const strict = transport.with({ wire: oslo({ strict: true }) });
      const { exchange } = place;
      const nobody = new RPCClient(strict, { target: { exchange, topic: newId() }, timeoutMs: 300 });
      const error = await rejection(nobody.call({}, 'echo', {}));
      expect(error).to.be.instanceOf(MessagingError).with.property('code', 'TIMEOUT');
    });

    it('when strict, is served as well', async () => {
      const { exchange, topic } = place;
      const strict = new RPCClient(transport.with({ wire: oslo({ strict: true }) }), { target: { exchange, topic } });
      expect(await strict.call({}, 'add', { a: 1, b: 2 })).to.equal(3);
    });
  });
}
