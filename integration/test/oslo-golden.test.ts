import { readdirSync, readFileSync } from 'node:fs';
import { type Layer, silent } from '@posthorn/core';
import { type OsloOptions, oslo } from '@posthorn/oslo';
import { expected, type OutgoingCall, RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { connect } from 'posthorn';
import type { ManagementApi } from '../src/management.ts';
import { innerOf } from '../src/oslo-inner.ts';
import { type Published, PublishTap } from '../src/publish-tap.ts';
import { findRabbit, isSkip, rabbitUrl } from '../src/rabbit-broker.ts';
import { skip } from '../src/skip.ts';
import { openVhost } from '../src/vhost.ts';
import { waitFor } from '../src/wait-for.ts';

/** What Python's oslo.messaging sent: one file per release and configuration. See the README beside them. */
const HOME = new URL('../../packages/oslo/test/fixtures/', import.meta.url);

interface Message {
  readonly exchange: string;
  readonly routingKey: string;
  readonly mandatory: boolean;
  readonly immediate: boolean;
  readonly properties: Readonly<Record<string, string | number>>;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly decoded: Readonly<Record<string, unknown>>;
}

interface Captured extends Message {
  /** The kind of request that a reply answers. */
  readonly replyTo?: string;
}

type Named = Readonly<Record<string, unknown>> & { readonly name: string };

interface Topology {
  readonly exchanges: readonly Named[];
  readonly queues: readonly (Named & { readonly arguments: Readonly<Record<string, unknown>> })[];
  readonly bindings: readonly Readonly<Record<string, unknown>>[];
  readonly consumers: readonly Readonly<Record<string, unknown>>[];
}

interface Fixture {
  readonly name: string;
  readonly variant: string;
  readonly topology: Topology;
  readonly messages: Readonly<Record<string, Captured>>;
}

const fixtures: readonly Fixture[] = readdirSync(HOME)
  .filter((file) => /^\d/.test(file))
  .sort()
  .map((file) => ({
    name: file.replace('.json', ''),
    variant: file.replace(/^[\d.]+-|\.json$/g, ''),
    ...JSON.parse(readFileSync(new URL(file, HOME), 'utf8')),
  }));

const kinds = Object.keys(fixtures[0]?.messages ?? {});

/** What Posthorn adds to Python's messages: to all, to calls. */
type Differences = Readonly<
  Record<'every' | 'call', { readonly properties?: readonly string[]; readonly mandatory?: boolean }>
> & { readonly replyConsumer: Readonly<Record<string, unknown>> };

const differences: Differences = JSON.parse(readFileSync(new URL('differences.json', HOME), 'utf8'));

const OPTIONS: Readonly<Record<string, OsloOptions>> = {
  default: {},
  durable: { durability: 'durable' },
  quorum: { durability: 'quorum' },
  'transient-quorum': { durability: 'quorum', transientQuorum: true },
};

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

/** All that Posthorn did in the place of the Python programs: its messages by kind, and what it declared. */
interface Emitted {
  readonly messages: ReadonlyMap<string, Published>;
  readonly topology: Topology;
  /** The headers that the server's method was told of its call. */
  readonly received: Readonly<Record<string, unknown>>;
}

describe('golden messages of oslo.messaging', () => {
  const emitted = new Map<string, Emitted>();

  before(async function () {
    this.timeout(180_000);
    const broker = await findRabbit();
    if (isSkip(broker)) return skip(this, 'golden messages of oslo.messaging', broker.skip);
    const { api } = broker;
    if (api === undefined)
      return skip(this, 'golden messages of oslo.messaging', 'the broker has no management API (POSTHORN_RABBIT_API)');
    const variants = [...new Set(fixtures.map(({ variant }) => variant))];
    const runs = variants.flatMap((variant) => [false, true].map((strict) => ({ variant, strict })));
    await Promise.all(
      runs.map(async ({ variant, strict }) => {
        await using vhost = await openVhost(broker);
        await using tap = await PublishTap.open(vhost);
        const url = rabbitUrl(vhost, { port: tap.port });
        emitted.set(`${variant} ${strict}`, await emit(tap, url, { ...OPTIONS[variant], strict }, api, vhost.vhost));
      }),
    );
  });

  it('has fixtures of three releases in the default, durable and quorum configurations', () => {
    expect(fixtures.map(({ name }) => name)).to.include.members(
      ['14.0.3', '16.1.0', '18.3.0'].flatMap((version) =>
        ['default', 'durable', 'quorum'].map((variant) => `${version}-${variant}`),
      ),
    );
  });

  it('has the same kinds in all fixtures', () => {
    for (const { messages } of fixtures) expect(Object.keys(messages)).to.have.members(kinds);
  });

  for (const strict of [false, true]) {
    describe(strict ? 'strictly' : 'with the listed differences', () => {
      for (const kind of kinds) {
        it(`sends ${kind} as Python does in each release and configuration`, () => {
          for (const { name, variant, messages } of fixtures) {
            const ours = emitted.get(`${variant} ${strict}`)?.messages.get(kind);
            const fixture = messages[kind];
            if (ours === undefined || fixture === undefined) throw new Error(`${name}: no ${kind} was sent`);
            const inner = innerOf(ours.body);
            expect(normal(ours, inner), name).to.deep.equal(expectation(kind, fixture, strict));
            expect(Object.keys(inner), name).to.have.ordered.members(Object.keys(fixture.decoded));
            expectExpiration(ours, fixture);
          }
        });
      }

      it('sends each reply to the queue, and with the id, that its request names', () => {
        for (const { name, variant, messages } of fixtures) {
          const all = emitted.get(`${variant} ${strict}`)?.messages;
          for (const [kind, { replyTo }] of Object.entries(messages)) {
            if (replyTo === undefined) continue;
            const request = innerOf(all?.get(replyTo)?.body);
            const reply = all?.get(kind);
            expect(reply?.routingKey, `${name} ${kind}`).to.equal(request['_reply_q']);
            expect(innerOf(reply?.body)['_msg_id'], `${name} ${kind}`).to.equal(request['_msg_id']);
          }
        }
      });

      for (const variant of Object.keys(OPTIONS)) {
        it(`declares what Python declares: ${variant}`, () => {
          const ours = emitted.get(`${variant} ${strict}`)?.topology;
          if (ours === undefined) throw new Error('nothing was declared');
          for (const { name, topology } of fixtures.filter((fixture) => fixture.variant === variant)) {
            const consumers = topology.consumers.length > 0;
            const theirs = strict ? topology : withReplyConsumer(topology);
            expect(declared(ours, consumers), name).to.deep.equal(declared(theirs, consumers));
          }
        });
      }
    });
  }

  it('carries a traceparent that a layer of the client set as a header and in the context, where Python 18.3 has it', () => {
    for (const variant of Object.keys(OPTIONS)) {
      const { messages, received } = emitted.get(`${variant} false`) ?? {};
      const [call, traced] = ['call', 'call-traced'].map((kind) => messages?.get(kind));
      const inner = innerOf(call?.body);
      expect(traced?.headers).to.deep.equal({ traceparent: TRACE });
      expect(innerOf(traced?.body)).to.have.all.keys(...Object.keys(inner), '_context_traceparent');
      expect(innerOf(traced?.body)['_context_traceparent']).to.equal(TRACE);
      expect(received?.['traceparent']).to.equal(TRACE);
    }
  });

  it('strictly, carries no traceparent', () => {
    for (const variant of Object.keys(OPTIONS)) {
      const { messages } = emitted.get(`${variant} true`) ?? {};
      const [call, traced] = ['call', 'call-traced'].map((kind) => messages?.get(kind));
      expect(traced?.headers).to.deep.equal({});
      expect(innerOf(traced?.body)).to.have.all.keys(...Object.keys(innerOf(call?.body)));
    }
  });

  it('gives every message ids of its own', () => {
    for (const { messages } of emitted.values()) {
      const ids = [...messages.values()].map(({ body }) => innerOf(body)['_unique_id']);
      expect(new Set(ids).size).to.equal(ids.length);
    }
  });
});

/** Does what the captured Python programs did, and collects what leaves by the tap. */
async function emit(
  tap: PublishTap,
  url: string,
  options: OsloOptions,
  api: ManagementApi,
  vhost: string,
): Promise<Emitted> {
  const wire = oslo(options);
  const settings = { wire, logger: silent };
  await using serving = await connect(url, settings);
  const endpoint = new Endpoint();
  const registry = { errors: { 'builtins.ValueError': ValueError, 'builtins.TypeError': TypeError, ...LAB_ERRORS } };
  for (const server of ['srv1', 'srv2']) {
    await new RPCServer(serving, {
      target: { topic: 'lab', server },
      endpoints: [endpoint, new Plain()],
      ...registry,
    }).start();
  }
  await using calling = await connect(url, settings);
  const traced: Layer<OutgoingCall> = (next) => (call) => {
    call.headers['traceparent'] = TRACE;
    return next(call);
  };
  const client = new RPCClient(calling, { target: { topic: 'lab' }, timeoutMs: 5_000 });
  const spaced = client.prepare({ namespace: 'lab.ns', version: '1.1' });
  const context = { user: 'u1', request_id: 'req-1', tags: ['a', 'b'] };
  const messages = new Map<string, Published>();
  const exchange = async (kind: string, reply: string | undefined, call: () => Promise<unknown>): Promise<void> => {
    const before = tap.published.length;
    await call().catch(() => undefined);
    const published = tap.published.slice(before);
    const request = published.find(({ body }) => 'method' in innerOf(body));
    if (request === undefined) throw new Error(`nothing was sent for ${kind}`);
    messages.set(kind, request);
    const id = innerOf(request.body)['_msg_id'];
    const replies = published.filter(({ body }) => 'result' in innerOf(body) && innerOf(body)['_msg_id'] === id);
    const last = replies.at(-1);
    if (reply !== undefined && last !== undefined) messages.set(reply, last);
    const [heartbeat] = replies.length > 1 ? replies : [];
    if (heartbeat !== undefined) messages.set('heartbeat-monitored', heartbeat);
  };
  // The first call also opens the reply queue, which costs it some of its time.
  await client.call({}, 'ping', {});
  const text = 'héllo ✓';
  const said = { text, n: 5, f: 1.5, l: [1, null, true], d: { k: 'v' } };
  await exchange('call', 'reply', () => spaced.call(context, 'echo', said));
  await exchange('call-server', 'reply-number', () =>
    spaced.prepare({ server: 'srv1' }).call(context, 'add', { a: 2, b: 3 }),
  );
  await exchange('call-no-namespace', 'reply-string', () => client.call(context, 'ping', { x: 1 }));
  await exchange('call-returning-null', 'reply-null', () => spaced.call({}, 'none', {}));
  await exchange('cast', undefined, () => spaced.cast(context, 'note', { kind: 'cast' }));
  await exchange('fanout', undefined, () => spaced.fanout(context, 'note', { kind: 'fanout' }));
  await exchange('call-failing', 'reply-failure', () => spaced.call(context, 'boom', { text: 'no good' }));
  await exchange('call-failing-allowed', 'reply-failure-allowed', () =>
    spaced.call(context, 'lab_error', { text: 'known' }),
  );
  await exchange('call-failing-expected', 'reply-failure-expected', () =>
    spaced.call(context, 'expected', { text: 'expected' }),
  );
  await exchange('call-no-method', 'reply-failure-no-method', () => spaced.call(context, 'nope', {}));
  await exchange('call-bad-version', 'reply-failure-version', () =>
    spaced.prepare({ version: '2.0' }).call(context, 'echo', {}),
  );
  await exchange('call-bad-namespace', 'reply-failure-namespace', () =>
    spaced.prepare({ namespace: 'other', version: '1.0' }).call(context, 'echo', {}),
  );
  await exchange('call-bad-args', 'reply-failure-args', () => spaced.call(context, 'add', { a: 1 }));
  await exchange('call-slow-timeout', undefined, () =>
    spaced.prepare({ timeoutMs: 1_000 }).call(context, 'slow', { secs: 2 }),
  );
  // In place of the seconds: the method goes on once its server has given a sign of life.
  const beat = tap.next(({ body }) => innerOf(body)['ending'] === false);
  endpoint.mayEnd = beat;
  await exchange('call-monitored', 'reply-monitored', () =>
    spaced.prepare({ monitorMs: 4_000, timeoutMs: 12_000 }).call(context, 'slow', { secs: 5 }),
  );
  const target = { topic: 'lab', namespace: 'lab.ns', version: '1.1' };
  const tracing = new RPCClient(calling, { target, timeoutMs: 5_000, layers: [traced] });
  await exchange('call-traced', undefined, () => tracing.call(context, 'echo', said));
  return { messages, topology: await topologyOf(api, vhost), received: endpoint.received };
}

/** The endpoint that the captured servers had: namespace lab.ns, version 1.3. */
class Endpoint {
  readonly target = { namespace: 'lab.ns', version: '1.3' };
  mayEnd: Promise<unknown> = new Promise(() => undefined);
  received: Readonly<Record<string, unknown>> = {};

  echo(ctxt: object, kw: unknown, { headers }: { headers: Readonly<Record<string, unknown>> }): unknown {
    this.received = headers;
    // `client_timeout` is what Python's driver adds to the context of its endpoints.
    return { ctxt: { ...ctxt, client_timeout: null }, kw, server: 'srv1' };
  }

  add(_: object, { a, b }: { a: number; b?: number }): number {
    if (b === undefined) throw new TypeError("Endpoint.add() missing 1 required positional argument: 'b'");
    return a + b;
  }

  boom(_: object, { text }: { text: string }): never {
    throw new ValueError(text);
  }

  lab_error(_: object, { text }: { text: string }): never {
    throw new LabError(text);
  }

  readonly expected = expected(LabError)((_: object, { text }: { text: string }): never => {
    throw new LabError(text);
  });

  async slow(_: object, { secs }: { secs: number }, { signal }: { signal: AbortSignal }): Promise<string> {
    await Promise.race([this.mayEnd, new Promise((resolve) => signal.addEventListener('abort', resolve))]);
    return `slept ${secs}`;
  }

  note(): void {}

  none(): null {
    return null;
  }
}

class Plain {
  ping(): string {
    return 'pong';
  }
}

class ValueError extends Error {}
class LabError extends Error {}
const LAB_ERRORS = { 'lab_oslo.LabError': LabError };

const ID = '<id>';

/** A message without what differs from one time to the next: ids, the time that is left, which server, tracebacks. */
function normal(
  { exchange, routingKey, mandatory, immediate, properties, headers }: Omit<Published, 'connection' | 'body'>,
  inner: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const { expiration, ...rest } = properties;
  return anonymous({
    exchange,
    routingKey,
    mandatory,
    immediate,
    properties: { ...rest, expires: expiration !== undefined },
    headers,
    inner: { ...inner, failure: failureIn(inner) },
  });
}

function anonymous<T>(value: T): T {
  const text = JSON.stringify(value).replaceAll(/[0-9a-f]{32}/g, ID);
  return JSON.parse(text.replaceAll(/"server":"srv\d"/g, '"server":"srv"'));
}

/** The failure with `tb` as what it is made of. */
function failureIn({ failure }: Readonly<Record<string, unknown>>): unknown {
  if (typeof failure !== 'string') return failure;
  const { tb, ...rest } = JSON.parse(failure);
  const lines =
    Array.isArray(tb) && tb.length > 0 && tb.every((line) => typeof line === 'string' && line.endsWith('\n'));
  return { ...rest, tb: lines ? 'lines' : tb };
}

/** What our message of that kind must be: the captured one, and unless `strict` the listed differences. */
function expectation(kind: string, fixture: Captured, strict: boolean): unknown {
  const expected = normal(fixture, fixture.decoded);
  if (strict) return expected;
  const { every, call } = differences;
  const lists = kind.startsWith('call') ? [every, call] : [every];
  for (const { properties = [], mandatory } of lists) {
    Object.assign(expected['properties'] as object, Object.fromEntries(properties.map((name) => [name, ID])));
    if (mandatory !== undefined) expected['mandatory'] = mandatory;
  }
  return expected;
}

/** Python writes the whole timeout, Posthorn what is left of it in whole milliseconds. */
function expectExpiration(ours: Published, fixture: Captured): void {
  const theirs = fixture.properties['expiration'];
  if (theirs === undefined) return;
  expect(ours.properties['expiration']).to.match(/^\d+$/);
  expect(Number(ours.properties['expiration'])).to.be.within(Number(theirs) - 500, Number(theirs));
}

/** What is in a vhost, once all of it is listed: two servers and one client. */
async function topologyOf(api: ManagementApi, vhost: string): Promise<Topology> {
  return await waitFor('the consumers to be listed', async () => {
    const consumers = await api.consumers(vhost);
    if (consumers.length < 7) return undefined;
    return {
      exchanges: (await api.exchanges(vhost)).map((exchange) => ({ ...exchange })),
      queues: (await api.queues(vhost)).map((queue) => ({ ...queue })),
      bindings: (await api.bindings(vhost)).map((binding) => ({ ...binding })),
      consumers: consumers.map(({ queue, ...consumer }) => ({ ...consumer, queue: queue.name })),
    };
  });
}

/** As it would be if Python consumed replies as we do. */
function withReplyConsumer(topology: Topology): Topology {
  const consumers = topology.consumers.map((consumer) =>
    String(consumer['queue']).startsWith('reply_') ? { ...consumer, ...differences.replyConsumer } : consumer,
  );
  return { ...topology, consumers };
}

/** The declarations alone, sorted, without the unique parts of names and what the broker adds by itself. */
function declared({ exchanges, queues, bindings, consumers }: Topology, withConsumers: boolean): unknown {
  return anonymous({
    exchanges: sorted(
      exchanges.filter(({ name }) => name !== '' && !name.startsWith('amq.')),
      ['name', 'type', 'durable', 'auto_delete', 'internal', 'arguments'],
    ),
    queues: sorted(
      queues.map((queue) => ({ ...queue, arguments: withoutClassic(queue.arguments) })),
      ['name', 'durable', 'auto_delete', 'exclusive', 'type', 'arguments'],
    ),
    bindings: sorted(
      bindings.filter(({ source }) => source !== ''),
      ['source', 'destination', 'destination_type', 'routing_key', 'arguments'],
    ),
    ...(withConsumers && { consumers: sorted(consumers, ['queue', 'exclusive', 'ack_required', 'arguments']) }),
  });
}

/** RabbitMQ 4 lists the type of every classic queue among its arguments. */
function withoutClassic({ 'x-queue-type': type, ...rest }: Readonly<Record<string, unknown>>): object {
  return type === undefined || type === 'classic' ? rest : { ...rest, 'x-queue-type': type };
}

function sorted(items: readonly Readonly<Record<string, unknown>>[], keys: readonly string[]): string[] {
  return items.map((item) => anonymous(JSON.stringify(keys.map((key) => [key, item[key]])))).sort();
}
