import type { Message } from '@posthorn/core';
import { expect } from 'chai';
import { pino } from 'pino';
import { decode, encode } from '../src/codec.ts';
import { EntryPoint, type ServiceRequest } from '../src/index.ts';
import { Masked } from '../src/redact.ts';
import { thrownBy } from './support.ts';

const REQUEST: ServiceRequest = {
  type: 'request',
  messageId: 'm',
  correlationId: 'c',
  requestId: 'r',
  source: new EntryPoint('hello', 'hello'),
  destination: new EntryPoint('world', 'world'),
  replyTo: new EntryPoint('hello'),
  headers: { trace: 'on' },
  context: { a: 1 },
  payload: { b: 2 },
};

const HEADERS = {
  trace: 'on',
  correlation_id: 'c',
  request_id: 'r',
  message_id: 'm',
  message_type: 'request',
  reply_to: 'hello',
  source: 'hello.hello',
  destination: 'world.world',
};

describe('the wire of services', () => {
  it('T-09: has seven headers and those of the application', () => {
    expect(encode(REQUEST).headers).to.deep.equal(HEADERS);
  });

  it('T-10: has payload and context as its body', () => {
    expect(Buffer.from(encode(REQUEST).body).toString()).to.equal('{"payload":{"b":2},"context":{"a":1}}');
  });

  for (const payload of [null, 42, 'text', [1], new Map()])
    it(`T-10: refuses the payload ${JSON.stringify(payload)} before it is sent`, () => {
      const wrong = { ...REQUEST, payload } as unknown as ServiceRequest;
      expect(() => encode(wrong)).to.throw(TypeError, 'the payload must be a plain object');
    });

  it('T-08: gives an immutable message with headers, context and payload', () => {
    const message = decode(encode(REQUEST));
    expect(message).to.deep.include({ type: 'request', messageId: 'm', correlationId: 'c', requestId: 'r' });
    expect([message.source, message.destination, message.replyTo].map(String)).to.deep.equal([
      'hello.hello',
      'world.world',
      'hello',
    ]);
    expect(message.headers).to.deep.equal(HEADERS);
    for (const part of [message, message.headers, message.context, message.payload, message.source])
      expect(Object.isFrozen(part)).to.equal(true);
  });

  it('T-12: gives a context that holds the payload, which wins', () => {
    const { context, payload } = decode(encode({ ...REQUEST, context: { a: 1, b: 'old' } }));
    expect(context).to.deep.equal({ a: 1, b: 2 });
    expect(payload).to.deep.equal({ b: 2 });
  });

  for (const name of ['correlation_id', 'request_id', 'message_id', 'message_type', 'source', 'destination'])
    it(`T-09: without ${name} is a FieldMustExist`, () => {
      const { [name]: _, ...headers } = { ...encode(REQUEST).headers };
      expect(thrownBy(() => decode({ ...encode(REQUEST), headers }))).to.include({
        name: 'FieldMustExist',
        number: 1001,
      });
    });

  it('T-09: without reply_to is a cast', () => {
    const { reply_to: _, ...headers } = { ...encode(REQUEST).headers };
    expect(decode({ ...encode(REQUEST), headers }).replyTo).to.equal(undefined);
  });

  const wrong: readonly (readonly [string, Partial<Message>, number])[] = [
    ['an unknown type', { headers: { ...HEADERS, message_type: 'question' } }, 1002],
    ['an empty source', { headers: { ...HEADERS, source: '' } }, 1003],
    ['a request to nobody', { headers: { ...HEADERS, destination: '' } }, 1003],
    ['a body that is not JSON', { body: Buffer.from('{') }, 1002],
    ['a body without a payload', { body: Buffer.from('{"context":{}}') }, 1002],
  ];
  for (const [what, part, number] of wrong)
    it(`T-09: ${what} is the error ${number}`, () => {
      expect(thrownBy(() => decode({ ...encode(REQUEST), ...part }))).to.include({ number });
    });

  it('T-46: masks secrets in what pino writes, in any case and depth, and leaves the message alone', () => {
    const lines: string[] = [];
    const log = pino({ level: 'debug' }, { write: (line) => void lines.push(line) });
    const message = {
      ...REQUEST,
      headers: { Authorization: 'Bearer s3cret', other: 'seen' },
      context: { request: { 'PROXY-authorization': 's3cret' } },
    };
    log.debug({ sent: new Masked(message) }, 'sending');
    expect(lines.join()).not.to.include('s3cret');
    expect(JSON.parse(lines[0] ?? '').sent).to.deep.include({
      headers: { Authorization: '***', other: 'seen' },
      context: { request: { 'PROXY-authorization': '***' } },
      destination: 'world.world',
    });
    expect(message.headers.Authorization).to.equal('Bearer s3cret');
  });
});
