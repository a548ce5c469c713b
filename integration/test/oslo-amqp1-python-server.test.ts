import { MessagingError, newId, silent, type Transport } from '@posthorn/core';
import { RemoteError, RPCClient } from '@posthorn/rpc';
import { expect } from 'chai';
import { connect } from 'posthorn';
import { type OsloAmqp1Place, osloAmqp1Candidates } from '../src/oslo-amqp1-place.ts';
import { OsloServer } from '../src/oslo-peers.ts';
import { rejection } from '../src/rejection.ts';
import { waitFor } from '../src/wait-for.ts';

class KeyError extends Error {}

for (const candidate of osloAmqp1Candidates)
  describe(`a Node client of a Python server on ${candidate.name}`, function () {
    this.timeout(30_000);
    let place: OsloAmqp1Place;
    let transport: Transport;
    let client: RPCClient;
    let servers: readonly OsloServer[] = [];

    before(async function () {
      place = await candidate.open(this);
      const { topic, python } = place;
      servers = await Promise.all(
        ['one', 'two'].map((server) => OsloServer.start({ ...python, topic, server, ping: true })),
      );
      transport = await connect(place.url, { wire: place.wire(), logger: silent });
      client = new RPCClient(transport, {
        target: { topic },
        timeoutMs: 10_000,
        errors: { 'builtins.KeyError': KeyError },
      });
    });

    after(async () => {
      await transport?.close();
      await Promise.all(servers.map((one) => one[Symbol.asyncDispose]()));
      await place?.[Symbol.asyncDispose]();
    });

    /** Who was told of it, as soon as there are that many, and everybody has answered a call that came after. */
    const told = async (mark: string, atLeast = 1): Promise<readonly string[]> => {
      const those = (): readonly string[] =>
        servers.flatMap(({ notes }) => notes.filter(({ kw }) => kw['mark'] === mark).map(({ server }) => server));
      await waitFor(`${atLeast} notes`, () => those().length >= atLeast);
      for (const server of ['one', 'two']) await client.prepare({ server }).call({}, 'nothing', {});
      return those();
    };

    it('gets the result of a call, whose arguments and context arrived', async () => {
      const context = { user: 'u1', tags: ['a', 'b'], nested: { deep: null } };
      const args = { text: 'héllo ✓', n: 5, f: 1.5, l: [1, null, true], d: { k: 'v' } };
      const { ctxt, kw } = (await client.call(context, 'echo', args)) as { ctxt: object; kw: object };
      expect(kw).to.deep.equal(args);
      expect(ctxt).to.deep.equal(context);
    });

    it('reaches the server that it names', async () => {
      for (const server of ['one', 'two', 'one'])
        expect(await client.prepare({ server }).call({}, 'echo', {})).to.include({ server });
    });

    it('reaches an endpoint by namespace and version', async () => {
      const spaced = client.prepare({ namespace: 'peer.ns', version: '1.3' });
      expect(await spaced.call({}, 'echo', {})).to.include({ namespace: 'peer.ns' });
      const error = await rejection(client.prepare({ version: '2.0' }).call({}, 'echo', {}));
      expect(error).to.be.instanceOf(MessagingError).with.property('code', 'UNSUPPORTED_VERSION');
    });

    it('exchanges falsy results, numbers and long texts unchanged', async () => {
      const falsy = { none: null, zero: 0, false: false, text: '', list: [], dict: {} };
      for (const [which, value] of Object.entries(falsy))
        expect(await client.call({}, 'falsy', { which }), which).to.deep.equal(value);
      expect(await client.call({}, 'numbers', {})).to.deep.equal([
        Number.NaN,
        Number.POSITIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
        2n ** 53n + 1n,
        -(2n ** 63n),
        2n ** 70n,
      ]);
      const text = '漢字 🦉 "quoted" \\ \u0000 '.repeat(10_000);
      expect(await client.call({}, 'unicode', { text })).to.equal(text);
    });

    it('casts to one of the servers, and to the one that it names', async () => {
      const [one, named] = [newId(), newId()];
      await client.cast({ user: 'u2' }, 'note', { mark: one });
      await client.prepare({ server: 'two' }).cast({}, 'note', { mark: named });
      expect(await told(one)).to.have.lengthOf(1);
      expect(await told(named)).to.deep.equal(['two']);
    });

    const [who, reached] = candidate.multicast ? ['every server', 2] : ['one server, where there is no multicast,', 1];
    it(`reaches ${who} by fanout`, async () => {
      const mark = newId();
      await client.fanout({}, 'note', { mark });
      expect(await told(mark, reached)).to.have.lengthOf(reached);
    });

    it('gets a Python exception as the class that is registered for it', async () => {
      const error = await rejection(client.call({}, 'boom', { kind: 'KeyError', text: 'no key' }));
      expect(error).to.be.instanceOf(KeyError).with.property('message', "'no key'");
    });

    it('gets any other Python exception as a RemoteError with type, message, traceback and arguments', async () => {
      const error = await rejection(client.call({}, 'boom', { kind: 'PeerError', text: 'no good', code: 7 }));
      if (!(error instanceof RemoteError)) throw error;
      expect(error.type).to.equal('peers.errors.PeerError');
      expect(error.message).to.equal('no good');
      expect(error.args).to.deep.equal(['no good']);
      expect(error.kwargs).to.deep.equal({ code: 7 });
      expect(error.trace.at(-1)).to.equal('peers.errors.PeerError: no good');
    });

    it('is told that there is no such method', async () => {
      const error = await rejection(client.call({}, 'nope', {}));
      expect(error).to.be.instanceOf(MessagingError).with.property('code', 'NO_SUCH_METHOD');
    });

    it('hears signs of life of a call that takes longer than the silence that it allows', async () => {
      const monitored = client.prepare({ monitorMs: 4_000 });
      expect(await monitored.call({}, 'slow', { seconds: 5 })).to.equal(5);
    });

    it('gives up a call at its deadline', async () => {
      const error = await rejection(client.call({}, 'slow', { seconds: 10 }, { timeoutMs: 200 }));
      expect(error).to.be.instanceOf(MessagingError).with.property('code', 'TIMEOUT');
    });

    it(`${candidate.multicast ? 'is told at once' : 'waits in vain'} when nobody serves a topic`, async () => {
      const nobody = new RPCClient(transport, {
        target: { topic: newId() },
        timeoutMs: candidate.multicast ? 10_000 : 500,
      });
      const error = await rejection(nobody.call({}, 'echo', {}));
      expect(error).to.have.property('code', candidate.multicast ? 'UNROUTABLE' : 'TIMEOUT');
    });

    it('sends a hundred calls at once, and each gets its own answer', async () => {
      const sums = await Promise.all(Array.from({ length: 100 }, (_, a) => client.call({}, 'add', { a, b: 1 })));
      expect(sums).to.deep.equal(Array.from({ length: 100 }, (_, a) => a + 1));
    });

    it('sends, when strict, what Python sends, and is understood as well', async () => {
      await using strict = await connect(place.url, { wire: place.wire({ strict: true }), logger: silent });
      const same = new RPCClient(strict, { target: { topic: place.topic }, timeoutMs: 10_000 });
      const mark = newId();
      await same.cast({}, 'note', { mark });
      expect(await same.call({}, 'add', { a: 1, b: 2 })).to.equal(3);
      expect(await told(mark)).to.have.lengthOf(1);
    });
  });
