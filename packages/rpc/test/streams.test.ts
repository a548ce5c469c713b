import {
  type Context,
  type Delivery,
  MemoryFaults,
  type Message,
  memory,
  native,
  newId,
  Transport,
  type Wire,
} from '@posthorn/core';
import { expect } from 'chai';
import sinon from 'sinon';
import {
  type CallInfo,
  type CallStream,
  type Control,
  type Endpoint,
  type Endpoints,
  type IncomingCall,
  nativeCodec,
  type OutgoingCall,
  type Reply,
  type Request,
  RPCClient,
  type RPCClientOptions,
  RPCServer,
  type RPCServerOptions,
} from '../src/index.ts';
import { rejection } from './support.ts';

const target = { topic: 't', server: 's' };
const codec = nativeCodec(native().contents);
const { control } = codec;

describe('streams', () => {
  let name: string;
  let opened: Transport[];

  beforeEach(() => {
    name = newId();
    opened = [];
  });

  afterEach(async () => {
    sinon.restore();
    for (const transport of opened.reverse()) await transport.close({ timeoutMs: 1_000 });
  });

  const connect = async (wire?: Wire, faults?: MemoryFaults): Promise<Transport> => {
    const options = wire === undefined ? {} : { wire };
    const transport = await Transport.open((context) => memory(context, { name, ...(faults && { faults }) }), options);
    opened.push(transport);
    return transport;
  };

  const serve = async (endpoint: Endpoint, options: Partial<RPCServerOptions> = {}, faults?: MemoryFaults) =>
    await new RPCServer(await connect(undefined, faults), { target, endpoints: [endpoint], ...options }).start();

  const client = async (options: Partial<RPCClientOptions> = {}, wire?: Wire): Promise<RPCClient> =>
    new RPCClient(await connect(wire), { target: { topic: 't' }, ...options });

  /** A server of our own making: what it gets, and how it replies. */
  const rawServer = async () => {
    const transport = await connect();
    const controls: Control[] = [];
    const onControl = (delivery: Delivery): void => void controls.push(control?.decode(delivery.message) as Control);
    const { address } = await transport.subscribe([{ kind: 'reply' }], onControl);
    const producer = { id: newId(), replyTo: address.kind === 'reply' ? address.name : '' };
    const got = new Promise<Request>((resolve) => {
      void transport.subscribe([{ kind: 'anycast', exchange: 'posthorn', topic: 't' }], (delivery) => {
        void delivery.settle('accept');
        const incoming = codec.decodeRequest(delivery.message);
        if (incoming.kind === 'request') resolve(incoming.request);
      });
    });
    return {
      controls,
      async reply(reply: Reply): Promise<void> {
        const request = await got;
        await transport.send({ kind: 'reply', name: request.replyTo ?? '' }, codec.encodeReply(request, reply));
      },
      part: (part: number): Reply => ({ kind: 'progress', value: `part ${part}`, part, producer }),
    };
  };

  it('have the types of the interface: what is yielded, and what is returned', async () => {
    interface ImagesApi {
      fetch(args: {
        readonly image: string;
      }): AsyncGenerator<{ readonly percent: number }, { readonly digest: string }>;
      size(args: { readonly image: string }): number;
    }
    class Images implements Endpoints<ImagesApi> {
      async *fetch(_context: Context, { image }: { readonly image: string }) {
        yield { percent: 50 };
        return { digest: `sha of ${image}` };
      }
      size(): number {
        return 7;
      }
    }
    await serve(new Images());
    const images = new RPCClient<ImagesApi>(await connect(), { target: { topic: 't' } });
    const fetching: CallStream<{ readonly percent: number }, { readonly digest: string }> = images.stream({}, 'fetch', {
      image: 'debian',
    });
    const seen: number[] = [];
    for await (const { percent } of fetching) seen.push(percent);
    const { digest } = await fetching.result;
    const called: { readonly digest: string } = await images.call({}, 'fetch', { image: 'debian' });
    const sized: CallStream<never, number> = images.stream({}, 'size', { image: 'debian' });
    // @ts-expect-error the interface wants an image
    const wrong = images.stream({}, 'fetch', { picture: 'debian' });
    await wrong.result;
    expect([seen, digest, called.digest, await sized.result]).to.deep.equal([
      [50],
      'sha of debian',
      'sha of debian',
      7,
    ]);
  });

  it('are one call for layers, on both sides, that ends with its result', async () => {
    const log: string[] = [];
    const layer =
      <Call extends OutgoingCall | IncomingCall>(side: string) =>
      (next: (call: Call) => Promise<unknown>) =>
      async (call: Call): Promise<unknown> => {
        log.push(`${side}: ${'kind' in call ? call.kind : call.method}`);
        const result = await next(call);
        log.push(`${side}: ${result}`);
        return result;
      };
    const endpoint = {
      async *install() {
        log.push('half');
        yield 'half';
        return 'done';
      },
    };
    await serve(endpoint, { layers: [layer<IncomingCall>('in')] });
    const caller = await client({ layers: [layer<OutgoingCall>('out')] });
    for await (const part of caller.stream({}, 'install')) expect(part).to.equal('half');
    expect(log).to.deep.equal(['out: stream', 'in: install', 'half', 'in: done', 'out: done']);
  });

  it('go through the serializers', async () => {
    await serve(
      {
        async *days() {
          yield new Date(0);
        },
      },
      {
        serializer: {
          serializeEntity: (_context, entity) => (entity instanceof Date ? { at: entity.getTime() } : entity),
        },
      },
    );
    const deserializeEntity = (_context: Context, entity: unknown): unknown =>
      typeof entity === 'object' && entity !== null && 'at' in entity ? new Date(Number(entity.at)) : entity;
    const caller = await client({ serializer: { deserializeEntity } });
    for await (const day of caller.stream({}, 'days')) expect(day).to.deep.equal(new Date(0));
  });

  it('are refused on a wire that has none, by its name', async () => {
    const { control: _, ...rest } = codec;
    const caller = await client({}, { ...native(), name: 'oslo', codecs: { rpc: rest } });
    const stream = caller.stream({}, 'm');
    const error = await rejection(stream.result);
    expect(error).to.include({ code: 'UNSUPPORTED', message: 'the oslo wire has no streams: use call' });
    expect(await rejection(stream[Symbol.asyncIterator]().next())).to.equal(error);
  });

  it('grant what there is room for, half a window at a time, and nothing after the end', async () => {
    const server = await rawServer();
    const stream = (await client()).stream({}, 'm', {}, { window: 4 });
    const reader = stream[Symbol.asyncIterator]();
    for (let part = 1; part <= 4; part++) await server.reply(server.part(part));
    const granted: unknown[] = [];
    for (let part = 1; part <= 4; part++) {
      expect((await reader.next()).value).to.equal(`part ${part}`);
      await turn();
      granted.push(server.controls.map((one) => (one.kind === 'credit' ? one.granted : one.kind)));
    }
    expect(granted).to.deep.equal([[], [6], [6], [6, 8]]);
    await server.reply(server.part(5));
    await server.reply(server.part(6));
    await server.reply({ kind: 'result', value: 'done', parts: 6 });
    expect(await stream.result).to.equal('done');
    await turn();
    await reader.next();
    await reader.next();
    expect(await reader.next()).to.deep.equal({ done: true, value: undefined });
    await turn();
    expect(server.controls).to.have.length(2);
  });

  it('answer readers that ask ahead, in order', async () => {
    const server = await rawServer();
    const stream = (await client()).stream({}, 'm');
    const reader = stream[Symbol.asyncIterator]();
    const asked = [reader.next(), reader.next(), reader.next(), reader.next()];
    await server.reply(server.part(1));
    await server.reply(server.part(2));
    await server.reply({ kind: 'failure', failure: { type: 'Error', message: 'broken', trace: [] } });
    const outcomes = await Promise.allSettled(asked);
    expect(outcomes.map((one) => (one.status === 'fulfilled' ? one.value.value : one.reason.message))).to.deep.equal([
      'part 1',
      'part 2',
      'broken',
      undefined,
    ]);
  });

  const faulty = [
    ['a part that comes twice is read once', [1, 1, 2], 2, [], undefined],
    [
      'a part that was lost ends the stream',
      [1, 3],
      3,
      ['cancel'],
      /^stream m: 1 of the first 2 parts of its progress/,
    ],
    [
      'the last parts that were lost are missed',
      [1],
      3,
      [],
      /^stream m: 2 of the first 3 parts of its progress were lost/,
    ],
    ['more than there is room for ends the stream', [1, 2, 3], 3, ['cancel'], /the server sends more progress than/],
  ] as const;
  for (const [title, sent, parts, told, problem] of faulty) {
    it(title, async () => {
      const server = await rawServer();
      const stream = (await client()).stream({}, 'm', {}, { window: 2 });
      for (const part of sent) await server.reply(server.part(part));
      await server.reply({ kind: 'result', value: 'done', parts });
      if (problem === undefined) {
        const read: unknown[] = [];
        for await (const part of stream) read.push(part);
        expect(read).to.deep.equal(['part 1', 'part 2']);
        return;
      }
      expect((await rejection(stream.result)).message).to.match(problem);
      await turn();
      expect(server.controls.map(({ kind }) => kind)).to.deep.equal(told);
    });
  }

  it('end with a result that tells how much progress went before, so that none can be lost unseen', async () => {
    await serve({
      async *count() {
        yield* [1, 2, 3];
        return 'done';
      },
    });
    const transport = await connect();
    const replies: Reply[] = [];
    const { address } = await transport.subscribe([{ kind: 'reply' }], ({ message }) => {
      replies.push(codec.decodeReply(message));
    });
    const replyTo = address.kind === 'reply' ? address.name : '';
    const request: Request = { id: newId(), method: 'count', args: {}, context: {}, replyTo, window: 3 };
    await transport.send({ kind: 'anycast', exchange: 'posthorn', topic: 't' }, codec.encodeRequest(request));
    while (replies.length < 4) await turn();
    expect(replies.map((reply) => (reply.kind === 'progress' ? reply.part : reply))).to.deep.equal([
      1,
      2,
      3,
      { kind: 'result', value: 'done', parts: 3 },
    ]);
  });

  it('end when what came cannot be restored, and the producer is told', async () => {
    const { endpoint, aborted } = counter();
    await serve(endpoint);
    const broken = new RangeError('no two');
    const deserializeEntity = (_context: Context, entity: unknown): unknown => {
      if (entity === 2) throw broken;
      return entity;
    };
    const stream = (await client({ serializer: { deserializeEntity } })).stream({}, 'count');
    expect(await rejection(stream.result)).to.equal(broken);
    expect(await aborted).to.have.property('message', 'the caller gave up');
  });

  it('can be made again by a layer until there was progress, and not after', async () => {
    let attempts = 0;
    const endpoint = {
      async *once(_context: Context, { tell }: { readonly tell: boolean }) {
        attempts++;
        if (tell) yield attempts;
        if (attempts === 1) throw new Error('broken');
        for (let n = 1; n <= 40; n++) yield n;
        return 'done';
      },
    };
    await serve(endpoint);
    const caller = await client({ layers: [(next) => (call) => next(call).catch(() => next(call))] });
    const silent = caller.stream({}, 'once', { tell: false });
    const read: unknown[] = [];
    for await (const part of silent) read.push(part);
    expect(read).to.have.length(40);
    expect(await silent.result).to.equal('done');
    attempts = 0;
    const error = await rejection(caller.stream({}, 'once', { tell: true }).result);
    expect(error.message).to.equal('stream once: cannot be made again once it told of progress');
  });

  it('end when the server loses its connection, and the caller is told', async () => {
    const faults = new MemoryFaults();
    const { endpoint, waiting, aborted } = counter();
    await serve(endpoint, {}, faults);
    const stream = (await client()).stream({}, 'count', {}, { window: 1 });
    await waiting;
    await turn();
    faults.disconnect();
    expect(await aborted).to.have.property('code', 'UNKNOWN');
    faults.reconnect();
    expect((await rejection(stream.result)).message).to.match(/^the progress of count: the connection was lost/);
  });

  it('notice within ten seconds that the caller is gone, without a monitor', async () => {
    const clock = sinon.useFakeTimers({
      toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval', 'performance'],
    });
    const { endpoint, waiting, aborted } = counter();
    await serve(endpoint);
    const doomed = await connect();
    const stream = new RPCClient(doomed, { target: { topic: 't' } }).stream({}, 'count', {}, { window: 1 });
    await waiting;
    await doomed.close();
    expect(await rejection(stream.result)).to.have.property('code', 'CLOSED');
    let reason: unknown;
    void aborted.then((given) => {
      reason = given;
    });
    await clock.tickAsync(4_999);
    expect(reason).to.equal(undefined);
    await clock.tickAsync(5_001);
    expect(reason).to.have.property('message', 'the caller is gone');
  });

  it('leave nothing behind in the inboxes of both sides', async () => {
    const server = await connect();
    const caller = await connect();
    const endpoints = [{ ...counter().endpoint, size: () => server.inbox.size }];
    await using _serving = await new RPCServer(server, { target, endpoints }).start();
    const calls = new RPCClient(caller, { target: { topic: 't' } });
    for (let round = 0; round < 3; round++) for await (const n of calls.stream({}, 'count')) if (n === 40) break;
    await turn();
    expect(await calls.call({}, 'size')).to.equal(0);
    expect(caller.inbox.size).to.equal(0);
  });

  it('cost plain calls nothing on the wire', () => {
    const request: Request = { id: 'i', method: 'm', args: {}, context: {} };
    const sent: Message[] = [codec.encodeRequest({ ...request, window: undefined, gather: false })];
    sent.push(codec.encodeReply(request, { kind: 'result', value: 1 }));
    expect(sent.map(({ headers }) => headers)).to.deep.equal([undefined, undefined]);
  });
});

/** Counts for ever; `waiting` when it made its second part, and `aborted` with the reason. */
function counter() {
  let onWaiting: () => void = () => {};
  let onAborted: (reason: unknown) => void = () => {};
  const waiting = new Promise<void>((resolve) => {
    onWaiting = resolve;
  });
  const aborted = new Promise<unknown>((resolve) => {
    onAborted = resolve;
  });
  const endpoint = {
    async *count(_context: Context, _args: object, { signal }: CallInfo) {
      signal.addEventListener('abort', () => onAborted(signal.reason));
      for (let n = 1; ; n++) {
        if (n === 2) onWaiting();
        yield n;
      }
    },
  };
  return { endpoint, waiting, aborted };
}

/** What is on its way over memory has arrived. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
