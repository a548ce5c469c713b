import { readdirSync, readFileSync } from 'node:fs';
import { MalformedError, type Message } from '@posthorn/core';
import type { Reply, Request } from '@posthorn/rpc';
import { expect } from 'chai';
import { amqp1Notify } from '../src/amqp1-notify-codec.ts';
import { amqp1RPC } from '../src/amqp1-rpc-codec.ts';
import { requestOf } from './support.ts';

interface Captured {
  readonly ttl?: number;
  readonly properties: Readonly<Record<string, string>>;
  readonly decoded?: Readonly<Record<string, unknown>>;
}

const home = new URL('fixtures/amqp1/', import.meta.url);
const codec = amqp1RPC(false);
const strictly = amqp1RPC(true);
const CONTEXT = { user: 'u1', request_id: 'req-1', tags: ['a', 'b'] };

/** The message as a driver would hand it over. */
function arrived({ ttl, properties, decoded }: Captured): Message {
  const { message_id, correlation_id, reply_to } = properties;
  return {
    body: Buffer.from(decoded === undefined ? '' : JSON.stringify(decoded)),
    ...(ttl !== undefined && { ttlMs: ttl }),
    ...(message_id !== undefined && { messageId: message_id }),
    ...(correlation_id !== undefined && { correlationId: correlation_id }),
    ...(reply_to !== undefined && { replyTo: reply_to }),
  };
}

/** The message with its text as what it says, and the texts inside it, too. */
const said = ({ body, ...rest }: Message): object => ({
  ...rest,
  body: body.length === 0 ? undefined : JSON.parse(Buffer.from(body).toString(), unfolded),
});
const unfolded = (key: string, value: unknown): unknown =>
  typeof value === 'string' && (key === 'oslo.message' || key === 'failure') ? JSON.parse(value, unfolded) : value;
const textOf = (value: unknown): Message => ({ body: Buffer.from(JSON.stringify(value)) });
const requestIn = (message: Message): Request => {
  const incoming = codec.decodeRequest(message);
  if (incoming.kind !== 'request') throw new Error('not a request');
  return incoming.request;
};

for (const file of readdirSync(home)) {
  const { messages } = JSON.parse(readFileSync(new URL(file, home), 'utf8')) as {
    readonly messages: Readonly<Record<string, Captured>>;
  };
  const kinds = (pattern: RegExp): readonly (readonly [string, Captured])[] =>
    Object.entries(messages).filter(([kind]) => pattern.test(kind));

  describe(`what Python's amqp driver sent, ${file.replace('.json', '')}`, () => {
    it('is understood as calls', () => {
      for (const [kind, captured] of kinds(/^call/)) {
        const { request, call_monitor_timeout: seconds } = captured.decoded as {
          readonly request: { readonly method: string; readonly args: object };
          readonly call_monitor_timeout?: number;
        };
        expect(requestIn(arrived(captured)), kind).to.deep.equal({
          id: captured.properties['message_id'],
          method: request.method,
          args: request.args,
          namespace: 'lab.ns',
          version: '1.1',
          context: CONTEXT,
          replyTo: captured.properties['reply_to'],
          timeoutMs: captured.ttl,
          monitorMs: seconds && seconds * 1_000,
          headers: {},
          problem: undefined,
        });
      }
    });

    it('is understood as casts, which nobody waits for, each with an id of its own', () => {
      const requests = kinds(/^(?:cast|fanout)/).map(([, captured]) => requestIn(arrived(captured)));
      for (const { method, replyTo, timeoutMs, context } of requests)
        expect({ method, replyTo, timeoutMs, context }).to.deep.equal({
          method: 'note',
          replyTo: undefined,
          timeoutMs: undefined,
          context: CONTEXT,
        });
      expect(new Set(requests.map(({ id }) => id))).to.have.property('size', 3);
    });

    it('is what Posthorn writes when strict: requests', () => {
      for (const [kind, captured] of kinds(/^(?:call|cast|fanout)/)) {
        const message = arrived(captured);
        expect(said(strictly.encodeRequest(requestIn(message))), kind).to.deep.equal(said(message));
      }
    });

    const replies = kinds(/^(?:reply|heartbeat)/);
    // ActiveMQ let no call through.
    if (replies.length > 0)
      it('is what Posthorn writes: replies', () => {
        for (const [kind, captured] of replies) {
          const message = arrived(captured);
          const answered = requestOf({ id: captured.properties['correlation_id'] ?? '', monitorMs: captured.ttl });
          expect(said(codec.encodeReply(answered, codec.decodeReply(message))), kind).to.deep.equal(said(message));
        }
      });

    it('is understood as notifications, and what Posthorn writes when strict', () => {
      for (const [kind, captured] of kinds(/^notification/)) {
        const message = arrived(captured);
        const decoded = codecOf(kind).decode(message);
        expect(decoded, kind).to.deep.include({
          publisherId: 'lab.host1',
          eventType: 'compute.instance.create.end',
          payload: { id: 7, name: 'vm ✓' },
          context: { user: 'u1', request_id: 'req-2' },
          headers: {},
        });
        const written = said(codecOf(kind).encode(decoded));
        expect(wholeMilliseconds(written), kind).to.deep.equal(wholeMilliseconds(said(message)));
      }
    });
  });
}

const codecOf = (kind: string) => amqp1Notify(kind.includes('v1') ? 'v1' : 'v2', true);

/** Python has microseconds. */
function wholeMilliseconds(message: object): unknown {
  return JSON.parse(JSON.stringify(message).replaceAll(/(\.\d{3})\d{3}/g, '$1000'));
}

describe("RPC with Python's amqp driver", () => {
  it('carries more unless strict: an id of casts, and headers', () => {
    const cast = requestOf({ headers: { traceparent: 't' } });
    expect(codec.encodeRequest(cast)).to.deep.include({ messageId: cast.id, headers: { traceparent: 't' } });
    expect(strictly.encodeRequest(cast)).to.have.all.keys('body');
    expect(codec.profiles).to.equal(undefined);
    expect(strictly.profiles).to.deep.equal({ cast: { confirm: false, persistent: false } });
  });

  it('asks for signs of life in whole seconds, at least two', () => {
    const asked = (monitorMs: number): object => said(codec.encodeRequest(requestOf({ replyTo: 'r', monitorMs })));
    for (const [monitorMs, seconds] of [
      [1, 2],
      [2_001, 3],
    ] as const)
      expect(asked(monitorMs)).to.have.nested.property('body.call_monitor_timeout', seconds);
    for (const call_monitor_timeout of [0, -1, null, '2'])
      expect(requestIn(textOf({ request: { method: 'm' }, call_monitor_timeout })).monitorMs).to.equal(undefined);
  });

  it('understands requests in an envelope, and without context, arguments or version', () => {
    const request = { 'oslo.version': '2.0', 'oslo.message': JSON.stringify({ method: 'm' }) };
    for (const body of [{ request, context: null }, { request: { method: 'm' } }])
      expect(requestIn(textOf(body))).to.deep.include({ method: 'm', args: {}, context: {}, version: undefined });
    expect(requestIn(textOf({ request: { method: 'm', version: null } })).version).to.equal(null);
  });

  it('has a problem with a request without a method or with arguments that are no object', () => {
    for (const request of [{}, { method: '' }, { method: 'm', args: [] }])
      expect(requestIn(textOf({ request })).problem).to.be.instanceOf(MalformedError);
  });

  it('carries what JSON has no form for as Python does, and refuses bytes', () => {
    const value = [Number.NaN, 2n ** 70n];
    const reply: Reply = { kind: 'result', value };
    expect(codec.decodeReply(codec.encodeReply(requestOf(), reply))).to.deep.equal(reply);
    expect(() => codec.encodeRequest(requestOf({ args: new Uint8Array(1) }))).to.throw(MalformedError, /bytes/);
    expect(() => codec.encodeReply(requestOf(), { kind: 'result', value: new Uint8Array(1) })).to.throw(MalformedError);
  });

  it('takes a reply without a response for null, and one without a failure for a result', () => {
    expect(codec.decodeReply(textOf({}))).to.deep.equal({ kind: 'result', value: null });
    expect(codec.decodeReply(textOf({ failure: null, response: 0 }))).to.deep.equal({ kind: 'result', value: 0 });
  });

  it('throws MALFORMED at what is no such message', () => {
    for (const body of [
      '',
      '{',
      '[]',
      '"text"',
      'null',
      '{"request": 1}',
      '{"request": {"method": "m"}, "context": 1}',
    ])
      expect(() => codec.decodeRequest({ body: Buffer.from(body) }), body).to.throw(MalformedError);
    for (const body of ['{', '[]', 'null'])
      expect(() => codec.decodeReply({ body: Buffer.from(body) }), body).to.throw(MalformedError);
    for (const body of ['{', '{"request": {}}', '{"request": {"priority": "INFO"}}'])
      expect(() => amqp1Notify('v2', false).decode({ body: Buffer.from(body) }), body).to.throw(MalformedError);
  });
});
