import { readdirSync, readFileSync } from 'node:fs';
import { type Message, MessagingError, newId } from '@posthorn/core';
import type { Notification } from '@posthorn/notify';
import { expect } from 'chai';
import { type NotificationFormat, osloNotify } from '../src/notify-codec.ts';
import { enveloped, innerOf } from './support.ts';

const home = new URL('fixtures/notifications/', import.meta.url);

const NOTIFICATION: Notification = {
  id: '3cf20014-1b51-4c14-9127-77c8c62e2c95',
  publisherId: 'compute.host1',
  eventType: 'compute.instance.create',
  priority: 'warn',
  payload: { id: 12, name: 'vm ✓' },
  timestamp: new Date('2026-11-20T22:13:31.688Z'),
  context: { user_id: 'u1', roles: ['admin'] },
};

const INNER = {
  message_id: NOTIFICATION.id,
  publisher_id: 'compute.host1',
  event_type: 'compute.instance.create',
  priority: 'WARN',
  payload: { id: 12, name: 'vm ✓' },
  timestamp: '2026-11-20 22:13:31.688000',
  _context_user_id: 'u1',
  _context_roles: ['admin'],
};

const codec = (format: NotificationFormat = 'v2', strict = false) => osloNotify(format, strict);
const decoded = (more: object): Notification => codec().decode({ ...enveloped({ ...INNER, ...more }), headers: {} });

function codeOf(message: Message): unknown {
  try {
    codec().decode(message);
  } catch (error) {
    return error instanceof MessagingError ? error.code : error;
  }
  return 'understood';
}

describe('an oslo notification', () => {
  for (const file of readdirSync(home))
    it(`of oslo.messaging ${file.replace('.json', '')} is understood, in both formats`, () => {
      const messages: Readonly<Record<string, { decoded: Record<string, unknown>; properties: object }>> = JSON.parse(
        readFileSync(new URL(file, home), 'utf8'),
      );
      for (const [kind, { decoded: inner }] of Object.entries(messages)) {
        const bare: Message = { body: Buffer.from(JSON.stringify(inner)), headers: {} };
        const message = kind.startsWith('v1') ? bare : { ...enveloped(inner), headers: {} };
        const { timestamp, ...rest } = codec().decode(message);
        expect(rest, kind).to.deep.equal({
          id: inner['message_id'],
          publisherId: 'lab.host1',
          eventType: inner['event_type'],
          priority: kind.replace(/^v\d-/, ''),
          payload: inner['payload'],
          context: '_context_user' in inner ? { user: 'u1', request_id: 'req-2' } : {},
          headers: {},
        });
        expect(timestamp.toISOString().replace('T', ' ').replace('Z', '')).to.equal(
          String(inner['timestamp']).slice(0, 23),
        );
      }
    });

  it('is an envelope, or bare', () => {
    const enveloping = innerOf(codec('v2').encode(NOTIFICATION));
    const bare = JSON.parse(Buffer.from(codec('v1').encode(NOTIFICATION).body).toString());
    for (const { _unique_id, ...inner } of [enveloping, bare]) {
      expect(inner).to.deep.equal(INNER);
      expect(_unique_id).to.match(/^[0-9a-f]{32}$/);
    }
  });

  it('carries headers and a message id, unless strict', () => {
    const notification = { ...NOTIFICATION, headers: { traceparent: 't' } };
    const { headers, messageId, ...message } = codec().encode(notification);
    expect(headers).to.deep.equal({ traceparent: 't' });
    expect(messageId).to.equal(innerOf({ ...message })['_unique_id']);
    const strict = codec('v2', true).encode(notification);
    expect([strict.headers, strict.messageId]).to.deep.equal([{}, undefined]);
  });

  it('comes back as it was, without the headers of compression and retries', () => {
    for (const format of ['v1', 'v2'] as const) {
      const message = codec(format).encode({ ...NOTIFICATION, headers: { trace: 't' } });
      const marked = { ...message, headers: { ...message.headers, 'ph-attempts': 2, 'ph-origin': 'topic x/y' } };
      expect(codec().decode(marked)).to.deep.equal({ ...NOTIFICATION, headers: { trace: 't' } });
    }
  });

  it('takes every form of time that Python writes, as UTC', () => {
    for (const [written, read] of [
      ['2026-11-20 22:13:31.688801', '2026-11-20T22:13:31.688Z'],
      ['2026-11-20 22:13:31', '2026-11-20T22:13:31.000Z'],
      ['2026-11-20T22:13:31.688801', '2026-11-20T22:13:31.688Z'],
      ['2026-11-20T22:13:31.688801Z', '2026-11-20T22:13:31.688Z'],
      ['2026-11-20 22:13:31.688801+00:00', '2026-11-20T22:13:31.688Z'],
      ['2026-11-20 23:13:31+01:00', '2026-11-20T22:13:31.000Z'],
    ])
      expect(decoded({ timestamp: written }).timestamp.toISOString(), written).to.equal(read);
  });

  it('takes priorities as Python writes them, and a missing publisher', () => {
    expect(decoded({ priority: 'WARNING' }).priority).to.equal('warn');
    expect(decoded({ priority: 'sample' }).priority).to.equal('sample');
    expect(decoded({ publisher_id: null }).publisherId).to.equal('');
  });

  it('keeps what JSON has no form for, as Python does', () => {
    const payload = { nan: Number.NaN, big: 2n ** 70n };
    expect(codec().decode(codec().encode({ ...NOTIFICATION, payload })).payload).to.deep.equal(payload);
  });

  it('is refused when it is malformed', () => {
    const inner = (more: object): Message => enveloped({ ...INNER, ...more });
    const bad: Readonly<Record<string, Message>> = {
      'no JSON': { body: Buffer.from('{') },
      'no object': { body: Buffer.from('[]') },
      'another envelope': enveloped(INNER, '3.0'),
      'another priority': inner({ priority: 'SHOUT' }),
      'no priority': inner({ priority: undefined }),
      'no event type': inner({ event_type: undefined }),
      'no id': inner({ message_id: 7 }),
      'no time': inner({ timestamp: 'yesterday' }),
      'a publisher that is no text': inner({ publisher_id: {} }),
      'unknown compression': { ...inner({}), headers: { compression: newId() } },
    };
    for (const [what, message] of Object.entries(bad)) expect(codeOf(message), what).to.equal('MALFORMED');
  });
});
