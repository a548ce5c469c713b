import type { Transport } from '@posthorn/core';
import { newId } from '@posthorn/core';
import { RemoteError, RPCClient, type RPCServer, waitUntilReady } from '@posthorn/rpc';
import { expect } from 'chai';
import { z } from 'zod';
import {
  type ContractDefinition,
  type ContractMethods,
  contractClient,
  contractEndpoint,
  contractServer,
  DeclaredError,
  defineContract,
  InvalidParamsError,
} from '../src/index.ts';
import { Compute, open, rejection, schema, thrownBy, untyped } from './support.ts';

type Methods = ContractMethods<typeof Compute>;

class Service implements Methods {
  readonly notes: string[] = [];
  noted: () => void = () => {};
  ended = false;

  async create(_: object, { name, flavor }: Parameters<Methods['create']>[1]) {
    if (flavor.ram > 64) throw new Compute.errors.QuotaExceeded({ limit: 64 }, 'too much memory');
    return { id: `${name}-1`, disk: flavor.disk };
  }

  async *fetch(_: object, { image }: { image: string }) {
    try {
      for (const percent of [50, 100]) yield { percent };
      return { digest: `sha of ${image}` };
    } finally {
      this.ended = true;
    }
  }

  count() {
    return 7;
  }

  note(_: object, { text }: { text: string }) {
    this.notes.push(text);
    this.noted();
  }
}

const FLAVOR = { ram: 2 };

describe('a typed client and a checked server', () => {
  let transport: Transport;
  const service = new Service();

  beforeEach(async () => {
    transport = await open();
  });

  afterEach(() => transport.close());

  const serve = (more: Partial<Parameters<typeof contractServer<typeof Compute>>[2]> = {}): Promise<RPCServer> =>
    contractServer(transport, Compute, { server: newId(), methods: service, ...more }).start();

  it('calls: defaults of parameters are applied where they arrive, those of results too', async () => {
    await serve();
    const created = await contractClient(transport, Compute).call({}, 'create', { name: 'web', flavor: FLAVOR });
    const { state }: { state: string } = created;
    expect(created).to.deep.equal({ id: 'web-1', disk: 20, state });
    expect(state).to.equal('building');
  });

  it('calls methods without parameters, and casts those without a result', async () => {
    await serve();
    const client = contractClient(transport, Compute);
    const count: number = await client.call({}, 'count');
    expect(count).to.equal(7);
    const noted = new Promise<void>((resolve) => {
      service.noted = resolve;
    });
    await client.cast({}, 'note', { text: 'remember' });
    await noted;
    expect(service.notes).to.include('remember');
  });

  it('gathers what all servers reply, failures of their classes too', async () => {
    await serve({ server: 'one' });
    await serve({ server: 'two' });
    const client = contractClient(transport, Compute);
    const options = { max: 2, timeoutMs: 5_000 };
    const replies = await client.gather({}, 'create', { name: 'web', flavor: FLAVOR }, options);
    expect(replies.map(({ server }) => server)).to.have.members(['one', 'two']);
    expect(replies.map(({ value }) => value?.state)).to.deep.equal(['building', 'building']);
    const greedy = { name: 'web', flavor: { ram: 65 } };
    for (const { error } of await client.gather({}, 'create', greedy, options))
      expect(error).to.be.instanceOf(Compute.errors.QuotaExceeded);
  });

  it('streams progress, then the result', async () => {
    await serve();
    const fetching = contractClient(transport, Compute).stream({}, 'fetch', { image: 'debian' });
    const told: number[] = [];
    for await (const { percent } of fetching) told.push(percent);
    expect(told).to.deep.equal([50, 100]);
    expect(await fetching.result).to.deep.equal({ digest: 'sha of debian' });
    expect(await contractClient(transport, Compute).call({}, 'fetch', { image: 'x' })).to.deep.equal({
      digest: 'sha of x',
    });
  });

  it('reaches one server by its name, and the plain client underneath', async () => {
    await serve({ server: 'host1' });
    const client = contractClient(transport, Compute);
    expect(await client.prepare({ server: 'host1' }).call({}, 'count')).to.equal(7);
    await waitUntilReady(client.rpc, { timeoutMs: 5_000 });
    expect(client.rpc.canSendVersion()).to.equal(true);
  });

  it('an argument of the wrong type does not compile, nor does a result or a name', async () => {
    await serve();
    const client = contractClient(transport, Compute);
    // @ts-expect-error: the memory is a number
    await rejection(client.call({}, 'create', { name: 'web', flavor: { ram: '2' } }));
    // @ts-expect-error: a flavor is needed
    await rejection(client.call({}, 'create', { name: 'web' }));
    // @ts-expect-error: there is no such method
    await rejection(client.call({}, 'destroy', {}));
    // @ts-expect-error: it tells of no progress
    await client.stream({}, 'create', { name: 'web', flavor: FLAVOR }).result;
    // @ts-expect-error: it has no result
    const error = await rejection(client.call({}, 'note', { text: 'x' }));
    expect(error).to.include({ code: 'CONFIG', message: 'methods.note: has no result in compute: cast it' });
    // @ts-expect-error: the digest is a text
    const digest: Promise<{ digest: number }> = client.call({}, 'fetch', { image: 'x' });
    await digest;
  });

  it('a server that lacks a method, or has it otherwise, does not compile', () => {
    const { create, fetch, count } = service;
    // @ts-expect-error: note is missing
    expect(() => contractServer(transport, Compute, { server: 'a', methods: { create, fetch, count } })).to.throw(
      'methods.note: compute 1.2 has it, and nothing implements it',
    );
    const methods = { create, fetch, note: service.note, count: () => 'seven' };
    // @ts-expect-error: the count is a number
    contractServer(transport, Compute, { server: 'a', methods });
  });

  it('refuses the same mistake of an untyped peer, and says where it is', async () => {
    await serve();
    const peer = new RPCClient(transport, { target: { topic: 'compute', version: '1.0' } });
    const error = await rejection(peer.call({}, 'create', { name: 'web', flavor: { ram: '2' } }));
    expect(error).to.be.instanceOf(RemoteError).and.to.have.property('type', 'InvalidParamsError');
    expect(error.message).to.match(/^create\.params\.flavor\.ram: .*expected number/);
  });

  it('tells a typed client of wrong arguments with MALFORMED', async () => {
    await serve();
    const args: { name: string; flavor: { ram: number } } = untyped({ name: 1, flavor: { ram: '2' } });
    const error = await rejection(contractClient(transport, Compute).call({}, 'create', args));
    expect(error).to.be.instanceOf(InvalidParamsError).and.to.have.property('code', 'MALFORMED');
    expect(error.message).to.match(/^create\.params\.name: .*; create\.params\.flavor\.ram: /);
    expect(error.cause).to.be.instanceOf(RemoteError);
  });

  it('checks arguments before they are sent where the client is told to', async () => {
    const client = contractClient(transport, Compute, { validate: 'all' });
    const args: { text: string } = untyped({ text: 7 });
    for (const sent of [client.cast({}, 'note', args), client.fanout({}, 'note', args)]) {
      const error = await rejection(sent);
      expect(error).to.be.instanceOf(InvalidParamsError);
      expect(error.cause).to.equal(undefined);
    }
  });

  it('lets everything pass where nobody is to check', async () => {
    const methods = { ...service, create: (_: object, args: object) => untyped<never>(args) };
    await serve({ validate: 'none', methods: Object.assign(Object.create(service), methods) });
    const args: { name: string; flavor: { ram: number } } = untyped({ anything: 'goes' });
    const client = contractClient(transport, Compute, { validate: 'none' });
    expect(await client.call({}, 'create', args)).to.deep.equal({ anything: 'goes' });
  });

  it('declared errors arrive as their classes, their data checked', async () => {
    await serve();
    const client = contractClient(transport, Compute);
    const error = await rejection(client.call({}, 'create', { name: 'web', flavor: { ram: 65 } }));
    expect(error).to.be.instanceOf(Compute.errors.QuotaExceeded).and.to.be.instanceOf(DeclaredError);
    expect(error).to.include({ name: 'QuotaExceeded', message: 'too much memory', code: 'REMOTE' });
    if (!(error instanceof Compute.errors.QuotaExceeded)) throw error;
    const limit: number = error.data.limit;
    expect(limit).to.equal(64);
    expect(error.cause).to.be.instanceOf(RemoteError);
    // @ts-expect-error: the limit is a number
    new Compute.errors.QuotaExceeded({ limit: 'all' });
  });

  it('says where the data of a declared error is wrong', async () => {
    const wrong = (): never => {
      throw new Compute.errors.QuotaExceeded(untyped({ limit: 'all' }));
    };
    await serve({ methods: Object.assign(Object.create(service), { create: wrong }) });
    const error = await rejection(
      contractClient(transport, Compute).call({}, 'create', { name: 'web', flavor: FLAVOR }),
    );
    expect(error).to.have.property('code', 'MALFORMED');
    expect(error.message).to.match(/^create\.errors\.QuotaExceeded\.limit: /);
    expect(error.cause).to.be.instanceOf(RemoteError).and.to.have.property('type', 'QuotaExceeded');
  });

  it('checks results, progress and the data of errors before they leave where the server is told to', async () => {
    const methods = Object.assign(Object.create(service), {
      create: (_: object, { name }: { name: string }) => {
        if (name === 'greedy') throw new Compute.errors.QuotaExceeded(untyped({}));
        return { id: 7 };
      },
      async *fetch() {
        yield { percent: 101 };
      },
    });
    await serve({ validate: 'all', methods });
    const client = contractClient(transport, Compute, { validate: 'none' });
    const failure = async (promise: Promise<unknown>): Promise<string> => {
      const error = await rejection(promise);
      expect(error).to.include({ code: 'REMOTE', type: 'MalformedError' });
      return error.message;
    };
    const create = (name: string) => client.call({}, 'create', { name, flavor: FLAVOR });
    expect(await failure(create('web'))).to.match(/^create\.result\.id: /);
    expect(await failure(create('greedy'))).to.match(/^create\.errors\.QuotaExceeded\.limit: /);
    expect(await failure(client.call({}, 'fetch', { image: 'x' }))).to.match(/^fetch\.stream\.percent: /);
  });

  it('checks results and progress where they arrive', async () => {
    const ended = new Promise<void>((resolve) => {
      const methods = Object.assign(Object.create(service), {
        count: () => 'seven',
        async *fetch() {
          try {
            for (;;) yield { percent: 101 };
          } finally {
            resolve();
          }
        },
      });
      contractServer(transport, Compute, { server: 'a', methods }).start();
    });
    const client = contractClient(transport, Compute);
    await waitUntilReady(client.rpc, { timeoutMs: 5_000 });
    const error = await rejection(client.call({}, 'count'));
    expect(error).to.have.property('code', 'MALFORMED');
    expect(error.message).to.match(/^count\.result: /);
    const fetching = client.stream({}, 'fetch', { image: 'x' });
    const read = (async () => {
      for await (const part of fetching) expect.fail(`${part.percent} %`);
    })();
    expect((await rejection(read)).message).to.match(/^fetch\.stream\.percent: /);
    expect(await rejection(fetching.result)).to.have.property('code', 'CLOSED');
    await ended;
  });

  it('ends a streaming method when its reader leaves', async () => {
    await serve();
    service.ended = false;
    for await (const { percent } of contractClient(transport, Compute).stream({}, 'fetch', { image: 'x' })) {
      expect(percent).to.equal(50);
      break;
    }
    await transport.close();
    expect(service.ended).to.equal(true);
  });

  it('logs what a caller did wrong, and what was declared, as expected, and its own wrong results as errors', async () => {
    const logged: string[] = [];
    const note = (level: string) => (_: unknown, text?: string) => void logged.push(`${level} ${text}`);
    await using noisy = await open({
      debug: note('debug'),
      info: note('info'),
      warn: note('warn'),
      error: note('error'),
    });
    const methods = Object.assign(Object.create(service), { count: () => 'seven' });
    await contractServer(noisy, Compute, { server: 'a', methods, validate: 'all' }).start();
    const client = contractClient(noisy, Compute);
    await rejection(client.call({}, 'create', untyped({})));
    await rejection(client.call({}, 'create', { name: 'x', flavor: { ram: 65 } }));
    await rejection(client.call({}, 'count'));
    expect(logged.filter((line) => line.includes('create'))).to.deep.equal(
      Array(2).fill('debug create failed as expected'),
    );
    expect(logged.filter((line) => line.includes('count')).join()).to.match(/^error count failed: count\.result: /);
  });

  it('serves two versions at one topic', async () => {
    const Newer = defineContract({
      name: 'newer',
      topic: 'compute',
      version: '2.0',
      methods: { count: { result: z.string() } },
    });
    await serve({ endpoints: [contractEndpoint(Newer, { count: () => 'seven' })] });
    expect(await contractClient(transport, Newer).call({}, 'count')).to.equal('seven');
    expect(await contractClient(transport, Compute).call({}, 'count')).to.equal(7);
  });

  it('takes the layers, the errors and the exchange of its owner', async () => {
    class Teapot extends Error {}
    const Tea = defineContract({
      topic: 'tea',
      exchange: newId(),
      namespace: 'kitchen',
      version: '1.0',
      methods: { brew: { result: z.string(), errors: { Teapot } } },
    });
    expect(Tea.errors.Teapot).to.equal(Teapot);
    expect(Tea.name).to.equal('tea.kitchen');
    const methods = {
      brew: (): string => {
        throw new Teapot('short and stout');
      },
    };
    await contractServer(transport, Tea, { server: 'a', methods }).start();
    const seen: string[] = [];
    const client = contractClient(transport, Tea, {
      layers: [
        (next) => (call) => {
          seen.push(call.method);
          return next(call);
        },
      ],
    });
    const error = await rejection(client.call({}, 'brew'));
    expect(error).to.be.instanceOf(Teapot).and.to.have.property('message', 'short and stout');
    expect(seen).to.deep.equal(['brew']);
  });

  it('takes schemas of any library, also those that need time', async () => {
    const text = schema<string>(async (value) =>
      typeof value === 'string' ? { value: value.toUpperCase() } : { issues: [{ message: 'expected a text' }] },
    );
    const args = schema<{ name: string }>((value) => {
      const { name } = Object(value);
      return typeof name === 'string'
        ? { value: { name } }
        : { issues: [{ message: 'expected a text', path: [{ key: 'name' }] }] };
    });
    const Greeter = defineContract({
      topic: 'greeter',
      version: '1.0',
      methods: { greet: { params: args, result: text } },
    });
    await contractServer(transport, Greeter, {
      server: 'a',
      methods: { greet: (_, { name }) => `hello ${name}` },
    }).start();
    const client = contractClient(transport, Greeter);
    expect(await client.call({}, 'greet', { name: 'ada' })).to.equal('HELLO ADA');
    const error = await rejection(client.call({}, 'greet', untyped({})));
    expect(error.message).to.equal('greet.params.name: expected a text');
  });

  it('tells of many mistakes only the first', async () => {
    const List = defineContract({
      topic: 'list',
      version: '1.0',
      methods: { sum: { params: z.object({ of: z.array(z.number()) }), result: z.number() } },
    });
    const client = contractClient(transport, List, { validate: 'all' });
    const error = await rejection(client.call({}, 'sum', untyped({ of: Array(1_000).fill('x') })));
    expect(error.message).to.match(/^sum\.params\.of\.0: .*; sum\.params\.of\.4: .*; and 995 more$/);
  });
});

describe('the definition of a contract', () => {
  const text = z.string();
  for (const [what, wrong, message] of [
    ['a version that is none', { version: '1' }, 'version: "1" is not a version like "1.0"'],
    ['a name that no method can have', { methods: { _hidden: {} } }, 'methods._hidden: no method can have that name'],
    ['what is no schema', { methods: { a: { params: {} } } }, 'methods.a.params: expected a Standard Schema'],
    [
      'an error that is none',
      { methods: { a: { errors: { E: {} } } } },
      'methods.a.errors.E: expected a Standard Schema',
    ],
    [
      'a stream without a result',
      { methods: { a: { stream: text } } },
      'methods.a: a method with a stream has a result',
    ],
    [
      'one name for two errors',
      { methods: { a: { errors: { E: text } }, b: { errors: { E: z.number() } } } },
      'methods.b.errors.E: another method declares it otherwise: one name, one error',
    ],
    [
      'a priority that is none',
      { events: { e: { payload: text, priority: 'high' } } },
      'events.e.priority: "high" is none',
    ],
  ] as const)
    it(`refuses ${what}`, () => {
      const definition = { topic: 'compute', version: '1.0', ...wrong } as unknown as ContractDefinition;
      expect(thrownBy(() => defineContract(definition))).to.include({ code: 'CONFIG', message });
    });

  it('refuses a topic with wildcards, or none', () => {
    expect(thrownBy(() => defineContract({ topic: '#', version: '1.0' }))).to.have.property('code', 'INVALID_TARGET');
    expect(thrownBy(() => defineContract(untyped<ContractDefinition>({ version: '1.0' })))).to.have.property(
      'code',
      'CONFIG',
    );
  });
});
