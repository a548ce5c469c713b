import { once } from 'node:events';
import { newId, silent, type Transport } from '@posthorn/core';
import { type CallInfo, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { connect } from 'posthorn';
import { deferred } from '../src/deferred.ts';
import { type OsloAmqp1Place, osloAmqp1Candidates } from '../src/oslo-amqp1-place.ts';
import { OsloClient, OsloError, OsloServer } from '../src/oslo-peers.ts';
import { rejection } from '../src/rejection.ts';
import { waitFor } from '../src/wait-for.ts';

class PeerError extends Error {
  readonly kwargs = { code: 7 };
}
class Unregistered extends Error {
  override readonly name = 'Unregistered';
}

const KINDS = { PeerError, Unregistered };
const FALSY = { none: null, nothing: undefined, zero: 0, false: false, text: '', list: [], dict: {} };

/** Some of what oslo/server.py offers, in Node. */
class Plain {
  readonly notes: { readonly kw: Readonly<Record<string, unknown>>; readonly ctxt: object }[] = [];
  readonly given = deferred();
  readonly #server: string;

  constructor(server: string) {
    this.#server = server;
  }

  echo(ctxt: object, kw: object): object {
    return { ctxt, kw, server: this.#server };
  }

  falsy(_: object, { which }: { which: keyof typeof FALSY }): unknown {
    return FALSY[which];
  }

  numbers(): unknown {
    return [Number.NaN, Number.NEGATIVE_INFINITY, 2n ** 70n];
  }

  boom(_: object, { kind, text }: { kind: keyof typeof KINDS; text: string }): never {
    throw new KINDS[kind](text);
  }

  async slow(_: object, { ms }: { ms: number }): Promise<string> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return 'slept';
  }

  /** Ends when the caller's time is up. */
  async deadline(_: object, _args: object, { signal }: CallInfo): Promise<void> {
    await once(signal, 'abort');
    this.given.resolve();
  }

  bytes(): unknown {
    return new Uint8Array(2);
  }

  note(ctxt: object, kw: Readonly<Record<string, unknown>>): void {
    this.notes.push({ kw, ctxt });
  }
}

for (const candidate of osloAmqp1Candidates)
  describe(`a Python client of a Node server on ${candidate.name}`, function () {
    this.timeout(30_000);
    let place: OsloAmqp1Place;
    let transport: Transport;
    let python: OsloClient;
    let topic: string;
    const endpoints = new Map(['one', 'two'].map((name) => [name, new Plain(name)]));

    before(async function () {
      place = await candidate.open(this);
      topic = place.topic;
      transport = await connect(place.url, { wire: place.wire(), logger: silent });
      const errors = { 'peers.errors.PeerError': PeerError };
      for (const [server, endpoint] of endpoints)
        await new RPCServer(transport, { target: { topic, server }, endpoints: [endpoint], errors }).start();
      python = await OsloClient.start({ ...place.python, allowModules: ['peers.errors'] });
    });

    after(async () => {
      await python?.[Symbol.asyncDispose]();
      await transport?.close({ timeoutMs: 1_000 });
      await place?.[Symbol.asyncDispose]();
    });

    const told = (mark: string): readonly string[] =>
      [...endpoints].flatMap(([name, { notes }]) => notes.filter(({ kw }) => kw['mark'] === mark).map(() => name));

    it('gets the result of a call, whose arguments and context arrived', async () => {
      const [ctxt, args] = [
        { user: 'u1', tags: ['a', 'b'] },
        { text: 'héllo ✓', n: 5, l: [1, null, true] },
      ];
      const answer = await python.call({ topic, method: 'echo', ctxt, args, timeout: 10 });
      expect(answer).to.deep.include({ ctxt, kw: args });
    });

    it('reaches the server that it names', async () => {
      for (const server of endpoints.keys())
        expect(await python.call({ topic, server, method: 'echo', timeout: 10 })).to.include({ server });
    });

    it('gets falsy results, and numbers beyond JSON', async () => {
      for (const [which, value] of Object.entries(FALSY))
        expect(await python.call({ topic, method: 'falsy', args: { which }, timeout: 10 })).to.deep.equal(
          value ?? null,
        );
      const numbers = await python.call({ topic, method: 'numbers', timeout: 10 });
      // As texts, which is how the Python peer tells them.
      expect(numbers).to.deep.equal(['NaN', '-Infinity', String(2n ** 70n)]);
    });

    it('casts to one of the servers', async () => {
      const mark = newId();
      await python.cast({ topic, method: 'note', ctxt: { user: 'u2' }, args: { mark } });
      await waitFor('the note', () => told(mark).length > 0);
      for (const server of endpoints.keys()) await python.call({ topic, server, method: 'echo', timeout: 10 });
      expect(told(mark)).to.have.lengthOf(1);
      const all = [...endpoints.values()].flatMap(({ notes }) => notes);
      expect(all).to.deep.include({ kw: { mark }, ctxt: { user: 'u2' } });
    });

    const [who, reached] = candidate.multicast ? ['every server', 2] : ['one server, where there is no multicast,', 1];
    it(`reaches ${who} by fanout`, async () => {
      const mark = newId();
      await python.fanout({ topic, method: 'note', args: { mark } });
      await waitFor('the notes', () => told(mark).length >= reached);
      for (const server of endpoints.keys()) await python.call({ topic, server, method: 'echo', timeout: 10 });
      expect(told(mark)).to.have.lengthOf(reached);
    });

    it('re-creates an error of a module that it allows', async () => {
      const failing = python.call({ topic, method: 'boom', args: { kind: 'PeerError', text: 'no good' }, timeout: 10 });
      const error = await rejection(failing);
      if (!(error instanceof OsloError)) throw error;
      expect(error).to.include({ class: 'PeerError_Remote', module: 'peers.errors_Remote' });
      expect(error.kwargs).to.deep.equal({ code: 7 });
    });

    it('gets any other error as a RemoteError', async () => {
      for (const [method, type] of [
        ['boom', 'Unregistered'],
        ['nope', 'NoSuchMethod'],
        ['bytes', 'MalformedError'],
      ] as const) {
        const failing = python.call({ topic, method, args: { kind: 'Unregistered', text: 'oh' }, timeout: 10 });
        const error = await rejection(failing);
        if (!(error instanceof OsloError)) throw error;
        expect([error.class, error.excType], method).to.deep.equal(['RemoteError', type]);
      }
    });

    it('hears signs of life of a call that takes longer than the silence that it allows', async () => {
      const slow = { topic, method: 'slow', args: { ms: 5_000 }, timeout: 20, monitor: 4 };
      expect(await python.call(slow)).to.equal('slept');
    });

    it('tells the server how long it waits', async () => {
      const error = await rejection(python.call({ topic, server: 'one', method: 'deadline', timeout: 3 }));
      expect(error).to.be.instanceOf(OsloError).with.property('class', 'MessagingTimeout');
      await endpoints.get('one')?.given.promise;
    });

    it('shares a topic with Python and Node servers alike', async () => {
      await using server = await OsloServer.start({ ...place.python, topic, server: 'three' });
      expect(await python.call({ topic, server: 'three', method: 'add', args: { a: 1, b: 2 }, timeout: 10 })).to.equal(
        3,
      );
      const answers = await Promise.all(
        Array.from({ length: 30 }, () => python.call({ topic, method: 'echo', timeout: 10 })),
      );
      const names = answers.map((answer) => (answer as { readonly server: string }).server);
      expect(new Set(names)).to.include('three').and.to.have.property('size').above(1);
      await server.close();
    });
  });
