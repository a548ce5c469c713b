import { setImmediate } from 'node:timers/promises';
import { context, diag, propagation, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import { AlwaysOffSampler, BasicTracerProvider, ParentBasedSampler } from '@opentelemetry/sdk-trace-base';
import { type Activity, type Context, memory, newId, processing, sending, Transport } from '@posthorn/core';
import { Mailbox, Publisher, Subscriber } from '@posthorn/messaging';
import { NotificationListener, Notifier, REQUEUE } from '@posthorn/notify';
import { type CallInfo, RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { openTelemetry } from '../src/opentelemetry.ts';
import { Tracing } from './tracing.ts';

const CAME = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const [, TRACE_ID, SPAN_ID] = CAME.split('-');

describe('OpenTelemetry', () => {
  let transport: Transport;

  beforeEach(async () => {
    transport = await Transport.open((driver) => memory(driver));
  });

  afterEach(() => transport.close());

  const client = (topic: string, options = {}): RPCClient =>
    new RPCClient(transport, { target: { topic }, ...options });
  const serve = (topic: string, endpoint: object, server = 'one'): Promise<unknown> =>
    new RPCServer(transport, { target: { topic, server }, endpoints: [endpoint] }).start();
  const withHeaders = (headers: object) => ({
    layers: [
      (next: (call: { headers: object }) => Promise<unknown>) => (call: { headers: object }) => {
        Object.assign(call.headers, headers);
        return next(call);
      },
    ],
  });

  describe('of calls', () => {
    it('has a span of the client, and a span of the server that is part of it', async () => {
      using tracing = new Tracing();
      let id = '';
      await serve('compute', {
        reboot(_: object, __: object, info: CallInfo) {
          id = info.id;
        },
      });
      await client('compute').call({}, 'reboot', { secret: 'hidden' });
      expect(tracing.parents).to.deep.equal({
        'call posthorn:compute': undefined,
        'serve posthorn:compute': 'call posthorn:compute',
      });
      expect(tracing.traceIds).to.have.length(1);
      const [called, served] = ['call posthorn:compute', 'serve posthorn:compute'].map((name) => tracing.span(name));
      expect([called?.kind, served?.kind]).to.deep.equal([SpanKind.CLIENT, SpanKind.SERVER]);
      const common = {
        'messaging.system': 'memory',
        'messaging.destination.name': 'posthorn:compute',
        'rpc.system': 'posthorn',
        'rpc.method': 'reboot',
      };
      expect(called?.attributes).to.deep.equal({
        ...common,
        'messaging.operation.name': 'call',
        'messaging.operation.type': 'send',
      });
      expect(served?.attributes).to.deep.equal({
        ...common,
        'messaging.operation.name': 'serve',
        'messaging.operation.type': 'process',
        'messaging.message.id': id,
        'posthorn.server': 'one',
      });
      expect([called?.status.code, served?.status.code]).to.deep.equal([SpanStatusCode.UNSET, SpanStatusCode.UNSET]);
    });

    it('has what a method does, calls and spans of others, as part of it, after awaits and for each apart', async () => {
      using tracing = new Tracing();
      const tracer = tracing.provider.getTracer('application');
      await serve('b', { b: () => 1 });
      await serve('a', {
        async a(ctxt: Context, { n }: { n: number }) {
          await setImmediate();
          await tracer.startActiveSpan(`work ${n}`, async (span) => {
            await setImmediate();
            await client('b').call(ctxt, 'b');
            span.end();
          });
        },
      });
      await Promise.all([1, 2, 3].map((n) => client('a').call({}, 'a', { n })));
      expect(tracing.traceIds).to.have.length(3);
      for (const n of [1, 2, 3]) {
        const { traceId } = tracing.span(`work ${n}`).spanContext();
        const all = tracing.spans.filter((span) => span.spanContext().traceId === traceId);
        const nameOf = new Map(all.map((span) => [span.spanContext().spanId, span.name]));
        const parents = all.map(({ name, parentSpanContext }) => [name, nameOf.get(parentSpanContext?.spanId ?? '')]);
        expect(Object.fromEntries(parents)).to.deep.equal({
          'call posthorn:a': undefined,
          'serve posthorn:a': 'call posthorn:a',
          [`work ${n}`]: 'serve posthorn:a',
          'call posthorn:b': `work ${n}`,
          'serve posthorn:b': 'call posthorn:b',
        });
      }
    });

    it('has what a generator does between its steps as part of it', async () => {
      using tracing = new Tracing();
      await serve('b', { b: () => 1 });
      await serve('a', {
        async *a(ctxt: Context) {
          yield 1;
          await client('b').call(ctxt, 'b');
          yield 2;
          return 3;
        },
      });
      const stream = client('a').stream({}, 'a');
      for await (const _ of stream);
      expect(await stream.result).to.equal(3);
      await tracing.ended(4);
      expect(tracing.parents).to.include({
        'call posthorn:b': 'serve posthorn:a',
        'serve posthorn:a': 'stream posthorn:a',
      });
    });

    it('goes on from the active span of the caller', async () => {
      using tracing = new Tracing();
      await serve('t', { m: () => 1 });
      await tracing.provider.getTracer('application').startActiveSpan('request', async (span) => {
        await client('t').call({}, 'm');
        span.end();
      });
      expect(tracing.parents).to.include({ 'call posthorn:t': 'request', request: undefined });
    });

    it('goes on from the trace that the application wrote, its state included, where no span is active', async () => {
      const headers: object[] = [];
      await serve('t', { m: (_: object, __: object, info: CallInfo) => void headers.push(info.headers) });
      // Before the span begins, as who passes on what he was sent.
      const write = (activity: unknown): void =>
        void Object.assign((activity as Activity).headers, { traceparent: CAME, tracestate: 'a=1' });
      sending.start.subscribe(write);
      try {
        using tracing = new Tracing();
        await client('t').call({}, 'm');
        const called = tracing.span('call posthorn:t');
        expect(called.parentSpanContext).to.include({ traceId: TRACE_ID, spanId: SPAN_ID, isRemote: true });
        const traceparent = `00-${TRACE_ID}-${called.spanContext().spanId}-01`;
        expect(headers).to.deep.equal([{ traceparent, tracestate: 'a=1' }]);
      } finally {
        sending.start.unsubscribe(write);
      }
    });

    it('ignores a traceparent that makes no sense: the server begins a trace', async () => {
      await serve('t', { m: () => 1 });
      using tracing = new Tracing();
      await client('t', withHeaders({ traceparent: '00-nonsense-01' })).call({}, 'm');
      expect(tracing.parents).to.deep.equal({ 'call posthorn:t': undefined, 'serve posthorn:t': undefined });
    });

    it('has casts and fanouts as what a producer does, and streams and gatherings as calls', async () => {
      using tracing = new Tracing();
      const endpoint = {
        note: () => undefined,
        async *list() {
          yield 1;
          return 2;
        },
        ping: () => 'pong',
      };
      await serve('t', endpoint);
      await serve('t', endpoint, 'two');
      await client('t').cast({}, 'note');
      await client('t').fanout({}, 'note');
      await tracing.ended(5);
      const stream = client('t').stream({}, 'list');
      for await (const _ of stream);
      await client('t').gather({}, 'ping', {}, { timeoutMs: 5_000, max: 2 });
      const kinds = ['cast', 'fanout', 'stream', 'gather'].map((name) => tracing.span(`${name} posthorn:t`).kind);
      expect(kinds).to.deep.equal([SpanKind.PRODUCER, SpanKind.PRODUCER, SpanKind.CLIENT, SpanKind.CLIENT]);
      await tracing.ended(10);
    });

    it('says what failed by its code, with the message as the status', async () => {
      using tracing = new Tracing();
      await serve('t', {
        fail() {
          throw new TypeError('no such thing');
        },
      });
      await client('t')
        .call({}, 'fail')
        .catch(() => undefined);
      const [called, served] = ['call posthorn:t', 'serve posthorn:t'].map((name) => tracing.span(name));
      expect(called?.attributes).to.include({ 'error.type': 'REMOTE' });
      expect(served?.attributes).to.include({ 'error.type': 'TypeError' });
      const status = { code: SpanStatusCode.ERROR, message: 'no such thing' };
      expect([called?.status, served?.status]).to.deep.equal([status, status]);
    });

    it('ends with calls that nobody serves, that are given up, and that throw before they are sent', async () => {
      using tracing = new Tracing();
      await client('nobody')
        .call({}, 'm')
        .catch(() => undefined);
      await serve('slow', {
        m: (_: object, __: object, { signal }: CallInfo) =>
          new Promise((resolve) => signal.addEventListener('abort', resolve)),
      });
      await client('slow')
        .call({}, 'm', {}, { timeoutMs: 50 })
        .catch(() => undefined);
      const broken = {
        layers: [
          () => () => {
            throw new RangeError('a layer');
          },
        ],
      };
      await client('layer', broken)
        .call({}, 'm')
        .catch(() => undefined);
      const types = ['nobody', 'slow', 'layer'].map((t) => tracing.span(`call posthorn:${t}`).attributes['error.type']);
      expect(types).to.deep.equal(['UNROUTABLE', 'TIMEOUT', 'RangeError']);
    });
  });

  describe('of notifications', () => {
    const targets = [{ topic: 'notifications' }];
    const listen = async (options: object): Promise<NotificationListener> =>
      await new NotificationListener(transport, { targets, ...options } as never).start();
    const notifier = (): Notifier => new Notifier(transport, { publisherId: 'compute.host1' });

    it('has a span of the notifier, and one of each listener that is part of it', async () => {
      using tracing = new Tracing();
      await serve('t', { m: () => 1 });
      for (const pool of ['one', 'two'])
        await listen({
          pool,
          endpoints: [{ info: async () => void (await client('t').call({}, 'm')) }],
        });
      await notifier().info({}, 'instance.created', { id: 1 });
      await tracing.ended(7);
      expect(tracing.traceIds).to.have.length(1);
      const notified = tracing.span('notify posthorn:notifications');
      const heard = tracing.spans.filter(({ name }) => name === 'listen posthorn:notifications');
      expect(heard.map((span) => span.parentSpanContext?.spanId)).to.deep.equal(
        [1, 2].map(() => notified.spanContext().spanId),
      );
      expect([notified.kind, heard[0]?.kind]).to.deep.equal([SpanKind.PRODUCER, SpanKind.CONSUMER]);
      expect(notified.attributes).to.include({ 'posthorn.name': 'instance.created', 'messaging.system': 'memory' });
      expect(heard[0]?.attributes['messaging.message.id']).to.equal(notified.attributes['messaging.message.id']);
      const inside = tracing.spans.filter(({ name }) => name === 'call posthorn:t');
      expect(inside.map((span) => span.parentSpanContext?.spanId)).to.have.members(
        heard.map((span) => span.spanContext().spanId),
      );
    });

    it('has each attempt, those that fail with why, as part of what was sent', async () => {
      using tracing = new Tracing();
      const ends = [() => REQUEUE, () => Promise.reject(new RangeError('not yet')), () => undefined];
      await listen({ pool: newId(), retry: { minDelayMs: 1 }, endpoints: [{ info: () => ends.shift()?.() }] });
      await notifier().info({}, 'e', {});
      await tracing.ended(4);
      const attempts = tracing.spans.filter(({ name }) => name.startsWith('listen'));
      expect(attempts.map(({ attributes }) => attributes['error.type'])).to.deep.equal([
        '_OTHER',
        'RangeError',
        undefined,
      ]);
      expect(new Set(Object.values(tracing.parents))).to.deep.equal(
        new Set([undefined, 'notify posthorn:notifications']),
      );
    });

    it('has one span of a batch, with links to what its notifications came from', async () => {
      using tracing = new Tracing();
      await serve('t', { m: () => 1 });
      const batch = { size: 2, maxAgeMs: 60_000 };
      await listen({
        pool: newId(),
        batch,
        endpoints: [
          {
            info: () =>
              client('t')
                .call({}, 'm')
                .then(() => undefined),
          },
        ],
      });
      await notifier().info({}, 'a', {});
      await notifier().info({}, 'b', {});
      await tracing.ended(5);
      const handled = tracing.span('listen posthorn:notifications');
      const sent = tracing.spans.filter(({ name }) => name.startsWith('notify'));
      expect(handled.parentSpanContext).to.equal(undefined);
      expect(handled.attributes).to.include({ 'messaging.batch.message_count': 2 });
      expect(handled.links.map((link) => [link.context.traceId, link.context.spanId])).to.deep.equal(
        sent.map((span) => [span.spanContext().traceId, span.spanContext().spanId]),
      );
      expect(tracing.span('call posthorn:t').parentSpanContext?.spanId).to.equal(handled.spanContext().spanId);
    });

    it('has a span of each turn of a loop', async () => {
      using tracing = new Tracing();
      const listener = await listen({ pool: newId() });
      await notifier().warn({}, 'e', {});
      for await (const { headers } of listener) {
        expect(headers).to.have.property('traceparent');
        break;
      }
      await listener.close();
      expect(tracing.parents).to.include({ 'listen posthorn:notifications': 'notify posthorn:notifications' });
    });
  });

  describe('of messages', () => {
    const meter = { messageType: 'meter', version: '1.0', payload: { n: 1 } };
    const publisher = (): Publisher => new Publisher(transport, { exchange: 'metering', publisherId: 'p' });

    it('has a span of the publisher, and one of the subscriber that is part of it', async () => {
      using tracing = new Tracing();
      await serve('t', { m: () => 1 });
      const subscriber = new Subscriber(transport, { exchange: 'metering', group: newId() });
      await subscriber.bind('meter', () => client('t').call({}, 'm')).start();
      await publisher().publish(meter);
      await tracing.ended(4);
      expect(tracing.parents).to.deep.equal({
        'publish metering:meter': undefined,
        'subscribe metering:meter': 'publish metering:meter',
        'call posthorn:t': 'subscribe metering:meter',
        'serve posthorn:t': 'call posthorn:t',
      });
      const [published, handled] = ['publish', 'subscribe'].map((name) => tracing.span(`${name} metering:meter`));
      expect([published?.kind, handled?.kind]).to.deep.equal([SpanKind.PRODUCER, SpanKind.CONSUMER]);
      expect(handled?.attributes['messaging.message.id']).to.equal(published?.attributes['messaging.message.id']);
    });

    it('says why a message was not confirmed', async () => {
      using tracing = new Tracing();
      const { status } = await publisher().publish(meter, { unrouted: 'fail' });
      expect(status).to.equal('returned');
      expect(tracing.span('publish metering:meter').attributes).to.include({ 'error.type': 'UNROUTABLE' });
    });

    it('has mailboxes by their names', async () => {
      using tracing = new Tracing();
      await new Mailbox(transport, { name: 'm-1', publisherId: 'p' }).publish(meter);
      await new Subscriber(transport, { mailbox: 'm-1' }).bind('#', () => undefined).start();
      await tracing.ended(2);
      expect(tracing.parents).to.deep.equal({ 'publish m-1': undefined, 'subscribe m-1': 'publish m-1' });
    });

    it('has one span of a batch, with links to what its messages came from', async () => {
      using tracing = new Tracing();
      const subscriber = new Subscriber(transport, { exchange: 'metering', group: newId() });
      const failing = (): never => {
        throw new RangeError('full');
      };
      const ends = [failing, () => undefined];
      const batch = { size: 2, maxAgeMs: 60_000 };
      await subscriber.bind('meter', batch, () => ends.pop()?.()).start();
      for (let n = 0; n < 4; n++) await publisher().publish(meter);
      await tracing.ended(6);
      const [first, second] = tracing.spans.filter(({ name }) => name.startsWith('subscribe'));
      const sent = tracing.spans.filter(({ name }) => name.startsWith('publish'));
      expect(
        [...(first?.links ?? []), ...(second?.links ?? [])].map(({ context: { spanId } }) => spanId),
      ).to.deep.equal(sent.map((span) => span.spanContext().spanId));
      expect([first?.attributes['error.type'], second?.attributes['error.type']]).to.deep.equal([
        undefined,
        'RangeError',
      ]);
    });

    it('has a span of each turn of a loop', async () => {
      using tracing = new Tracing();
      const subscriber = await new Subscriber(transport, { exchange: 'metering', keys: ['#'], group: newId() }).start();
      await publisher().publish(meter);
      for await (const { headers } of subscriber) {
        expect(headers).to.have.property('traceparent');
        break;
      }
      await subscriber.close();
      expect(tracing.parents).to.include({ 'subscribe metering:meter': 'publish metering:meter' });
    });
  });

  describe('as a whole', () => {
    it('leaves out what the sampler leaves out, along the whole trace', async () => {
      using tracing = new Tracing({ sampler: new ParentBasedSampler({ root: new AlwaysOffSampler() }) });
      const headers: object[] = [];
      await serve('t', { m: (_: object, __: object, info: CallInfo) => void headers.push(info.headers) });
      await client('t').call({}, 'm');
      expect(tracing.spans).to.deep.equal([]);
      expect(headers)
        .to.have.nested.property('0.traceparent')
        .that.matches(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    });

    it('tells of the transports that it is given, and of no others', async () => {
      const other = await Transport.open((driver) => memory(driver));
      try {
        using tracing = new Tracing({ transports: [other] });
        await serve('t', { m: () => 1 });
        await client('t').call({}, 'm');
        await new RPCServer(other, { target: { topic: 'o', server: 'one' }, endpoints: [{ m: () => 1 }] }).start();
        await new RPCClient(other.with({ wire: other.wire }), { target: { topic: 'o' } }).call({}, 'm');
        expect(Object.keys(tracing.parents)).to.have.members(['call posthorn:o', 'serve posthorn:o']);
      } finally {
        await other.close();
      }
    });

    it('nests subscriptions: each has its own spans, and the work runs in both', async () => {
      using tracing = new Tracing();
      using _again = openTelemetry({ tracerProvider: tracing.provider });
      await serve('t', { m: () => 1 });
      await client('t').call({}, 'm');
      expect(tracing.spans).to.have.length(4);
    });

    it('tells OpenTelemetry of processors that throw, and calls go on', async () => {
      const told: string[] = [];
      diag.setLogger({ error: (text) => void told.push(text), warn() {}, info() {}, debug() {}, verbose() {} });
      const fail = (): never => {
        throw new RangeError('full');
      };
      const broken = { onStart: fail, onEnd: fail, forceFlush: async () => {}, shutdown: async () => {} };
      const provider = new BasicTracerProvider({ spanProcessors: [broken] });
      try {
        using _telemetry = openTelemetry({ tracerProvider: provider });
        await serve('t', { m: () => 1 });
        expect(await client('t').call({}, 'm')).to.equal(1);
      } finally {
        diag.disable();
      }
      expect(told).to.deep.equal(['@posthorn/telemetry: full', '@posthorn/telemetry: full']);
    });

    it('ends when it is disposed of', async () => {
      const tracing = new Tracing();
      tracing[Symbol.dispose]();
      await serve('t', { m: () => 1 });
      await client('t').call({}, 'm');
      expect(tracing.spans).to.deep.equal([]);
      expect([sending.hasSubscribers, processing.hasSubscribers]).to.deep.equal([false, false]);
    });

    it('carries on what the propagator of the process knows besides, baggage for one', async () => {
      const propagators = [new W3CTraceContextPropagator(), new W3CBaggagePropagator()];
      propagation.setGlobalPropagator(new CompositePropagator({ propagators }));
      try {
        using tracing = new Tracing();
        let tenant: string | undefined;
        await serve('t', {
          m() {
            tenant = propagation.getActiveBaggage()?.getEntry('tenant')?.value;
          },
        });
        const baggage = propagation.createBaggage({ tenant: { value: 'blue' } });
        await context.with(propagation.setBaggage(context.active(), baggage), () => client('t').call({}, 'm'));
        expect(tenant).to.equal('blue');
        expect(tracing.parents).to.deep.equal({ 'call posthorn:t': undefined, 'serve posthorn:t': 'call posthorn:t' });
      } finally {
        propagation.disable();
      }
    });

    it('without an SDK passes on what came', async () => {
      const headers: object[] = [];
      await serve('end', { m: (_: object, __: object, info: CallInfo) => void headers.push(info.headers) });
      await serve('middle', { m: (ctxt: Context) => client('end').call(ctxt, 'm') });
      const manager = new AsyncLocalStorageContextManager().enable();
      context.setGlobalContextManager(manager);
      try {
        using _noop = openTelemetry();
        await client('middle', withHeaders({ traceparent: CAME, tracestate: 'a=1' })).call({}, 'm');
        expect(headers).to.deep.equal([{ traceparent: CAME, tracestate: 'a=1' }]);
      } finally {
        context.disable();
      }
    });
  });
});
