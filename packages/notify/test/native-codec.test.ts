import { type HeaderValue, json, type Message, MessagingError } from '@posthorn/core';
import { expect } from 'chai';
import fc from 'fast-check';
import { nativeNotifyCodec } from '../src/native-codec.ts';
import { PRIORITIES } from '../src/priorities.ts';
import { notification, thrownBy } from './support.ts';

const codec = nativeNotifyCodec([json]);

describe('the native form of a notification', () => {
  it('is the payload as the body, and the rest as headers', () => {
    const { body, ...message } = codec.encode(notification({ headers: { trace: 't' } }));
    expect(JSON.parse(Buffer.from(body).toString())).to.deep.equal({ id: 12, state: 'active', vcpus: 2 });
    expect(message).to.deep.equal({
      messageId: notification().id,
      contentType: 'application/json',
      headers: {
        trace: 't',
        'ph-publisher': 'compute.host1',
        'ph-event': 'compute.instance.create.end',
        'ph-priority': 'info',
        'ph-timestamp': '2026-11-20T22:13:31.688Z',
        'ph-context': '{"user_id":"alice"}',
      },
    });
  });

  it('comes back as it was', () => {
    fc.assert(
      fc.property(
        fc.record({
          payload: fc.jsonValue(),
          eventType: fc.string({ minLength: 1 }),
          publisherId: fc.string({ minLength: 1 }),
          priority: fc.constantFrom(...PRIORITIES),
          context: fc.dictionary(fc.constantFrom('user_id', 'roles', 'is_admin'), fc.string()),
          timestamp: fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31') }),
        }),
        (more) => {
          const sent = notification({ ...more, headers: { trace: 't' } });
          // As JSON has it: no negative zero.
          const expected = { ...sent, payload: JSON.parse(JSON.stringify(sent.payload)), context: { ...sent.context } };
          expect(codec.decode(codec.encode(sent))).to.deep.equal(expected);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('shows no header of ours, those of retries included', () => {
    const message = codec.encode(notification());
    const { headers } = codec.decode({ ...message, headers: { ...message.headers, 'ph-attempts': 2, own: 1 } });
    expect(headers).to.deep.equal({ own: 1 });
  });

  it('is refused when it lacks something, or something is wrong', () => {
    const good = codec.encode(notification());
    const { messageId: _, ...anonymous } = good;
    const withHeaders = (more: Readonly<Record<string, HeaderValue>>): Message => ({
      ...good,
      headers: { ...good.headers, ...more },
    });
    const bad: Readonly<Record<string, Message>> = {
      'no id': anonymous,
      'no headers': { ...good, headers: {} },
      'another priority': withHeaders({ 'ph-priority': 'shout' }),
      'an inherited name as priority': withHeaders({ 'ph-priority': 'toString' }),
      'a publisher that is no text': withHeaders({ 'ph-publisher': 7 }),
      'no time': withHeaders({ 'ph-timestamp': 'yesterday' }),
      'a context that is no JSON': withHeaders({ 'ph-context': '{' }),
      'a context that is no object': withHeaders({ 'ph-context': '[]' }),
      'another content': { ...good, contentType: 'text/plain' },
      'half a body': { ...good, body: Buffer.from('{"a"') },
    };
    for (const [what, message] of Object.entries(bad)) {
      const error = thrownBy(() => codec.decode(message));
      expect(error, what).to.be.instanceOf(MessagingError).with.property('code', 'MALFORMED');
    }
  });

  it('refuses a payload that JSON has no form for', () => {
    const error = thrownBy(() => codec.encode(notification({ payload: { n: 1n } })));
    expect(error).to.be.instanceOf(MessagingError).with.property('code', 'MALFORMED');
  });
});
