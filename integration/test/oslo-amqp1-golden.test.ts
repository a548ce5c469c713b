import { readdirSync, readFileSync } from 'node:fs';
import { silent } from '@posthorn/core';
import { NotificationListener, Notifier } from '@posthorn/notify';
import { type NotificationFormat, type OsloOptions, oslo } from '@posthorn/oslo';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { connect } from 'posthorn';
import { Amqp1Recorder, type Transferred } from '../src/amqp1-recorder.ts';
import { rejection } from '../src/rejection.ts';
import { waitFor } from '../src/wait-for.ts';

/** What Python's amqp driver sent: one file for each broker. See the README above them. */
const HOME = new URL('../../packages/oslo/test/fixtures/amqp1/', import.meta.url);

type Body = Readonly<Record<string, unknown>>;

interface Captured {
  readonly address: string;
  readonly settled: boolean;
  readonly ttl?: number;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly decoded?: Body;
}

interface Fixture {
  readonly name: string;
  readonly product?: string;
  readonly addressing: NonNullable<OsloOptions['addressing']>;
  readonly sources: { readonly server: readonly string[]; readonly listener: readonly string[] };
  readonly messages: Readonly<Record<string, Captured>>;
}

const fixtures: readonly Fixture[] = readdirSync(HOME).map((file) => ({
  name: file.replace('.json', ''),
  ...JSON.parse(readFileSync(new URL(file, HOME), 'utf8')),
}));

class LabError extends Error {}
class ValueError extends Error {}
const ERRORS = { 'lab_oslo.LabError': LabError, 'builtins.ValueError': ValueError };

const CONTEXT = { user: 'u1', request_id: 'req-1', tags: ['a', 'b'] };

/** All that Posthorn did in the place of the Python programs. */
interface Emitted {
  readonly messages: ReadonlyMap<string, Transferred>;
  readonly sources: readonly string[];
}

describe('golden messages of oslo.messaging over AMQP 1.0', () => {
  const emitted = new Map<string, Emitted>();

  before(async function () {
    this.timeout(60_000);
    const runs = fixtures.flatMap((fixture) => [false, true].map((strict) => ({ fixture, strict })));
    await Promise.all(
      runs.map(async ({ fixture, strict }) => {
        await using recorder = await Amqp1Recorder.open(fixture.product);
        emitted.set(`${fixture.name} ${strict}`, await emit(recorder, fixture.addressing, strict));
      }),
    );
  });

  for (const fixture of fixtures)
    for (const strict of [true, false])
      describe(`${fixture.name}${strict ? ', strictly' : ''}`, () => {
        const ours = (): Emitted => emitted.get(`${fixture.name} ${strict}`) ?? { messages: new Map(), sources: [] };

        it('are received from the same addresses', () => {
          const { server, listener } = fixture.sources;
          expect(ours().sources.toSorted()).to.deep.equal([...server, ...listener].toSorted());
        });

        for (const [kind, captured] of Object.entries(fixture.messages))
          it(`are the same: ${kind}`, () => {
            const message = ours().messages.get(kind);
            if (message === undefined) throw new Error(`${kind} was not sent`);
            const { body, durable: _, ...rest } = message;
            const decoded = typeof body === 'string' ? JSON.parse(body) : (body ?? undefined);
            expect(comparable({ ...rest, decoded })).to.deep.equal(expectation(kind, captured, fixture, strict));
          });
      });
});

/** What our message of that kind must be: the captured one, and unless `strict` the differences. */
function expectation(kind: string, captured: Captured, { product }: Fixture, strict: boolean): unknown {
  const { absolute_expiry_time: _, ...properties } = captured.properties;
  const theirs = { headers: {}, ...captured, properties };
  if (strict) return comparable(theirs);
  const isRequest = !/^(?:reply|heartbeat)/.test(kind);
  // These brokers look at the time to live not at all, or only while they hold a message.
  const isStamped = product !== 'ActiveMQ' && captured.ttl !== undefined;
  return comparable({
    ...theirs,
    // A cast of ours resolves when the broker has it.
    settled: captured.settled && !isRequest,
    properties: { ...properties, ...(isRequest && { message_id: 'any' }), ...(isStamped && { creation_time: 'any' }) },
  });
}

/** Ids, times, traces and the names of reply addresses, which are others each time, as what they are. */
function comparable({ address, properties, decoded, ...rest }: Captured & { readonly headers: object }): unknown {
  const { to, ...others } = properties;
  return {
    ...rest,
    address: placeOf(address),
    properties: { to: placeOf(String(to)), ...Object.fromEntries(Object.keys(others).map((name) => [name, 'any'])) },
    decoded: decoded && normal(decoded),
  };
}

const placeOf = (address: string): string =>
  /^_dynamic|^dynamic|^amqp:\/_topo|^temp-queue:/.test(address) ? 'reply' : address;

function normal(decoded: Body): Body {
  const { failure, request, response } = decoded;
  if (typeof failure === 'string') return { failure: { ...JSON.parse(failure), tb: 'lines' } };
  // Which of two servers answered.
  if (isObject(response)) return { response: { ...response, ...('server' in response && { server: 'any' }) } };
  if (!isObject(request)) return decoded;
  const { 'oslo.message': inner, ...outer } = request;
  if (typeof inner === 'string')
    return { ...decoded, request: { ...outer, 'oslo.message': anonymous(JSON.parse(inner)) } };
  return { ...decoded, request: anonymous(outer) };
}

const isObject = (value: unknown): value is Body => typeof value === 'object' && value !== null;

function anonymous(value: Body): Body {
  return {
    ...value,
    ...('message_id' in value && { message_id: String(value['message_id']).replaceAll(/[0-9a-f]/g, 'x') }),
    ...('timestamp' in value && { timestamp: String(value['timestamp']).replaceAll(/\d/g, '0') }),
  };
}

/** Says and does what the Python programs did, once each. */
async function emit(recorder: Amqp1Recorder, addressing: Fixture['addressing'], strict: boolean): Promise<Emitted> {
  const wire = (notifications: NotificationFormat) => oslo({ addressing, strict, notifications });
  await using serving = await connect(recorder.url, { wire: wire('v2'), logger: silent });
  await using calling = await connect(recorder.url, { wire: wire('v1'), logger: silent });
  const isHeartbeat = ({ body }: Transferred): boolean => body === null;
  const endpoint = {
    target: { namespace: 'lab.ns', version: '1.1' },
    echo: (ctxt: object, kw: object) => ({ ctxt, kw, server: 'srv1' }),
    add: (_: object, { a, b }: { a: number; b: number }) => a + b,
    nothing: () => undefined,
    note: () => undefined,
    boom: (_: object, { text }: { text: string }) => {
      throw new ValueError(text);
    },
    known: (_: object, { text }: { text: string }) => {
      throw new LabError(text);
    },
    slow: async (_: object, { secs }: { secs: number }) => {
      await recorder.first('a heartbeat', isHeartbeat);
      return `slept ${secs}`;
    },
  };
  const target = { topic: 'lab', namespace: 'lab.ns', version: '1.1' };
  const server = { target: { topic: 'lab', server: 'srv1' }, endpoints: [endpoint], errors: ERRORS };
  await new RPCServer(serving, server).start();
  const listening = { targets: [{ topic: 'notifications' }], endpoints: [{ info: () => {}, error: () => {} }] };
  await new NotificationListener(serving, listening).start();

  const client = new RPCClient(calling, { target, timeoutMs: 5_000 });
  const direct = client.prepare({ server: 'srv1' });
  // Once its reply address and its link are there, a call carries the whole of its timeout.
  for (const each of [client, direct]) await each.call({}, 'nothing', {});

  const messages = new Map<string, Transferred>();
  let seen = recorder.transferred.length;
  /** Does it, and keeps what was sent under the names: requests, then replies. */
  const keep = async (work: Promise<unknown>, ...kinds: readonly string[]): Promise<void> => {
    await work;
    await waitFor(`${kinds}`, () => recorder.transferred.length >= seen + kinds.length);
    for (const kind of kinds) messages.set(kind, recorder.transferred[seen++] as Transferred);
  };

  const text = { text: 'héllo ✓', n: 5, f: 1.5, l: [1, null, true], d: { k: 'v' } };
  await keep(client.call(CONTEXT, 'echo', text), 'call', 'reply');
  await keep(direct.call(CONTEXT, 'add', { a: 2, b: 3 }), 'call-server', 'reply-number');
  await keep(client.call(CONTEXT, 'nothing', {}), 'call-nothing', 'reply-null');
  await keep(rejection(client.call(CONTEXT, 'boom', { text: 'no good' })), 'call-failing', 'reply-failure');
  await keep(rejection(client.call(CONTEXT, 'known', { text: 'known' })), 'call-known', 'reply-failure-allowed');
  const monitored = client.prepare({ timeoutMs: 12_000, monitorMs: 4_000 });
  await keep(monitored.call(CONTEXT, 'slow', { secs: 5 }), 'call-monitored', 'heartbeat-monitored', 'reply-monitored');
  await keep(client.cast(CONTEXT, 'note', { kind: 'cast' }), 'cast');
  await keep(direct.cast(CONTEXT, 'note', { kind: 'cast-server' }), 'cast-server');
  await keep(client.fanout(CONTEXT, 'note', { kind: 'fanout' }), 'fanout');
  for (const format of ['v1', 'v2'] as const) {
    const on = calling.with({ wire: wire(format) });
    const notifier = new Notifier(on, { publisherId: 'lab.host1', contextKeys: ['user', 'request_id'] });
    for (const priority of ['info', 'error'] as const) {
      const context = { user: 'u1', request_id: 'req-2', auth_token: 'secret' };
      const event = 'compute.instance.create.end';
      const told = notifier.notify(priority, context, event, { id: 7, name: 'vm ✓' });
      await keep(told, `notification-${format}-${priority}`);
    }
  }
  return { messages, sources: [...recorder.sources] };
}
