import { type ContentCodec, json, type Message } from '@posthorn/core';
import { expect } from 'chai';
import fc from 'fast-check';
import type { Control, Failure, Incoming, Reply, Request } from '../src/codec.ts';
import { nativeCodec } from '../src/native-codec.ts';
import { thrownBy } from './support.ts';

const codec = nativeCodec([json]);
const request: Request = { id: 'id-1', method: 'm', args: { a: 1 }, context: {} };

const read = (incoming: Incoming): Request => {
  if (incoming.kind !== 'request') throw new Error('no request');
  return incoming.request;
};

/** What a peer makes of a value that went through JSON. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const good: Message = {
  body: Buffer.from('{}'),
  contentType: 'application/json',
  messageId: 'm-1',
  type: 'm',
};

const bad: readonly (readonly [string, Partial<Message>, RegExp])[] = [
  ['a body that is not JSON', { body: Buffer.from('{') }, /the arguments are not application\/json/],
  ['an empty body', { body: new Uint8Array(0) }, /the arguments are not application\/json/],
  ['a list as arguments', { body: Buffer.from('[]') }, /the arguments are not an object/],
  ['text as arguments', { body: Buffer.from('"a"') }, /the arguments are not an object/],
  ['an empty method', { type: '' }, /without a type, which is its method/],
  ['a namespace that is a boolean', { headers: { 'ph-namespace': true } }, /ph-namespace is not/],
  ['a version that is a number', { headers: { 'ph-version': 1 } }, /ph-version is not a string/],
  ['a context that is not JSON', { headers: { 'ph-context': '{' } }, /ph-context is not a JSON object/],
  ['a context that is a list', { headers: { 'ph-context': '[]' } }, /ph-context is not a JSON object/],
  ['a context that is null', { headers: { 'ph-context': 'null' } }, /ph-context is not a JSON/],
  ['a monitor of nothing', { headers: { 'ph-monitor-ms': 0 } }, /ph-monitor-ms is not a number/],
  ['a monitor that is text', { headers: { 'ph-monitor-ms': '5' } }, /ph-monitor-ms is not a number/],
  ['a window of nothing', { headers: { 'ph-window': 0 } }, /ph-window is not a whole number above/],
  ['a window of a half', { headers: { 'ph-window': 0.5 } }, /ph-window is not a whole number above/],
  ['an unknown content type', { contentType: 'text/x' }, /unknown content type text\/x/],
];

describe('the native wire of RPC', () => {
  it('reads back every request', () => {
    const name = fc.string({ minLength: 1, maxLength: 10 });
    const optional = fc.option(name, { nil: undefined });
    fc.assert(
      fc.property(
        name,
        optional,
        fc.dictionary(name, fc.jsonValue()),
        fc.dictionary(name, fc.jsonValue()),
        fc.option(fc.integer({ min: 1 }), { nil: undefined }),
        optional,
        (method, namespace, args, context, timeoutMs, replyTo) => {
          const sent: Request = { ...request, method, namespace, args, context, timeoutMs, replyTo };
          const got = read(codec.decodeRequest(codec.encodeRequest(sent)));
          expect([got.problem, got.id, got.method, got.namespace]).to.deep.equal([
            undefined,
            'id-1',
            method,
            namespace,
          ]);
          expect([got.timeoutMs, got.replyTo]).to.deep.equal([timeoutMs, replyTo]);
          expect(plain(got.args)).to.deep.equal(plain(args));
          expect(plain(got.context)).to.deep.equal(plain(context));
        },
      ),
    );
  });

  it('reads back every result', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const reply = codec.decodeReply(codec.encodeReply(request, { kind: 'result', value }));
        expect(plain(reply)).to.deep.equal(plain({ kind: 'result', value }));
      }),
    );
  });

  it('reads back every failure', () => {
    const lines = fc.array(fc.string());
    const record = fc.record({ type: fc.string(), message: fc.string(), trace: lines });
    fc.assert(
      fc.property(record, (failure: Failure) => {
        const reply = codec.decodeReply(codec.encodeReply(request, { kind: 'failure', failure }));
        expect(reply).to.deep.equal({ kind: 'failure', failure });
      }),
    );
  });

  it('uses the standard properties: message id, correlation id, reply-to, content type, type and time to live', () => {
    const message = codec.encodeRequest({ ...request, replyTo: 'r', timeoutMs: 50, version: '1.2', namespace: 'n' });
    const { body, headers, ...properties } = message;
    expect(properties).to.deep.equal({
      contentType: 'application/json',
      type: 'm',
      messageId: 'id-1',
      correlationId: 'id-1',
      replyTo: 'r',
      ttlMs: 50,
    });
    expect(headers).to.deep.equal({ 'ph-namespace': 'n', 'ph-version': '1.2' });
    expect(Buffer.from(body).toString()).to.equal('{"a":1}');
  });

  it('gives a cast no reply-to, no correlation id and no time to live', () => {
    expect(codec.encodeRequest(request)).to.have.all.keys('body', 'contentType', 'type', 'messageId');
  });

  it('carries the metadata of the application, and keeps its own apart from it', () => {
    const traceparent = '00-a-b-01';
    const message = codec.encodeRequest({ ...request, headers: { traceparent, n: 1 }, monitorMs: 500 });
    const got = read(codec.decodeRequest(message));
    expect([got.headers, got.monitorMs]).to.deep.equal([{ traceparent, n: 1 }, 500]);
  });

  it('carries bytes as they are, and gives the reader a copy', () => {
    const bytes = Uint8Array.from([0, 255, 128]);
    const message = codec.encodeRequest({ ...request, args: bytes });
    expect(message.contentType).to.equal('application/octet-stream');
    const got = read(codec.decodeRequest(message)).args as Uint8Array;
    bytes[0] = 9;
    expect([...got]).to.deep.equal([0, 255, 128]);
    const reply = codec.decodeReply(codec.encodeReply(request, { kind: 'result', value: Uint8Array.from([7]) }));
    expect(reply.kind === 'result' && [...(reply.value as Uint8Array)]).to.deep.equal([7]);
  });

  it('answers in the content type of the request, where it knows that', () => {
    const upper: ContentCodec = {
      contentType: 'text/upper',
      encode: (value) => Buffer.from(JSON.stringify(value).toUpperCase()),
      decode: (body) => JSON.parse(Buffer.from(body).toString().toLowerCase()),
    };
    const both = nativeCodec([json, upper]);
    const reply: Reply = { kind: 'result', value: 'ok' };
    const typeOf = (contentType: string): unknown => both.encodeReply({ ...request, contentType }, reply).contentType;
    expect([typeOf('text/upper'), typeOf('text/other')]).to.deep.equal(['text/upper', 'application/json']);
    expect(both.decodeReply(both.encodeReply({ ...request, contentType: 'text/upper' }, reply))).to.deep.equal(reply);
  });

  it('reads back signs of life and cancels', () => {
    expect(codec.decodeReply(codec.encodeReply(request, { kind: 'heartbeat' }))).to.deep.equal({ kind: 'heartbeat' });
    const cancel = codec.encodeCancel?.('id-9') ?? good;
    expect(codec.decodeRequest(cancel)).to.deep.equal({ kind: 'cancel', id: 'id-9' });
  });

  it('reads back what streams and gathers ask for, and what they are answered', () => {
    const got = read(codec.decodeRequest(codec.encodeRequest({ ...request, window: 16, gather: true })));
    expect(got).to.include({ window: 16, gather: true });
    const producer = { id: 'stream-1', replyTo: 'r' };
    const failure: Failure = { type: 'E', message: 'm', trace: [] };
    const replies: readonly Reply[] = [
      { kind: 'progress', value: { percent: 50 }, part: 3, producer },
      { kind: 'result', value: 'done', parts: 3 },
      { kind: 'result', value: 'up', server: 'a' },
      { kind: 'failure', failure, server: 'b' },
    ];
    for (const reply of replies) expect(codec.decodeReply(codec.encodeReply(request, reply))).to.deep.equal(reply);
    const controls: readonly Control[] = [{ kind: 'credit', granted: 40 }, { kind: 'cancel' }];
    for (const control of controls) {
      const message = codec.control?.encode(producer, control) ?? good;
      expect(message.correlationId).to.equal('stream-1');
      expect(codec.control?.decode(message)).to.deep.equal(control);
    }
  });

  it('refuses progress that cannot be answered, and answers to it that make no sense', () => {
    const headers = { 'ph-status': 'progress', 'ph-part': 1 };
    const part: Message = { ...good, body: Buffer.from('1'), replyTo: 'r', headers };
    const { replyTo: _, ...deaf } = part;
    for (const one of [deaf, { ...part, headers: { ...headers, 'ph-part': 'one' } }])
      expect(thrownBy(() => codec.decodeReply(one))).to.have.property('code', 'MALFORMED');
    for (const odd of [{}, { 'ph-credit': -1 }, { 'ph-credit': 'much' }])
      expect(thrownBy(() => codec.control?.decode({ ...good, headers: odd }))).to.have.property('code', 'MALFORMED');
  });

  for (const [what, message, told] of bad)
    it(`tells the sender of ${what}`, () => {
      const got = read(codec.decodeRequest({ ...good, replyTo: 'r', ...message }));
      expect(got).to.include({ id: 'm-1', replyTo: 'r' });
      expect(got.problem).to.have.property('code', 'MALFORMED');
      expect(got.problem?.message).to.match(told);
    });

  it('tells the sender of a request without a type', () => {
    const { type: _, ...aimless } = good;
    expect(read(codec.decodeRequest(aimless)).problem?.message).to.match(/without a type, which is its method/);
  });

  it('tells the sender of a request without a message id', () => {
    const { messageId: _, ...anonymous } = good;
    expect(read(codec.decodeRequest(anonymous)).problem?.message).to.match(/without a message id/);
  });

  it('never throws on a request, whatever it is made of', () => {
    const headers = fc.dictionary(
      fc.constantFrom('ph-context', 'ph-version', 'ph-namespace', 'ph-monitor-ms', 'ph-window', 'x'),
      fc.oneof(fc.string(), fc.integer(), fc.boolean()),
    );
    fc.assert(
      fc.property(fc.uint8Array(), headers, fc.option(fc.string(), { nil: undefined }), (body, given, messageId) => {
        const { problem } = read(
          codec.decodeRequest({ ...good, body, headers: given, ...(messageId !== undefined && { messageId }) }),
        );
        if (problem !== undefined) expect(problem).to.have.property('code', 'MALFORMED');
      }),
    );
  });

  it('refuses replies that make no sense', () => {
    const reply = { body: Buffer.from('{'), contentType: 'application/json' };
    expect(thrownBy(() => codec.decodeReply(reply))).to.have.property('code', 'MALFORMED');
    const odd = { body: Buffer.from('1'), contentType: 'application/json', headers: { 'ph-status': 'maybe' } };
    expect(thrownBy(() => codec.decodeReply(odd)).message).to.equal('a reply of unknown status maybe');
    expect(thrownBy(() => codec.decodeReply({ ...reply, contentType: 'x/y' }))).to.have.property('code', 'MALFORMED');
  });

  for (const value of [null, 7, 'text', [], { type: 1, message: {}, trace: 'no list', kwargs: 5 }])
    it(`makes a failure of ${JSON.stringify(value)}, whatever a peer sends`, () => {
      const headers = { 'ph-status': 'failure' };
      const message = { body: Buffer.from(JSON.stringify(value)), contentType: 'application/json', headers };
      expect(codec.decodeReply(message)).to.deep.equal({
        kind: 'failure',
        failure: { type: 'Error', message: '', trace: [] },
      });
    });

  for (const [what, act] of [
    ['the arguments', () => codec.encodeRequest({ ...request, args: { a: 1n } })],
    ['the result', () => codec.encodeReply(request, { kind: 'result', value: () => 1 })],
    ['the context', () => codec.encodeRequest({ ...request, context: { a: 1n } })],
  ] as const)
    it(`refuses to write ${what} when they cannot be written`, () => {
      const error = thrownBy(act);
      expect(error).to.have.property('code', 'MALFORMED');
      expect(error.message).to.match(new RegExp(`^${what}: `));
    });
});
