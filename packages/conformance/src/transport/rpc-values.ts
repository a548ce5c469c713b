import { type ContentCodec, type Context, native, newId, type Serializer } from '@posthorn/core';
import { expected, RemoteError } from '@posthorn/rpc';
import { expect } from 'chai';
import { outcomeOf } from '../kit.ts';
import { waitFor } from '../wait-for.ts';
import { deferred } from './deferred.ts';
import { Lab } from './lab.ts';
import { rejectionOf } from './rejection.ts';
import type { TransportHarness } from './transport-harness.ts';

/** An application's versioned class, and the hooks that carry it: as nova's object serializer does. */
class Instance {
  readonly name: string;
  readonly parent: Instance | undefined;

  constructor(name: string, parent?: Instance) {
    this.name = name;
    this.parent = parent;
  }
}

class RequestContext {
  readonly user: string;
  readonly trace: string;

  constructor(user: string, trace: string) {
    this.user = user;
    this.trace = trace;
  }

  get isAdmin(): boolean {
    return this.user === 'root';
  }
}

const objects: Serializer = {
  serializeEntity(context, entity): unknown {
    if (!(entity instanceof Instance)) return entity;
    const parent = objects.serializeEntity?.(context, entity.parent);
    return { 'obj.name': 'Instance', 'obj.version': '1.0', 'obj.data': { name: entity.name, parent } };
  },
  deserializeEntity(context, entity): unknown {
    if (typeof entity !== 'object' || entity === null || !('obj.name' in entity)) return entity;
    const { 'obj.name': kind, 'obj.version': version, 'obj.data': data } = entity as Record<string, unknown>;
    if (kind !== 'Instance') throw new Error(`unknown object ${kind}`);
    if (version !== '1.0') throw new Error(`IncompatibleObjectVersion ${version}`);
    const { name, parent } = data as { readonly name: string; readonly parent?: unknown };
    return new Instance(name, objects.deserializeEntity?.(context, parent) as Instance | undefined);
  },
};

const contexts: Serializer = {
  serializeContext: (context) => ({ ...context }),
  deserializeContext: ({ user, trace }) => ({ ...new RequestContext(String(user), String(trace)) }),
};

/** A format of its own: `key=value` lines. */
const lines: ContentCodec = {
  contentType: 'text/x-lines',
  encode: (value) =>
    Buffer.from(
      Object.entries(value as object)
        .map(([key, one]) => `${key}=${one}`)
        .join('\n'),
    ),
  decode: (body) =>
    Object.fromEntries(
      Buffer.from(body)
        .toString()
        .split('\n')
        .map((line) => line.split('=')),
    ),
};

class NotFound extends Error {}
class Teapot extends Error {}

const identity = { same: (_context: Context, { value }: { readonly value: unknown }) => value };

interface Node {
  readonly children: Node[];
  readonly parent?: Node;
}

/** A tree whose nodes know their parent, as applications have them. */
function family(): Node {
  const root: Node = { children: [] };
  for (let n = 0; n < 3; n++) root.children.push({ children: [], parent: root });
  return root;
}

const unserialisable: Readonly<Record<string, () => unknown>> = {
  'a big integer': () => ({ size: 1n }),
  'a circular value': () => {
    const circle: unknown[] = [];
    circle.push(circle);
    return circle;
  },
  'a tree whose nodes know their parent': family,
  'a function': () => () => 'nothing',
  'not a number': () => Number.NaN,
};

const falsy: readonly unknown[] = [null, 0, false, '', [], {}];

/** What travels: arguments, results, contexts and errors. */
export function describeValues(transport: TransportHarness): void {
  describe('values', () => {
    for (const value of falsy)
      it(`the result ${JSON.stringify(value)} arrives as it is`, async () => {
        await using lab = new Lab(transport);
        await lab.serve({ give: () => value });
        const client = await lab.client();
        expect(await client.call({}, 'give')).to.deep.equal(value);
      });

    it('arguments of every JSON type arrive as they are', async () => {
      await using lab = new Lab(transport);
      await lab.serve(identity);
      const client = await lab.client();
      const value = { text: 'Pósthorn 📯', list: [1, -2.5, 1e21], deep: { no: null, yes: true }, empty: '' };
      expect(await client.call({}, 'same', { value })).to.deep.equal(value);
    });

    it('bytes travel as bytes, as arguments and as result', async () => {
      await using lab = new Lab(transport);
      await lab.serve({ reverse: (_context: Context, bytes: Uint8Array) => Uint8Array.from(bytes).reverse() });
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
      const result = await (await lab.client()).call({}, 'reverse', bytes);
      expect(result).to.be.instanceOf(Uint8Array);
      expect(Uint8Array.from(result as Uint8Array)).to.deep.equal(Uint8Array.from(bytes).reverse());
    });

    it('a method that returns nothing answers null', async () => {
      await using lab = new Lab(transport);
      await lab.serve({ nothing: () => undefined });
      expect(await (await lab.client()).call({}, 'nothing')).to.equal(null);
    });

    for (const [what, make] of Object.entries(unserialisable))
      it(`a result that is ${what} becomes a failure for the caller, and the server serves on`, async () => {
        await using lab = new Lab(transport);
        await lab.serve({ make, fine: () => 'fine' });
        const client = await lab.client({ timeoutMs: 5_000 });
        const error = await rejectionOf(client.call({}, 'make'));
        expect(error).to.include({ code: 'REMOTE', type: 'MalformedError' });
        expect(error.message).to.match(/^the result: /);
        expect(await client.call({}, 'fine')).to.equal('fine');
      });

    it('arguments that cannot be written are refused before anything is sent', async () => {
      await using lab = new Lab(transport);
      await lab.serve(identity);
      const client = await lab.client();
      const error = await rejectionOf(client.call({}, 'same', { value: { sizes: [1, 2n] } }));
      expect(error).to.have.property('code', 'MALFORMED');
      expect(error.message).to.include('value.sizes.1');
      expect(await outcomeOf(client.cast({}, 'same', { value: 1n }))).to.equal('MALFORMED');
      expect(await outcomeOf(client.call({ circle: 1n }, 'same', { value: 1 }))).to.equal('MALFORMED');
    });

    it('another content type replaces JSON in both directions', async () => {
      await using lab = new Lab(transport);
      const wire = native({ contents: [lines] });
      await lab.serve(
        { turn: (_context: Context, { a }: { readonly a: string }) => ({ b: a }) },
        {
          on: await lab.connect({ wire }),
        },
      );
      const client = await lab.client({ on: await lab.connect({ wire }) });
      expect(await client.call({}, 'turn', { a: 'x' })).to.deep.equal({ b: 'x' });
    });

    it('a server answers in the content type of the request', async () => {
      await using lab = new Lab(transport);
      const both = native({ contents: [...native().contents.slice(0, 1), lines] as [ContentCodec, ContentCodec] });
      await lab.serve(
        { turn: (_context: Context, { a }: { readonly a: string }) => ({ b: a }) },
        {
          on: await lab.connect({ wire: both }),
        },
      );
      const linesOnly = await lab.client({ on: await lab.connect({ wire: native({ contents: [lines] }) }) });
      expect(await linesOnly.call({}, 'turn', { a: 'x' })).to.deep.equal({ b: 'x' });
      expect(await (await lab.client()).call({}, 'turn', { a: 'y' })).to.deep.equal({ b: 'y' });
    });

    it('a request above the limit of the receiver is rejected, and the server serves on', async () => {
      await using lab = new Lab(transport);
      await lab.serve(identity, { on: await lab.connect({ maxMessageBytes: 1_000 }) });
      const client = await lab.client();
      const large = client.prepare({ timeoutMs: 1_000 }).call({}, 'same', { value: 'x'.repeat(1_001) });
      expect(await outcomeOf(large)).to.equal('TIMEOUT');
      await waitFor('it to be told', () => lab.logged('warn').some(({ fields }) => fields['code'] === 'TOO_LARGE'));
      expect(await client.call({}, 'same', { value: 'small' })).to.equal('small');
    });

    it('a result above the limit of the server becomes a failure for the caller', async () => {
      await using lab = new Lab(transport);
      await lab.serve({ much: () => 'x'.repeat(2_000) }, { on: await lab.connect({ maxMessageBytes: 1_500 }) });
      const error = await rejectionOf((await lab.client()).call({}, 'much'));
      expect(error).to.include({ code: 'REMOTE', type: 'TooLargeError' });
    });

    it('N-12: the serializer turns objects of the application into plain values and back, nested and both ways', async () => {
      await using lab = new Lab(transport);
      const seen: unknown[] = [];
      const endpoint = {
        rename(_context: Context, { instance }: { readonly instance: Instance }) {
          seen.push(instance);
          return new Instance('renamed', instance);
        },
      };
      await lab.serve(endpoint, { serializer: objects });
      const client = await lab.client({ serializer: objects });
      const sent = new Instance('child', new Instance('parent'));
      const result = await client.call({}, 'rename', { instance: sent });
      expect(seen).to.deep.equal([sent]);
      expect(seen[0]).to.be.instanceOf(Instance);
      expect(result).to.be.instanceOf(Instance);
      expect(result).to.deep.equal(new Instance('renamed', sent));
    });

    it('N-12: an object that the receiver does not know, or in a newer version, is refused to the caller', async () => {
      await using lab = new Lab(transport);
      await lab.serve(identity, { serializer: objects });
      const client = await lab.client();
      const unknown = client.call({}, 'same', { value: { 'obj.name': 'Volume' } });
      expect((await rejectionOf(unknown)).message).to.equal('unknown object Volume');
      const newer = client.call({}, 'same', { value: { 'obj.name': 'Instance', 'obj.version': '1.1' } });
      expect((await rejectionOf(newer)).message).to.equal('IncompatibleObjectVersion 1.1');
    });

    it('N-12: a serializer may turn a result into null', async () => {
      await using lab = new Lab(transport);
      await lab.serve({ secret: () => 'hidden' }, { serializer: { serializeEntity: () => null } });
      expect(await (await lab.client()).call({}, 'secret')).to.equal(null);
    });

    it('N-12: dates go by their own toJSON, and big integers and bytes inside of others are refused', async () => {
      await using lab = new Lab(transport);
      await lab.serve(identity);
      const client = await lab.client();
      const value = new Date(0);
      expect(await client.call({}, 'same', { value })).to.equal('1970-01-01T00:00:00.000Z');
      expect(await outcomeOf(client.call({}, 'same', { value: [new Uint8Array(1)] }))).to.equal('MALFORMED');
      expect(await outcomeOf(client.call({}, 'same', { value: 2n ** 64n }))).to.equal('MALFORMED');
    });

    it('N-13: the context is restored for the method, and metadata travels beside it', async () => {
      await using lab = new Lab(transport);
      const seen = deferred<unknown>();
      const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
      await lab.serve(
        {
          whoami: (context: Context, _args: object, { headers }: { readonly headers: object }) =>
            seen.resolve({ context, headers }),
        },
        { serializer: contexts },
      );
      const client = await lab.client({
        serializer: contexts,
        layers: [
          (next) => (call) => {
            call.headers['traceparent'] = traceparent;
            return next(call);
          },
        ],
      });
      await client.call({ ...new RequestContext('ada', 't-1') }, 'whoami');
      expect(await seen.promise).to.deep.equal({ context: { user: 'ada', trace: 't-1' }, headers: { traceparent } });
    });

    it('N-13: the context may become an instance of a class of the application', async () => {
      await using lab = new Lab(transport);
      const asClass: Serializer = {
        deserializeContext: ({ user, trace }) => new RequestContext(String(user), String(trace)) as unknown as Context,
      };
      await lab.serve({ admin: (context: RequestContext) => context.isAdmin }, { serializer: asClass });
      expect(await (await lab.client()).call({ user: 'root', trace: 't' }, 'admin')).to.equal(true);
    });
  });

  describe('errors', () => {
    it('N-03: an error that is not registered arrives as a RemoteError with type, message and trace', async () => {
      await using lab = new Lab(transport);
      await lab.serve({
        find(): never {
          throw Object.assign(new NotFound('no such instance'), { name: 'NotFound', kwargs: { id: 7 } });
        },
      });
      const error = await rejectionOf((await lab.client()).call({}, 'find'));
      expect(error).to.be.instanceOf(RemoteError);
      expect(error).to.include({ code: 'REMOTE', type: 'NotFound', message: 'no such instance' });
      expect(error).to.have.property('kwargs').that.deep.equals({ id: 7 });
      expect((error as RemoteError).trace.join('\n')).to.include('at ');
    });

    it('N-18: an error that the client lists arrives as its class, with the remote one as its cause', async () => {
      await using lab = new Lab(transport);
      const thrower = {
        find(): never {
          throw new NotFound('gone');
        },
      };
      await lab.serve(thrower, { errors: { NotFound } });
      const listed = await rejectionOf((await lab.client({ errors: { NotFound } })).call({}, 'find'));
      expect(listed).to.be.instanceOf(NotFound);
      expect(listed.cause).to.be.instanceOf(RemoteError);
      const unlisted = await rejectionOf((await lab.client({ errors: { Teapot } })).call({}, 'find'));
      expect(unlisted).to.be.instanceOf(RemoteError).and.include({ type: 'NotFound' });
    });

    for (const name of ['constructor', '__proto__', 'toString', 'Function', 'RangeError'])
      it(`N-18: no class is made from the name ${name} that a peer sent`, async () => {
        await using lab = new Lab(transport);
        await lab.serve({
          fail(): never {
            throw Object.assign(new Error('trick'), { name });
          },
        });
        const error = await rejectionOf((await lab.client({ errors: { NotFound } })).call({}, 'fail'));
        expect(error).to.be.instanceOf(RemoteError).and.include({ type: name, message: 'trick' });
      });

    it('N-18: an error keeps its type through a server in the middle', async () => {
      await using lab = new Lab(transport);
      const backTopic = `back-${newId()}`;
      const on = await lab.serving();
      await lab.serve(
        {
          fail(): never {
            throw Object.assign(new Error('deep'), { name: 'DeepError' });
          },
        },
        { target: { topic: backTopic, server: 'b' } },
      );
      const back = await lab.client({ on, target: { topic: backTopic } });
      await lab.serve({ ask: (context: Context) => back.call(context, 'fail') });
      const error = await rejectionOf((await lab.client()).call({}, 'ask'));
      expect(error).to.be.instanceOf(RemoteError).and.include({ type: 'DeepError', message: 'deep' });
    });

    it('N-19: an expected error reaches the caller and is not logged as a failure of the server', async () => {
      await using lab = new Lab(transport);
      const fail = (): never => {
        throw new NotFound('gone');
      };
      await lab.serve({ known: expected(NotFound)(fail), unknown: () => fail() });
      const client = await lab.client({ errors: { NotFound } });
      expect((await rejectionOf(client.call({}, 'known'))).message).to.equal('gone');
      expect(lab.logged('error')).to.be.empty;
      expect(lab.logged('debug').map(({ message }) => message)).to.include('known failed as expected');
      expect((await rejectionOf(client.call({}, 'unknown'))).message).to.equal('gone');
      expect(lab.logged('error')).to.have.length(1);
    });

    it('what is thrown and is no error arrives with its text', async () => {
      await using lab = new Lab(transport);
      await lab.serve({ fail: () => Promise.reject('just text') });
      const error = await rejectionOf((await lab.client()).call({}, 'fail'));
      expect(error).to.include({ code: 'REMOTE', message: 'just text' });
    });
  });
}
