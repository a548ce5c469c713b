import type { Message } from '@posthorn/core';
import { expect } from 'chai';
import { decode } from '../src/codec.ts';
import {
  type Controller,
  type ServiceMessage,
  type ServiceProxy,
  type ServiceRequest,
  type ServiceResponse,
  serviceClient,
} from '../src/index.ts';
import { rejection, remote, System, thrownBy, until } from './support.ts';

/** A → B → C: each asks the next and gets its response; the context that each handler saw is kept by name. */
function chain(contexts: Record<string, unknown>): readonly Controller[] {
  const saw = (name: string, { context }: ServiceMessage): void => {
    contexts[name] = context;
  };
  return [
    {
      service: 'a',
      requests: {
        async start(request: ServiceRequest, proxy: ServiceProxy) {
          saw('a', request);
          await remote(proxy, 'b', 'go', { b: 2 }).call();
        },
      },
      responses: { 'b.go': (response: ServiceResponse) => saw('back at a', response) },
    },
    {
      service: 'b',
      requests: {
        async go(request: ServiceRequest, proxy: ServiceProxy) {
          saw('b', request);
          await remote(proxy, 'c', 'end', { c: 3 }).call();
          return { r: 'of b' };
        },
      },
      responses: { 'c.end': (response: ServiceResponse) => saw('back at b', response) },
    },
    {
      service: 'c',
      requests: {
        async end(request: ServiceRequest, proxy: ServiceProxy) {
          saw('c', request);
          await proxy.publish({ news: true });
          return { b: 'last writer' };
        },
      },
    },
  ];
}

async function run(system: System, contexts: Record<string, unknown> = {}): Promise<readonly ServiceMessage[]> {
  system.discovery.registerLocalPublisher('c', 'n');
  await system.serve(chain(contexts));
  await system.to('a', 'start', { a: 1 }).cast({ correlationId: '123-456' });
  await until('all', () => 'back at a' in contexts && 'back at b' in contexts && system.sent.length === 6);
  return system.sent.map((message: Message) => decode(message));
}

describe('a chain of requests', () => {
  it('T-11: has one correlation id, a request id for each pair, and no message id twice', async () => {
    await using system = await System.open('a', 'b', 'c');
    const messages = await run(system);
    expect(new Set(messages.map(({ correlationId }) => correlationId))).to.deep.equal(new Set(['123-456']));
    expect(new Set(messages.map(({ messageId }) => messageId)).size).to.equal(messages.length);
    const ids = (entryPoint: string): string[] =>
      messages
        .filter(
          ({ type, source, destination }) =>
            `${type === 'request' ? destination : source}` === entryPoint && type !== 'notification',
        )
        .map(({ requestId }) => requestId);
    const [toB, toC] = [ids('b.go'), ids('c.end')];
    for (const pair of [toB, toC]) expect([pair.length, new Set(pair).size]).to.deep.equal([2, 1]);
    expect(new Set(messages.map(({ requestId }) => requestId)).size).to.equal(4);
  });

  it('T-12: accumulates a context, in which the last writer wins', async () => {
    await using system = await System.open('a', 'b', 'c');
    const contexts: Record<string, unknown> = {};
    const messages = await run(system, contexts);
    expect(contexts).to.deep.equal({
      a: { a: 1 },
      b: { a: 1, b: 2 },
      c: { a: 1, b: 2, c: 3 },
      'back at b': { a: 1, b: 'last writer', c: 3 },
      'back at a': { a: 1, b: 2, r: 'of b' },
    });
    expect(messages.find(({ type }) => type === 'notification')?.context).to.deep.equal({
      a: 1,
      b: 2,
      c: 3,
      news: true,
    });
  });

  it('T-12: an error carries the context on, too', async () => {
    await using system = await System.open('a', 'b');
    const errors: unknown[] = [];
    await system.serve([
      {
        service: 'a',
        requests: {
          start: (_request: ServiceRequest, proxy: ServiceProxy) => remote(proxy, 'b', 'go', { b: 2 }).call(),
        },
        errors: { 'b.go': ({ context }: ServiceMessage) => void errors.push(context) },
      },
      {
        service: 'b',
        requests: {
          go() {
            throw new Error('no');
          },
        },
      },
    ]);
    await system.to('a', 'start', { a: 1 }).cast();
    await until('the error', () => errors.length > 0);
    expect(errors).to.deep.equal([{ a: 1, b: 2, class: 'Error', message: 'no', code: 1000 }]);
  });
});

describe('a cast', () => {
  for (const [what, handle, failures] of [
    ['returns data', () => ({ a: 1 }), 0],
    [
      'throws',
      () => {
        throw new Error('no');
      },
      1,
    ],
  ] as const)
    it(`T-14: to a handler that ${what} sends nothing, and logs ${failures === 0 ? 'nothing' : 'one error'}`, async () => {
      await using system = await System.open('a', 'b');
      let fence = false;
      await system.serve([
        {
          service: 'a',
          requests: {
            start: handle,
            fence: () => {
              fence = true;
            },
          },
        },
      ]);
      await system.to('a', 'start').cast();
      await system.to('a', 'fence').cast();
      await until('the fence', () => fence && system.sent.length >= 2);
      expect(system.sent.map(({ headers }) => [headers?.['destination'], headers?.['reply_to']])).to.deep.equal([
        ['a.start', ''],
        ['a.fence', ''],
      ]);
      expect(system.logged('error')).to.have.length(failures);
    });
});

describe('a transfer', () => {
  const got: string[] = [];
  const listening = (service: string, requests = {}): Controller => ({
    service,
    requests,
    responses: {
      'world.world': ({ context }: ServiceResponse) => void got.push(`${service} ${Object.keys(context).sort()}`),
    },
  });

  beforeEach(() => void got.splice(0));

  for (const [what, toCaller, expected] of [
    ['comes back to the forwarder', false, 'forwarder a,b,r'],
    ['goes to the original caller when it is told so', true, 'caller a,b,r'],
  ] as const)
    it(`T-15: keeps correlation and context, and its answer ${what}`, async () => {
      await using system = await System.open('caller', 'forwarder', 'world');
      await system.serve([
        listening('caller', {
          ask: (_: ServiceRequest, proxy: ServiceProxy) => remote(proxy, 'forwarder', 'go', { a: 1 }).call(),
        }),
        listening('forwarder', {
          go: (request: ServiceRequest, proxy: ServiceProxy) =>
            remote(proxy, 'world', 'world', { b: 2 }).transfer(request, {
              ...(toCaller && request.replyTo && { replyTo: request.replyTo }),
            }),
        }),
        { service: 'world', requests: { world: () => ({ r: 3 }) } },
      ]);
      await system.to('caller', 'ask').cast({ correlationId: 'one' });
      await until('the answer', () => got.length > 0);
      expect(got).to.deep.equal([expected]);
      expect(new Set(system.sent.map(({ headers }) => headers?.['correlation_id']))).to.deep.equal(new Set(['one']));
    });
});

describe('where answers go', () => {
  it('T-18: to the service of the source by default, wherever they are told to, or nowhere', async () => {
    await using system = await System.open('world');
    await system.to('world', 'world').call();
    await system.to('world', 'world').call({ replyTo: 'audit.log' });
    await system.to('world', 'world').call({ replyTo: '' });
    await system.to('world', 'world').cast();
    await until('all', () => system.sent.length === 4);
    expect(system.headersOf('request').map(({ reply_to }) => reply_to)).to.deep.equal(['script', 'audit.log', '', '']);
  });

  it('T-27: an answer to a service that is not known is logged and settled, and the service goes on', async () => {
    await using system = await System.open('world');
    await system.serve([{ service: 'world', requests: { world: () => ({}) } }]);
    for (let n = 1; n <= 2; n++) {
      await system.to('world', 'world').call({ replyTo: 'stranger' });
      await until('the error', () => system.logged('error').length === n);
    }
    expect(system.logged('error')[0]).to.match(
      /^no response to stranger from world\.world: stranger is not registered/,
    );
  });
});

describe('what is sent', () => {
  it('T-27: to a service that is not known is UnableToDiscover, and nothing is written', async () => {
    await using system = await System.open('world');
    expect(await rejection(system.to('nobody', 'hello').call())).to.include({ name: 'UnableToDiscover', number: 1007 });
    await system.to('world', 'fence').cast();
    await until('the fence', () => system.sent.length > 0);
    expect(system.sent).to.have.length(1);
  });

  it('T-28: is not published by a service that is no publisher', async () => {
    await using system = await System.open('world');
    expect(await rejection(system.client('hello.hello').publish({}))).to.include({
      name: 'UnableToDiscover',
      number: 1007,
    });
    await system.to('world', 'fence').cast();
    await until('the fence', () => system.sent.length > 0);
    expect(system.sent).to.have.length(1);
  });

  it('T-16: is published under its source, with nobody as destination', async () => {
    await using system = await System.open();
    system.discovery.registerLocalPublisher('hello', 'n');
    await system.client('hello.hello').publish({ param: 1 });
    await until('it', () => system.sent.length > 0);
    expect(system.headersOf('notification')[0]).to.include({ source: 'hello.hello', destination: '', reply_to: '' });
  });

  it('T-41: bears the headers and the context of its client, and a correlation of its own', async () => {
    await using system = await System.open('world');
    const { transport, discovery } = system;
    const options = { discovery, source: 'script.main', context: { who: 'alice' }, headers: { aaa: 'bbb' } };
    const client = serviceClient(transport, options);
    await remote(client, 'world', 'world', { a: 1 }).cast({ headers: { ccc: 1 } });
    await until('it', () => system.sent.length > 0);
    const [message] = system.sent.map((one: Message) => decode(one));
    expect(message?.headers).to.include({ aaa: 'bbb', ccc: 1, source: 'script.main' });
    expect(message?.context).to.deep.equal({ who: 'alice', a: 1 });
    expect(message?.correlationId).to.be.a('string').with.length.above(10);
  });

  it('T-41: has a source, or the client is refused', async () => {
    await using system = await System.open();
    const { transport, discovery } = system;
    expect(thrownBy(() => serviceClient(transport, { discovery, source: '' }))).to.include({
      name: 'FieldMustFullyDefined',
    });
  });

  it('cannot have own headers with standard names', async () => {
    await using system = await System.open('world');
    const call = system.to('world', 'world').cast({ headers: { source: 'evil' } });
    expect(await rejection(call)).to.include({ name: 'ForbiddenHeaders', number: 1029 });
  });

  it('cannot be what JSON has no form for, which is said with its path', async () => {
    await using system = await System.open('world');
    const error = await rejection(system.to('world', 'world', { at: [1n] }).cast());
    expect(error.message).to.include('payload.at.0: a big integer');
  });

  it('may be handed around: a proxy is no promise', async () => {
    await using system = await System.open('world');
    const proxy = await Promise.resolve(system.client());
    expect(typeof proxy.publish).to.equal('function');
  });
});
