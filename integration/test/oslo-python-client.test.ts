import { once } from 'node:events';
import { newId, serial, silent, type Transport } from '@posthorn/core';
import { type CallInfo, expected, RPCClient, RPCServer, type RPCServerOptions } from '@posthorn/rpc';
import { expect } from 'chai';
import { connect } from 'posthorn';
import { deferred } from '../src/deferred.ts';
import { innerOf } from '../src/oslo-inner.ts';
import { OsloClient, OsloError, OsloServer } from '../src/oslo-peers.ts';
import { type OsloPlace, openOsloPlace } from '../src/oslo-place.ts';
import { type Published, PublishTap } from '../src/publish-tap.ts';
import { rabbitUrl, rabbitVersions } from '../src/rabbit-broker.ts';
import { rejection } from '../src/rejection.ts';
import { skip } from '../src/skip.ts';
import { waitFor } from '../src/wait-for.ts';

class ValueError extends Error {}
class PeerError extends Error {
  readonly kwargs = { code: 7 };
}
class Unregistered extends Error {
  override readonly name = 'Unregistered';
}

const ERRORS = { 'builtins.ValueError': ValueError, 'peers.errors.PeerError': PeerError };
const KINDS = { ValueError, PeerError, Unregistered, RangeError };
const FALSY = { none: null, nothing: undefined, zero: 0, false: false, text: '', list: [], dict: {} };
const NUMBERS = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  2n ** 53n + 1n,
  -(2n ** 63n),
  2n ** 70n,
];
/** The same as Python's JSON has them, which is how the Python peer tells what it got. */
const NUMBERS_TEXT = ['NaN', 'Infinity', '-Infinity', ...NUMBERS.slice(3).map(String)];

interface Note {
  readonly server: string;
  readonly kw: Readonly<Record<string, unknown>>;
  readonly ctxt: object;
}

/** What oslo/server.py offers, in Node. */
class Plain {
  readonly notes: Note[] = [];
  readonly #server: string;
  readonly begun = deferred();
  mayEnd: Promise<unknown> = Promise.resolve();

  constructor(server: string) {
    this.#server = server;
  }

  echo(ctxt: object, kw: object): object {
    return { ctxt, kw, server: this.#server };
  }

  add(_: object, { a, b }: { a: number; b: number }): number {
    return a + b;
  }

  boom(_: object, { kind, text }: { kind: keyof typeof KINDS; text: string }): never {
    throw new KINDS[kind](text);
  }

  readonly expected = expected(PeerError)((_: object, { text }: { text: string }): never => {
    throw new PeerError(text);
  });

  async slow(_: object, args: object, { signal }: CallInfo): Promise<string> {
    this.begun.resolve();
    await Promise.race([this.mayEnd, once(signal, 'abort')]);
    return `ended ${JSON.stringify(args)}`;
  }

  falsy(_: object, { which }: { which: keyof typeof FALSY }): unknown {
    return FALSY[which];
  }

  numbers(_: object, { values }: { values: unknown[] }): unknown {
    // Told as texts, so that what arrived is known to be right and not only what is sent back.
    return { texts: values.map(String), values };
  }

  unicode(_: object, { text }: { text: string }): string {
    return text;
  }

  unserializable(): unknown {
    return { deep: [() => 'a function'] };
  }

  note(ctxt: object, kw: Readonly<Record<string, unknown>>): void {
    this.notes.push({ server: this.#server, kw, ctxt });
  }
}

class Spaced {
  readonly target = { namespace: 'peer.ns', version: '1.3', legacyNamespaces: ['peer.old'] };

  echo(): object {
    return { namespace: 'peer.ns' };
  }
}

const isHeartbeat = ({ body }: Published): boolean => innerOf(body)['ending'] === false;

for (const candidate of rabbitVersions()) {
  const title = `a Python client of a Node server on ${candidate.name}`;

  describe(title, function () {
    this.timeout(30_000);
    let place: OsloPlace;
    let transport: Transport;
    let python: OsloClient;
    const plain = new Map(['one', 'two'].map((name) => [name, new Plain(name)]));

    /** One more server, alone on a topic, by default on a connection of its own. */
    const serve = async (
      endpoint: object,
      { via, topic = newId(), ...options }: Partial<RPCServerOptions> & { via?: number; topic?: string } = {},
    ): Promise<AsyncDisposable & { readonly topic: string; readonly transport: Transport }> => {
      const url = rabbitUrl(place.vhost, via === undefined ? {} : { port: via });
      const own = await connect(`${url}?wire=oslo`, { logger: silent });
      const target = { exchange: place.exchange, topic, server: 'own' };
      await new RPCServer(own, { target, endpoints: [endpoint], errors: ERRORS, ...options }).start();
      return { topic, transport: own, [Symbol.asyncDispose]: async () => void (await own.close({ timeoutMs: 100 })) };
    };

    before(async function () {
      place = await openOsloPlace(this, title, candidate);
      const { url, exchange, topic } = place;
      [transport, python] = await Promise.all([
        connect(`${url}?wire=oslo`, { logger: silent }),
        OsloClient.start({ url, exchange, allowModules: ['peers.errors'] }),
      ]);
      for (const [server, endpoint] of plain) {
        const target = { exchange, topic, server };
        await new RPCServer(transport, { target, endpoints: [endpoint, new Spaced()], errors: ERRORS }).start();
      }
    });

    after(async () => {
      await python?.[Symbol.asyncDispose]();
      await transport?.close();
      await place?.vhost[Symbol.asyncDispose]();
    });

    const call = (method: string, more: object = {}): Promise<unknown> =>
      python.call({ topic: place.topic, method, timeout: 10, ...more });
    const failure = async (method: string, more: object = {}): Promise<OsloError> => {
      const error = await rejection(call(method, more));
      if (!(error instanceof OsloError)) throw error;
      return error;
    };
    const notesWith = (mark: string): Note[] =>
      [...plain.values()].flatMap(({ notes }) => notes).filter(({ kw }) => kw['mark'] === mark);

    it('gets the result of a call, whose arguments and context arrived', async () => {
      const args = { text: 'hello', n: 5, f: 1.5, l: [1, null, true], d: { k: 'v' } };
      const ctxt = { user: 'u1', tags: ['a', 'b'], nested: { deep: null } };
      expect(await call('echo', { args, ctxt })).to.deep.include({ kw: args, ctxt });
    });

    it('casts to one of the servers', async () => {
      const mark = newId();
      await python.cast({ topic: place.topic, method: 'note', args: { mark }, ctxt: { user: 'u2' } });
      const [note] = await waitFor('the note', () => notesWith(mark).length === 1 && notesWith(mark));
      expect(note?.ctxt).to.deep.equal({ user: 'u2' });
    });

    it('reaches every server by fanout', async () => {
      const mark = newId();
      await python.fanout({ topic: place.topic, method: 'note', args: { mark } });
      const notes = await waitFor('both notes', () => notesWith(mark).length === 2 && notesWith(mark));
      expect(notes.map(({ server }) => server)).to.have.members([...plain.keys()]);
    });

    it('reaches the server that it names', async () => {
      for (const server of plain.keys()) expect(await call('echo', { server })).to.include({ server });
    });

    it('reaches an endpoint by namespace and version, the legacy namespace included', async () => {
      for (const namespace of ['peer.ns', 'peer.old'])
        expect(await call('echo', { namespace, version: '1.3' })).to.deep.equal({ namespace: 'peer.ns' });
    });

    it('gets UnsupportedVersion for a version above the implemented one, and for an unknown namespace', async () => {
      for (const target of [{ namespace: 'peer.ns', version: '1.4' }, { version: '2.0' }, { namespace: 'unknown' }]) {
        const error = await failure('echo', target);
        expect(error).to.include({ class: 'RemoteError', excType: 'UnsupportedVersion' });
        expect(error.message).to.match(/Endpoint does not support RPC version [\d.]+\. Attempted method: echo/);
      }
    });

    it('gets NoSuchMethod for whatever is no method', async () => {
      for (const method of ['nope', 'constructor', 'toString', '__proto__', 'notes', 'begun', 'target']) {
        const error = await failure(method);
        expect(error).to.include({ class: 'RemoteError', excType: 'NoSuchMethod' });
        expect(error.message).to.include(`Endpoint does not support RPC method ${method}`);
      }
    });

    it('gets a real ValueError for an error registered as builtins.ValueError', async () => {
      const error = await failure('boom', { args: { kind: 'ValueError', text: 'no good' } });
      expect(error).to.include({ class: 'ValueError', module: 'builtins' });
      expect(error.message).to.include('no good').and.include('oslo-python-client.test.ts');
    });

    it('gets the class of an allowed module, with its arguments and keyword arguments', async () => {
      for (const [method, args] of [
        ['boom', { kind: 'PeerError', text: 'known' }],
        ['expected', { text: 'known' }],
      ] as const) {
        const error = await failure(method, { args });
        expect(error).to.include({ class: 'PeerError_Remote', module: 'peers.errors_Remote' });
        expect(error.args).to.deep.equal(['known']);
        expect(error.kwargs).to.deep.equal({ code: 7 });
      }
    });

    it('gets a RemoteError with type, message and stack for any other error', async () => {
      for (const kind of ['Unregistered', 'RangeError']) {
        const error = await failure('boom', { args: { kind, text: 'who knows' } });
        expect(error).to.include({ class: 'RemoteError', excType: kind });
        expect(error.message).to.include('who knows');
        expect(error.traceback).to.include('who knows\n').and.include('oslo-python-client.test.ts');
      }
    });

    it('gets the exception of a Python server through a Node server that passes it on', async () => {
      const { url, exchange } = place;
      const topic = newId();
      await using far = await OsloServer.start({ url, exchange, topic, server: 'far' });
      expect(far.notes).to.deep.equal([]);
      const onward = new RPCClient(transport, { target: { exchange, topic }, timeoutMs: 10_000 });
      await using near = await serve({
        boom: (ctxt: object, args: object) => onward.call({ ...ctxt }, 'boom', { ...args }),
      });
      const value = await failure('boom', { topic: near.topic, args: { kind: 'ValueError', text: 'from afar' } });
      expect(value).to.include({ class: 'ValueError', module: 'builtins' });
      const peer = await failure('boom', { topic: near.topic, args: { kind: 'PeerError', text: 'far', code: 9 } });
      expect(peer).to.include({ class: 'PeerError_Remote' });
      expect(peer.kwargs).to.deep.equal({ code: 9 });
    });

    it('is told when a result has no form on the wire', async () => {
      const error = await failure('unserializable');
      expect(error.class).to.equal('RemoteError');
      expect(error.message).to.include('a function cannot be written as JSON');
    });

    it('exchanges any text unchanged', async () => {
      const text = 'é ✓ 漢字 🦉 "quoted" \\ \u0000 \u2028';
      expect(await call('unicode', { args: { text } })).to.equal(text);
    });

    it('exchanges NaN, infinities and integers beyond 2^53 unchanged', async () => {
      const argsText = `{"values": [${NUMBERS_TEXT.join(', ')}]}`;
      const { texts, values } = (await call('numbers', { argsText })) as { texts: unknown; values: unknown };
      expect(texts).to.deep.equal(NUMBERS.map(String));
      expect(values).to.deep.equal(NUMBERS_TEXT);
    });

    it('gets falsy results as they are', async () => {
      for (const [which, value] of Object.entries(FALSY))
        expect(await call('falsy', { args: { which } }), which).to.deep.equal(value ?? null);
    });

    it('pings', async () => {
      expect(await call('oslo_rpc_server_ping')).to.equal('pong');
    });

    it('gets each of many concurrent answers to the call that asked', async () => {
      const sums = Array.from({ length: 50 }, (_, a) => call('add', { args: { a, b: 1_000 } }));
      expect(await Promise.all(sums)).to.deep.equal(Array.from({ length: 50 }, (_, a) => a + 1_000));
    });

    it('waits for a long method that shows signs of life', async () => {
      await using tap = await PublishTap.open(place.vhost);
      const endpoint = new Plain('own');
      await using server = await serve(endpoint, { via: tap.port });
      // The third sign of life comes after six seconds: later than the monitor alone would wait.
      endpoint.mayEnd = tap
        .next(isHeartbeat)
        .then(() => tap.next(isHeartbeat))
        .then(() => tap.next(isHeartbeat));
      const { topic } = server;
      expect(await call('slow', { topic, monitor: 4, timeout: 60 })).to.equal('ended {}');
    });

    it('gets no sign of life that it did not ask for, and none after the answer', async () => {
      await using tap = await PublishTap.open(place.vhost);
      const endpoint = new Plain('own');
      await using server = await serve(endpoint, { via: tap.port });
      const { topic } = server;
      await failure('nope', { topic, monitor: 2 });
      const monitored = call('slow', { topic, args: { n: 1 }, monitor: 2, timeout: 60 });
      expect(await monitored).to.equal('ended {"n":1}');
      // Beats for any of these calls would come within the second until the last one's first.
      const held = deferred();
      endpoint.mayEnd = held.promise;
      const beat = tap.next(isHeartbeat);
      const unmonitored = call('slow', { topic, args: { n: 2 }, timeout: 60 });
      const last = call('slow', { topic, args: { n: 3 }, monitor: 2, timeout: 60 });
      await beat;
      held.resolve();
      await Promise.all([unmonitored, last]);
      const sent = tap.published.map(({ body }) => innerOf(body));
      const answer = sent.find(({ result }) => result === 'ended {"n":3}');
      const beats = sent.filter(({ ending }) => ending === false);
      expect(beats.map(({ _msg_id }) => _msg_id)).to.deep.equal([answer?.['_msg_id']]);
    });

    it('ends a monitored call about the monitor time after its server went silent', async () => {
      await using tap = await PublishTap.open(place.vhost);
      const endpoint = new Plain('own');
      endpoint.mayEnd = new Promise(() => undefined);
      await using server = await serve(endpoint, { via: tap.port });
      const called = performance.now();
      const ended = failure('slow', { topic: server.topic, monitor: 2, timeout: 60 });
      await endpoint.begun.promise;
      tap.proxy.freeze();
      expect((await ended).class).to.equal('MessagingTimeout');
      expect(performance.now() - called).to.be.within(2_000, 6_000);
      tap.proxy.cut();
    });

    it('times out by itself, and its late reply harms nobody', async () => {
      const endpoint = new Plain('own');
      const held = deferred();
      endpoint.mayEnd = held.promise;
      await using server = await serve(endpoint);
      const error = await failure('slow', { topic: server.topic, timeout: 1 });
      expect(error.class).to.equal('MessagingTimeout');
      held.resolve();
      expect(await call('add', { topic: server.topic, args: { a: 1, b: 2 } })).to.equal(3);
    });

    it('is understood when it compresses', async () => {
      const { vhost, exchange, topic } = place;
      await using tap = await PublishTap.open(vhost);
      const url = rabbitUrl(vhost, { port: tap.port });
      const options = { 'oslo_messaging_rabbit.kombu_compression': 'gzip' };
      await using zipping = await OsloClient.start({ url, exchange, options });
      const text = 'é'.repeat(10_000);
      expect(await zipping.call({ topic, method: 'unicode', args: { text } })).to.equal(text);
      const [request] = tap.published;
      expect(request?.headers).to.deep.equal({ compression: 'application/x-gzip' });
      expect(request?.body.length).to.be.below(1_000);
    });

    it('that vanished does not hold up the server', async function () {
      const { vhost, exchange } = place;
      const { api } = vhost.broker;
      if (api === undefined) return skip(this, `${title} that vanished`, 'the broker has no management API');
      await using tap = await PublishTap.open(vhost);
      const endpoint = new Plain('own');
      const held = deferred();
      endpoint.mayEnd = held.promise;
      await using server = await serve(endpoint, { via: tap.port, executor: serial() });
      const { topic } = server;
      await using theirs = await PublishTap.open(vhost);
      await using doomed = await OsloClient.start({ url: rabbitUrl(vhost, { port: theirs.port }), exchange });
      const abandoned = rejection(doomed.call({ topic, method: 'slow', args: { mine: true } }));
      await endpoint.begun.promise;
      await doomed.peer.kill9();
      await abandoned;
      const replyQueue = String(innerOf(theirs.published.at(-1)?.body)['_reply_q']);
      await api.deleteQueue(replyQueue, vhost.vhost);
      const lost = tap.next(({ routingKey }) => routingKey === replyQueue);
      held.resolve();
      await lost;
      const started = performance.now();
      expect(await call('add', { topic, args: { a: 1, b: 2 } })).to.equal(3);
      expect(performance.now() - started).to.be.below(1_000);
    });

    it('stays while its server is closed and started again', async () => {
      const topic = newId();
      const first = await serve(new Plain('own'), { topic });
      expect(await call('add', { topic, args: { a: 1, b: 2 } })).to.equal(3);
      await first[Symbol.asyncDispose]();
      const waiting = call('add', { topic, args: { a: 3, b: 4 } });
      await using _ = await serve(new Plain('own'), { topic });
      expect(await waiting).to.equal(7);
      expect(await call('add', { topic, args: { a: 5, b: 6 } })).to.equal(11);
    });

    it('gets answers beside a native client, from one process with one connection', async () => {
      const { vhost, exchange } = place;
      await using tap = await PublishTap.open(vhost);
      const topic = newId();
      await using both = await connect(rabbitUrl(vhost, { port: tap.port }), { logger: silent });
      const osloView = both.with({ wire: transport.wire });
      const target = { topic, server: 'both' };
      const endpoint = { whoAsks: (ctxt: { readonly me: string }) => `hello ${ctxt.me}` };
      await new RPCServer(both, { target, endpoints: [endpoint] }).start();
      await new RPCServer(osloView, { target: { ...target, exchange }, endpoints: [endpoint] }).start();
      await using nativeTransport = await connect(place.url, { logger: silent });
      const native = new RPCClient(nativeTransport, { target: { topic }, timeoutMs: 10_000 });
      const answers = [native.call({ me: 'Node' }, 'whoAsks', {}), call('whoAsks', { topic, ctxt: { me: 'Python' } })];
      expect(await Promise.all(answers)).to.deep.equal(['hello Node', 'hello Python']);
      expect(tap.proxy.connections.total).to.equal(1);
    });
  });
}
