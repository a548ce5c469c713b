import { expect } from 'chai';
import {
  Answer,
  type Controller,
  type IncomingMiddleware,
  type ServiceMessage,
  type ServiceObject,
  type ServiceProxy,
  type ServiceRequest,
} from '../src/index.ts';
import { remote, System, until } from './support.ts';

const fail = (): never => {
  throw new Error('not in the mood');
};

/** `caller` calls `world.world`; what each of its and world's handlers saw is kept. */
async function story(
  world: Partial<ServiceObject<never>>,
  callerOptions: Partial<ServiceObject<never>> = {},
): Promise<{
  readonly system: System;
  readonly answers: ServiceMessage[];
  readonly seen: ServiceMessage[];
}> {
  const system = await System.open('caller', 'world');
  system.discovery.registerLocalPublisher('world', 'n');
  system.discovery.registerRemotePublisher('world', 'n');
  const answers: ServiceMessage[] = [];
  const seen: ServiceMessage[] = [];
  const keep = (message: ServiceMessage): void => void answers.push(message);
  const caller: Controller = {
    service: 'caller',
    requests: {
      ask: (request: ServiceRequest, proxy: ServiceProxy) => remote(proxy, 'world', 'world', request.payload).call(),
    },
    responses: { 'world.world': keep },
    errors: { 'world.world': keep },
    subscriptions: { 'world.world': keep },
    ...callerOptions,
  };
  const handler = async (request: ServiceRequest, proxy: ServiceProxy): Promise<object> => {
    seen.push(request);
    await proxy.publish({ news: 1 });
    return { r: 1 };
  };
  await system.serve([caller, { service: 'world', requests: { world: handler }, ...world }]);
  return { system, answers, seen };
}

const adding =
  (name: string): IncomingMiddleware =>
  (message) => ({ ...message, context: { ...message.context, order: `${message.context['order'] ?? ''}${name}` } });

describe('incoming middlewares', () => {
  it('T-38: run in their order before the handler, which gets what they return', async () => {
    const { system, seen } = await story({
      incoming: [adding('1'), adding('2'), async (message) => adding('3')(message)],
    });
    await using _ = system;
    await system.to('caller', 'ask').cast();
    await until('it', () => seen.length > 0);
    expect(seen[0]?.context).to.deep.equal({ order: '123' });
  });

  for (const [type, answer] of [
    ['response', Answer.response({ cached: true })],
    ['error', Answer.error(new Error('forbidden'))],
  ] as const)
    it(`T-38: answer with a ${type} instead of the handler and of those after them`, async () => {
      const { system, answers, seen } = await story({ incoming: [() => answer, fail] });
      await using _ = system;
      await system.to('caller', 'ask').cast();
      const got = await until('the answer', () => answers[0]);
      expect([got.type, got.payload, seen.length]).to.deep.equal([type, answer.payload, 0]);
    });

  it('T-38: make an error of a call by throwing', async () => {
    const { system, answers } = await story({ incoming: [fail] });
    await using _ = system;
    await system.to('caller', 'ask').cast();
    expect((await until('the error', () => answers[0])).payload).to.include({ message: 'not in the mood' });
  });

  it('T-38: drop a cast by throwing, which is logged', async () => {
    const { system, seen } = await story({ incoming: [fail] });
    await using _ = system;
    await system.to('world', 'world').cast();
    await until('the log', () => system.logged('error').length > 0);
    expect(system.logged('error')).to.deep.equal(['world: request world failed on a request: not in the mood']);
    expect(seen).to.have.length(0);
  });

  it('T-38: see responses and notifications pass', async () => {
    const passed: string[] = [];
    const watch: IncomingMiddleware = (message) => {
      passed.push(message.type);
      return message;
    };
    const { system, answers } = await story({}, { incoming: [watch] });
    await using _ = system;
    await system.to('caller', 'ask').cast();
    await until('both', () => answers.length === 2);
    expect(passed.toSorted()).to.deep.equal(['notification', 'request', 'response']);
  });

  it('T-38: that return nothing are an IncorrectMessage', async () => {
    const { system, answers } = await story({ incoming: [(() => undefined) as unknown as IncomingMiddleware] });
    await using _ = system;
    await system.to('caller', 'ask').cast();
    expect((await until('the error', () => answers[0])).payload).to.include({ class: 'IncorrectMessage', code: 1031 });
  });
});

describe('outgoing middlewares', () => {
  const stamping =
    (types: string[]): NonNullable<ServiceObject['outgoing']>[number] =>
    (message) => {
      types.push(message.type);
      return { ...message, payload: { ...message.payload, stamp: types.length } };
    };

  it('T-39: see and change answers, and nothing else', async () => {
    const types: string[] = [];
    const { system, answers } = await story({ outgoing: [stamping(types)] });
    await using _ = system;
    await system.to('caller', 'ask').cast();
    await until('both', () => answers.length === 2);
    expect(types).to.deep.equal(['response']);
    expect(answers.find(({ type }) => type === 'response')?.payload).to.deep.equal({ r: 1, stamp: 1 });
  });

  it('T-39: see what proxies send too, where that is switched on', async () => {
    const types: string[] = [];
    const { system, answers } = await story(
      { outgoing: [stamping(types)], outgoingSees: 'all' },
      { outgoing: [stamping(types)], outgoingSees: 'all' },
    );
    await using _ = system;
    await system.to('caller', 'ask').cast();
    await until('both', () => answers.length === 2);
    expect(types.toSorted()).to.deep.equal(['notification', 'request', 'response']);
  });

  it('T-39: answer with an error by throwing, instead of silence', async () => {
    const { system, answers } = await story({ outgoing: [fail] });
    await using _ = system;
    await system.to('caller', 'ask').cast();
    const error = await until('the error', () => answers.find(({ type }) => type === 'error'));
    expect(error.payload).to.include({ message: 'not in the mood', code: 1000 });
  });

  it('T-39: that return no message are an IncorrectMessage to the caller', async () => {
    const { system, answers } = await story({
      outgoing: [(() => 42) as unknown as NonNullable<ServiceObject['outgoing']>[number]],
    });
    await using _ = system;
    await system.to('caller', 'ask').cast();
    const error = await until('the error', () => answers.find(({ type }) => type === 'error'));
    expect(error.payload).to.include({ code: 1031 });
  });
});
