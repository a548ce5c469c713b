import { MalformedError, type Message } from '@posthorn/core';
import type { Incoming, Reply, Request } from '@posthorn/rpc';
import { expect } from 'chai';
import fc from 'fast-check';
import { osloRPC } from '../src/rpc-codec.ts';
import { enveloped, innerOf, requestOf } from './support.ts';

const { codec, correlate } = osloRPC(false);
const strictly = osloRPC(true).codec;

const requestIn = (message: Message): Request => {
  const incoming: Incoming = codec.decodeRequest(message);
  if (incoming.kind !== 'request') throw new Error('not a request');
  return incoming.request;
};
const replyIn = (inner: object): Reply => codec.decodeReply(enveloped(inner));

describe('an oslo request', () => {
  it('is a flat object with the keys that Python has, in a call', () => {
    const call = requestOf({
      args: { a: 1 },
      namespace: 'ns',
      version: '1.1',
      replyTo: 'reply_1',
      context: { user: 'u' },
    });
    expect(innerOf(codec.encodeRequest(call))).to.deep.equal({
      method: 'echo',
      args: { a: 1 },
      namespace: 'ns',
      version: '1.1',
      _msg_id: call.id,
      _reply_q: 'reply_1',
      _timeout: null,
      _unique_id: call.id,
      _context_user: 'u',
    });
  });

  it('has no call keys in a cast, and no namespace or version that is not set', () => {
    const cast = requestOf();
    expect(innerOf(codec.encodeRequest(cast))).to.deep.equal({ method: 'echo', args: {}, _unique_id: cast.id });
    expect(innerOf(codec.encodeRequest(requestOf({ version: null })))).to.not.have.property('version');
  });

  it('comes back as it was', () => {
    const args = { nan: Number.NaN, big: 2n ** 60n, text: 'é', none: null };
    const headers = { tenant: 't-1' };
    const sent = requestOf({
      args,
      replyTo: 'reply_1',
      namespace: 'n',
      version: '2.3',
      context: { a: [1] },
      timeoutMs: 900,
      monitorMs: 4_000,
      headers,
    });
    const { problem, deliveryId, ...received } = requestIn(codec.encodeRequest(sent));
    expect(received).to.deep.equal(sent);
    expect({ problem, deliveryId }).to.deep.equal({ problem: undefined, deliveryId: sent.id });
  });

  it('comes back as it was, whatever its arguments and its context hold', () => {
    // Integers that a number cannot hold come back as big ones, and JSON has no negative zero.
    const json = fc.json().filter((text) => !/(?<![\d.])\d{16,}(?![\d.])/.test(text));
    const values = fc.dictionary(
      fc.string(),
      json.map((text) => JSON.parse(text.replace(/-0(?![\d.])/g, '0'))),
    );
    const optional = fc.option(fc.string({ minLength: 1 }), { nil: undefined });
    fc.assert(
      fc.property(values, values, optional, optional, (args, context, namespace, replyTo) => {
        const sent = requestOf({ args, context, namespace, replyTo });
        const received = requestIn(codec.encodeRequest(sent));
        expect([received.args, received.context]).to.deep.equal([sent.args, sent.context]);
        expect([received.namespace, received.replyTo]).to.deep.equal([namespace, replyTo]);
      }),
    );
  });

  it('asks for signs of life in whole seconds, at least two', () => {
    for (const [monitorMs, seconds] of [
      [1, 2],
      [2_000, 2],
      [2_001, 3],
      [4_000, 4],
      [undefined, null],
    ] as const) {
      expect(innerOf(codec.encodeRequest(requestOf({ replyTo: 'r', monitorMs })))['_timeout']).to.equal(seconds);
    }
    expect(codec.leastMonitorMs).to.equal(2_000);
  });

  it('carries ids and headers outside of the body, and when strict only the time to live', () => {
    const call = requestOf({ replyTo: 'r', timeoutMs: 5_000, headers: { traceparent: 't' } });
    const { body: _, ...outside } = codec.encodeRequest(call);
    const common = { contentType: 'application/json', contentEncoding: 'utf-8', ttlMs: 5_000 };
    expect(outside).to.deep.equal({
      ...common,
      headers: { traceparent: 't' },
      messageId: call.id,
      correlationId: call.id,
    });
    const { body: __, ...strict } = strictly.encodeRequest(call);
    expect(strict).to.deep.equal({ ...common, headers: {} });
    expect(codec.encodeRequest(requestOf())).to.include.keys('messageId').but.not.include.keys('correlationId');
  });

  it('lets strict calls be forgotten where nobody serves them, as Python does', () => {
    expect(strictly.profiles).to.deep.equal({ call: { unrouted: 'drop' } });
    expect(codec.profiles).to.equal(undefined);
  });

  it('refuses arguments that are bytes', () => {
    expect(() => codec.encodeRequest(requestOf({ args: new Uint8Array(1) }))).to.throw(MalformedError, /bytes/);
  });

  it('without version and arguments means the default ones, with a null version none', () => {
    expect(requestIn(enveloped({ method: 'm' }))).to.deep.include({
      args: {},
      version: undefined,
      namespace: undefined,
    });
    expect(requestIn(enveloped({ method: 'm', version: null, namespace: null }))).to.deep.include({
      version: null,
      namespace: undefined,
    });
    expect(requestIn(enveloped({ method: 'm', version: 1.1 })).version).to.equal('1.1');
  });

  it('waits for a reply only with both an id and a queue', () => {
    expect(requestIn(enveloped({ method: 'm', _msg_id: 'i', _reply_q: 'q', _unique_id: 'u' }))).to.include({
      id: 'i',
      deliveryId: 'u',
      replyTo: 'q',
    });
    for (const half of [
      { _msg_id: 'i' },
      { _reply_q: 'q' },
      { _msg_id: 1, _reply_q: 'q' },
      { _msg_id: 'i', _reply_q: null },
    ])
      expect(requestIn(enveloped({ method: 'm', _unique_id: 'u', ...half }))).to.include({
        id: 'u',
        replyTo: undefined,
      });
  });

  it('without an id gets one', () => {
    const [one, other] = [requestIn(enveloped({ method: 'm' })), requestIn(enveloped({ method: 'm' }))];
    expect(one.deliveryId)
      .to.match(/^[0-9a-f]{32}$/)
      .and.not.equal(other.deliveryId);
    expect(requestIn({ ...enveloped({ method: 'm' }), messageId: 'mine' }).deliveryId).to.equal('mine');
  });

  it('asks for signs of life only with a number above zero', () => {
    for (const [_timeout, monitorMs] of [
      [2, 2_000],
      [0, undefined],
      [-1, undefined],
      [null, undefined],
      ['2', undefined],
    ] as const)
      expect(requestIn(enveloped({ method: 'm', _timeout })).monitorMs).to.equal(monitorMs);
  });

  it('has a problem when the method is no name or the arguments are no object', () => {
    for (const wrong of [{}, { method: '' }, { method: 1 }, { method: null }, { method: ['m'] }])
      expect(requestIn(enveloped(wrong)).problem, JSON.stringify(wrong)).to.be.instanceOf(MalformedError);
    for (const args of [[], 'a', 1, true, null])
      expect(requestIn(enveloped({ method: 'm', args })).problem, JSON.stringify(args)).to.be.instanceOf(
        MalformedError,
      );
    expect(requestIn(enveloped({ method: 'm', args: {} })).problem).to.equal(undefined);
  });

  it('shows its headers, but for that of the compression', () => {
    const message = { ...enveloped({ method: 'm' }), headers: { traceparent: 't', n: 1 } };
    expect(requestIn(message).headers).to.deep.equal({ traceparent: 't', n: 1 });
  });

  it('has no keys of its own in the context, and no context in the arguments', () => {
    const inner = { method: 'm', args: { a: 1 }, _context_user: 'u', _unique_id: 'x', other: 1 };
    expect(requestIn(enveloped(inner))).to.deep.include({ context: { user: 'u' }, args: { a: 1 } });
  });
});

describe('an oslo reply', () => {
  const request = requestOf({ replyTo: 'reply_1' });

  it('always has five keys', () => {
    for (const [reply, expected] of [
      [
        { kind: 'result', value: 5 },
        { result: 5, failure: null, ending: true },
      ],
      [
        { kind: 'result', value: undefined },
        { result: null, failure: null, ending: true },
      ],
      [{ kind: 'heartbeat' }, { result: null, failure: null, ending: false }],
      [
        { kind: 'partial', value: 5 },
        { result: 5, failure: null, ending: false },
      ],
    ] as const) {
      const { _unique_id, ...inner } = innerOf(codec.encodeReply(request, reply));
      expect(inner).to.deep.equal({ ...expected, _msg_id: request.id });
      expect(_unique_id).to.match(/^[0-9a-f]{32}$/);
    }
  });

  it('has its failure as text, and no result', () => {
    const failure = { type: 'builtins.ValueError', message: 'no', trace: ['a'] };
    const inner = innerOf(codec.encodeReply(request, { kind: 'failure', failure }));
    expect(inner).to.include({ result: null, ending: true });
    expect(JSON.parse(String(inner['failure']))).to.include({ class: 'ValueError', module: 'builtins', message: 'no' });
  });

  it('has an id of its own each time, also as the message id unless strict', () => {
    const [one, other] = [1, 2].map((value) => codec.encodeReply(request, { kind: 'result', value }));
    expect(one?.messageId).to.be.a('string').and.not.equal(other?.messageId);
    const { body: _, ...outside } = strictly.encodeReply(request, { kind: 'result', value: 1 });
    expect(outside).to.deep.equal({ contentType: 'application/json', contentEncoding: 'utf-8', headers: {} });
  });

  it('comes back as it was, falsy results included', () => {
    for (const value of [0, false, '', [], {}, null, 'x', Number.NaN, 2n ** 60n]) {
      const reply: Reply = { kind: 'result', value };
      expect(codec.decodeReply(codec.encodeReply(request, reply))).to.deep.equal(reply);
    }
    expect(codec.decodeReply(codec.encodeReply(request, { kind: 'heartbeat' }))).to.deep.equal({ kind: 'heartbeat' });
  });

  it('that does not end is a sign of life without a result, else a part', () => {
    expect(replyIn({ result: null, failure: null, ending: false })).to.deep.equal({ kind: 'heartbeat' });
    for (const result of [0, false, '', { a: 1 }])
      expect(replyIn({ result, failure: null, ending: false })).to.deep.equal({ kind: 'partial', value: result });
  });

  it('may lack failure and ending, and then is a result', () => {
    expect(replyIn({ result: 1 })).to.deep.equal({ kind: 'result', value: 1 });
    expect(replyIn({})).to.deep.equal({ kind: 'result', value: null });
    expect(replyIn({ result: 1, failure: '', ending: true })).to.deep.equal({ kind: 'result', value: 1 });
  });

  it('refuses a result that has no form', () => {
    for (const value of [new Uint8Array(2), { deep: () => 1 }, new Map(), Symbol('s')])
      expect(() => codec.encodeReply(request, { kind: 'result', value })).to.throw(MalformedError);
  });

  it('is matched by its _msg_id, whatever its properties say', () => {
    expect(correlate({ ...enveloped({ _msg_id: 'i', result: 1 }), correlationId: 'other' })).to.equal('i');
    for (const inner of [{}, { _msg_id: 7 }, { _msg_id: null }])
      expect(correlate(enveloped(inner))).to.equal(undefined);
    expect(() => correlate({ body: Buffer.from('{') })).to.throw(MalformedError);
  });
});
