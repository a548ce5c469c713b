import { expect } from 'chai';
import { z } from 'zod';
import {
  Answer,
  type Controller,
  rpcMethod,
  rpcService,
  SERVICE_ERRORS,
  ServiceError,
  type ServiceFailure,
  type ServiceMessage,
  type ServiceNotification,
  type ServiceProxy,
  type ServiceRequest,
  serviceClient,
} from '../src/index.ts';
import { remote, System, until } from './support.ts';

/** A service `caller` that calls `world.world` and keeps what comes back. */
function caller(back: ServiceMessage[]): Controller {
  const keep = (message: ServiceMessage): void => void back.push(message);
  return {
    service: 'caller',
    requests: {
      ask: (request: ServiceRequest, proxy: ServiceProxy) => remote(proxy, 'world', 'world', request.payload).call(),
    },
    responses: { 'world.world': keep },
    errors: { 'world.world': keep },
  };
}

/** What comes back to a caller of `world.world`, when world handles it so. */
async function answerOf(
  system: System,
  world: unknown,
  params: object = {},
  more: Omit<Partial<Extract<Controller, { service: string }>>, 'service'> = {},
): Promise<ServiceMessage> {
  const back: ServiceMessage[] = [];
  await system.serve([caller(back), { service: 'world', requests: { world: world as () => void }, ...more }]);
  await system.to('caller', 'ask', { ...params }).cast();
  return await until('an answer', () => back[0]);
}

describe('a controller', () => {
  const counting = (scope: 'message' | 'singleton', replies: unknown[]): Controller => {
    @rpcService('world', { scope })
    class Counter {
      #count = 0;
      @rpcMethod('world.world')
      world(): void {
        replies.push(++this.#count);
      }
    }
    return Counter;
  };

  for (const scope of ['message', 'singleton'] as const)
    it(`T-02: with the scope ${scope} ${scope === 'message' ? 'is made for each message' : 'is made once'}`, async () => {
      await using system = await System.open('world');
      const replies: unknown[] = [];
      let made = 0;
      await system.serve([counting(scope, replies)], {
        create: (controller) => {
          made++;
          return new controller();
        },
      });
      for (let n = 0; n < 100; n++) await system.to('world', 'world').cast();
      await until('all', () => replies.length === 100);
      const each = Array.from({ length: 100 }, (_, n) => (scope === 'message' ? 1 : n + 1));
      expect([replies, made]).to.deep.equal([each, scope === 'message' ? 100 : 1]);
    });

  it('T-02: of a plain object is made by its own function, which may be asynchronous', async () => {
    await using system = await System.open('world');
    const seen: object[] = [];
    await system.serve([
      {
        service: 'world',
        create: async () => ({ database: 'of this message' }),
        requests: {
          world(this: object) {
            seen.push(this);
          },
        },
      },
    ]);
    for (let n = 0; n < 2; n++) await system.to('world', 'world').cast();
    await until('both', () => seen.length === 2);
    expect(seen).to.deep.equal([{ database: 'of this message' }, { database: 'of this message' }]);
    expect(seen[0]).not.to.equal(seen[1]);
  });
});

describe('a handler', () => {
  it('T-06: gets the message, a proxy and the parameters by name; of an error the message and a proxy alone', async () => {
    await using system = await System.open('world', 'caller');
    const calls: unknown[][] = [];
    const keep = (...args: unknown[]): void => void calls.push(args);
    await system.serve([
      { ...(caller([]) as Extract<Controller, { service: string }>), errors: { 'world.world': keep } },
      {
        service: 'world',
        requests: {
          world(...args: unknown[]) {
            keep(...args);
            throw new Error('no');
          },
        },
      },
    ]);
    await system.to('caller', 'ask', { a: 1, b: 'two' }).cast();
    await until('both', () => calls.length === 2);
    const [request, error] = calls;
    expect(request).to.have.length(3);
    expect(request?.[0]).to.include({ type: 'request' });
    expect(request?.[2]).to.deep.equal({ a: 1, b: 'two' });
    expect(error).to.have.length(2);
    expect(error?.[0]).to.include({ type: 'error' });
  });

  it('T-08: cannot change where its answer goes', async () => {
    await using system = await System.open('world', 'caller');
    const world = (request: ServiceRequest): object => {
      expect(() => Object.assign(request.headers, { source: 'evil.one', reply_to: 'evil' })).to.throw(TypeError);
      expect(() => Object.assign(request, { replyTo: undefined })).to.throw(TypeError);
      return { ok: true };
    };
    expect(await answerOf(system, world)).to.deep.include({ type: 'response', payload: { ok: true } });
  });

  const schema = z.object({ a: z.number(), nested: z.object({ b: z.string() }).optional() });

  it('T-07: without a required parameter is not run, and the error lists the paths', async () => {
    await using system = await System.open('world', 'caller');
    let ran = false;
    const handle = (): void => {
      ran = true;
    };
    const { type, payload } = await answerOf(system, { params: schema, handle }, { nested: { b: 1 } });
    expect([ran, type, payload['class'], payload['code']]).to.deep.equal([false, 'error', 'WrongParameters', 1033]);
    expect(payload['message']).to.match(/\ba: .*nested\.b: /);
  });

  it('T-07: gets no parameters beyond its schema, of whatever kind it is', async () => {
    await using system = await System.open('world', 'caller');
    system.discovery.registerLocalPublisher('world', 'n');
    system.discovery.registerRemotePublisher('world', 'n');
    const seen: unknown[] = [];
    const handle = (_message: unknown, _proxy: unknown, params: unknown): void => void seen.push(params);
    await system.serve([
      {
        service: 'caller',
        requests: {
          ask: (request: ServiceRequest, proxy: ServiceProxy) =>
            remote(proxy, 'world', 'world', request.payload).call(),
        },
        responses: { 'world.world': { params: schema, handle } },
        subscriptions: { 'world.world': { params: schema, handle } },
        errors: { 'world.world': (error: ServiceFailure) => void seen.push(Object.keys(error.payload)) },
      },
      {
        service: 'world',
        requests: {
          world: {
            params: schema,
            async handle(_request: ServiceRequest, proxy: ServiceProxy, params: object) {
              seen.push(params);
              await proxy.publish({ ...params, extra: 2 });
              return { ...params, extra: 3 };
            },
          },
        },
      },
    ]);
    await system.to('caller', 'ask', { a: 1, extra: 1 }).cast();
    await until('three', () => seen.length === 3);
    expect(seen).to.deep.equal([{ a: 1 }, { a: 1 }, { a: 1 }]);
    await system.to('caller', 'ask', {}).cast();
    await until('the error', () => seen.length === 4);
    expect(seen[3]).to.deep.equal(['class', 'message', 'code']);
  });

  it('T-07: in a class gets parameters of the type that its schema has', async () => {
    await using system = await System.open('world');
    const seen: unknown[] = [];
    @rpcService('world')
    class World {
      @rpcMethod('world.world', { params: z.object({ at: z.coerce.date(), by: z.string().default('nobody') }) })
      world(_request: ServiceRequest, _proxy: ServiceProxy, { at, by }: { at: Date; by: string }): void {
        seen.push(at.getUTCFullYear(), by);
      }
    }
    await system.serve([World]);
    await system.to('world', 'world', { at: '2016-04-01' }).cast();
    await until('it', () => seen.length > 0);
    expect(seen).to.deep.equal([2016, 'nobody']);
  });

  it('T-07: waits for a schema that checks asynchronously', async () => {
    await using system = await System.open('world', 'caller');
    const params = z.object({ a: z.number().refine(async (a) => a > 1, 'too small') });
    const { payload } = await answerOf(system, { params, handle: () => ({}) }, { a: 1 });
    expect(payload['message']).to.include('a: too small');
  });

  it('T-17: sends from its own entry point; a subscription from its service', async () => {
    await using system = await System.open('world', 'caller', 'other');
    system.discovery.registerLocalPublisher('caller', 'n');
    system.discovery.registerRemotePublisher('caller', 'n');
    const other = (name: string) => async (_message: ServiceMessage, proxy: ServiceProxy) => {
      await remote(proxy, 'other', name).cast();
    };
    await system.serve([
      {
        service: 'caller',
        requests: {
          async ask(_request: ServiceRequest, proxy: ServiceProxy) {
            await other('of_request')(_request, proxy);
            await proxy.publish();
            await remote(proxy, 'world', 'good').call();
            await remote(proxy, 'world', 'bad').call({ replyTo: 'caller.bad' });
          },
        },
        responses: { 'world.good': other('of_response') },
        errors: { 'world.bad': other('of_error') },
        subscriptions: { 'caller.ask': other('of_subscription') },
      },
      {
        service: 'world',
        requests: {
          good: () => ({}),
          bad: () => {
            throw new Error('bad');
          },
        },
      },
    ]);
    await system.to('caller', 'ask').cast();
    const sources = (): Record<string, unknown> =>
      Object.fromEntries(
        system
          .headersOf('request')
          .flatMap(({ destination, source }) => (`${destination}`.startsWith('other') ? [[destination, source]] : [])),
      );
    await until('four', () => Object.keys(sources()).length === 4);
    expect(sources()).to.deep.equal({
      'other.of_request': 'caller.ask',
      'other.of_response': 'caller',
      'other.of_error': 'caller.bad',
      'other.of_subscription': 'caller',
    });
  });
});

describe('an answer', () => {
  const answers: readonly (readonly [string, unknown, string, object])[] = [
    ['a plain object', { a: 1 }, 'response', { a: 1 }],
    ['an empty object', {}, 'response', {}],
    ['an Answer that is a response', Answer.response({ a: 1 }), 'response', { a: 1 }],
    [
      'an Answer that is an error',
      Answer.error(new Error('no')),
      'error',
      { class: 'Error', message: 'no', code: 1000 },
    ],
  ];
  for (const [what, result, type, payload] of answers)
    it(`T-19: is ${what}`, async () => {
      await using system = await System.open('world', 'caller');
      expect(await answerOf(system, () => result)).to.deep.include({ type, payload });
    });

  for (const result of [42, 'text', [1], new Map()])
    it(`T-19: is not ${JSON.stringify(result)}: the caller gets the error WrongResponse`, async () => {
      await using system = await System.open('world', 'caller');
      const { type, payload } = await answerOf(system, () => result);
      expect([type, payload['class'], payload['code']]).to.deep.equal(['error', 'WrongResponse', 1009]);
      expect(payload['message']).to.include('world: request world');
    });

  for (const result of [undefined, null])
    it(`T-19: is not sent when the handler returns ${result}`, async () => {
      await using system = await System.open('world', 'caller');
      const back: ServiceMessage[] = [];
      let first = true;
      const world = (): object | null | undefined => {
        const answer = first ? result : { second: true };
        first = false;
        return answer;
      };
      await system.serve([caller(back), { service: 'world', requests: { world } }]);
      for (let n = 0; n < 2; n++) await system.to('caller', 'ask').cast();
      await until('the second answer', () => back.length > 0);
      expect(back.map(({ payload }) => payload)).to.deep.equal([{ second: true }]);
    });

  class OutOfStock extends Error {
    readonly code = 7;
  }
  const steps: readonly (readonly [string, unknown, object, object])[] = [
    [
      'validation',
      { params: z.object({ a: z.number() }), handle: () => ({}) },
      {},
      { class: 'WrongParameters', code: 1033 },
    ],
    [
      'an incoming middleware',
      () => ({}),
      { incoming: [fail] },
      { class: 'OutOfStock', message: 'none left', code: 7 },
    ],
    ['the handler', fail, {}, { class: 'OutOfStock', message: 'none left', code: 7 }],
    ['the check of its result', () => 42, {}, { class: 'WrongResponse', code: 1009 }],
    [
      'an outgoing middleware',
      () => ({}),
      { outgoing: [fail] },
      { class: 'OutOfStock', message: 'none left', code: 7 },
    ],
    ['its construction', () => ({}), { create: fail }, { class: 'OutOfStock', message: 'none left', code: 7 }],
    ['the writing of its result', () => ({ big: 1n }), {}, { class: 'MalformedError', code: 1000 }],
    ['a message that it sent and did not wait for', sendsToNobody, {}, { class: 'UnableToDiscover', code: 1007 }],
  ];
  function fail(): never {
    throw new OutOfStock('none left');
  }
  function sendsToNobody(_request: ServiceRequest, proxy: ServiceProxy): object {
    void remote(proxy, 'nobody', 'knows').call();
    return { ok: true };
  }
  for (const [what, world, more, payload] of steps)
    it(`T-20: is an error with class, message and code when ${what} fails`, async () => {
      await using system = await System.open('world', 'caller');
      const answer = await answerOf(system, world, {}, more);
      expect(answer).to.include({ type: 'error' });
      expect(answer.payload).to.include(payload).and.to.have.all.keys('class', 'message', 'code');
    });

  it('T-20: is the handler’s own when it dealt with the failure of what it sent', async () => {
    await using system = await System.open('world', 'caller');
    const world = async (_request: ServiceRequest, proxy: ServiceProxy): Promise<object> => {
      const failed = await remote(proxy, 'nobody', 'knows')
        .call()
        .catch((error: Error) => error.name);
      return { failed };
    };
    expect(await answerOf(system, world)).to.deep.include({
      type: 'response',
      payload: { failed: 'UnableToDiscover' },
    });
  });

  for (const type of ['responses', 'errors'] as const)
    it(`T-${type === 'responses' ? 21 : 22}: goes to the service that asked, though another handles ${type} of the same`, async () => {
      await using system = await System.open('world', 'one', 'two');
      const got: string[] = [];
      const asking = (service: string): Controller => ({
        service,
        requests: { ask: (_request: ServiceRequest, proxy: ServiceProxy) => remote(proxy, 'world', 'world').call() },
        [type]: { 'world.world': () => void got.push(service) },
      });
      const world = (): object => {
        if (type === 'errors') throw new Error('no');
        return {};
      };
      // In one queue, where nothing but the destination tells them apart.
      const shared = { lanes: 'shared', queue: 'all' } as const;
      await system.serve([asking('one'), asking('two'), { service: 'world', requests: { world } }], shared);

      const client = serviceClient(system.transport, {
        discovery: system.discovery,
        source: 'script',
        lanes: 'shared',
      });
      for (const service of ['two', 'one', 'two']) await remote(client, service, 'ask').cast();
      await until('three', () => got.length === 3);
      expect(got.toSorted()).to.deep.equal(['one', 'two', 'two']);
    });

  for (const type of ['response', 'error'] as const)
    it(`T-22: that is a ${type} which nobody handles is logged as HandlerNotFound, and the service goes on`, async () => {
      await using system = await System.open('world', 'caller');
      const world = (): object => {
        if (type === 'error') throw new Error('no');
        return {};
      };
      const { responses: _, errors: __, ...deaf } = caller([]) as Extract<Controller, { service: string }>;
      await system.serve([deaf, { service: 'world', requests: { world } }]);
      for (let n = 1; n <= 2; n++) {
        await system.to('caller', 'ask').cast();
        await until('a warning', () => system.logged('warn').length === n);
      }
      expect(system.logged('warn')).to.deep.equal(Array(2).fill(`nobody handles ${type} world.world in caller`));
      const { err } = system.lines.find(({ level }) => level === 'warn')?.fields ?? {};
      expect(err).to.be.instanceOf(ServiceError).and.to.include({ number: 1004 });
    });

  it('T-20: to a request that nobody handles is the error HandlerNotFound', async () => {
    await using system = await System.open('world', 'caller');
    const back: ServiceMessage[] = [];
    await system.serve([caller(back), { service: 'world' }]);
    await system.to('caller', 'ask').cast();
    expect((await until('an answer', () => back[0])).payload).to.include({ class: 'HandlerNotFound', code: 1004 });
  });
});

describe('a notification', () => {
  it('T-25: reaches every class that subscribed, though one throws and another handles only errors of its source', async () => {
    await using system = await System.open('hello');
    system.discovery.registerLocalPublisher('hello', 'n');
    system.discovery.registerRemotePublisher('hello', 'n');
    const got: string[] = [];
    const subscriber = (name: string, service: string): Controller => ({
      service,
      subscriptions: {
        'hello.hello': (_notification: ServiceNotification) => {
          got.push(name);
          if (name === '#2') throw new Error('unwilling');
        },
      },
    });
    const errorsOnly: Controller = { service: 'a', errors: { 'hello.hello': () => undefined } };
    await system.serve([
      errorsOnly,
      subscriber('#1', 'a'),
      subscriber('#2', 'a'),
      subscriber('#3', 'a'),
      subscriber('#4', 'b'),
    ]);

    await serviceClient(system.transport, { discovery: system.discovery, source: 'hello.hello' }).publish({});
    await until('four', () => got.length === 4);
    expect(got.toSorted()).to.deep.equal(['#1', '#2', '#3', '#4']);
    expect(system.logged('error')).to.deep.equal(['a: notification hello.hello failed on a notification: unwilling']);
  });
});

describe('the numbers of errors', () => {
  it('T-48: are all different', () => {
    const numbers = Object.values(SERVICE_ERRORS);
    expect(new Set(numbers).size).to.equal(numbers.length);
    expect(numbers).not.to.include(1000);
  });

  it('T-48: stand in the errors themselves', () => {
    for (const [name, number] of Object.entries(SERVICE_ERRORS))
      expect(new ServiceError(name as 'FieldMustExist', 'because')).to.include({ name, number, message: 'because' });
  });
});
