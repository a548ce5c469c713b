import { type HeaderValue, type Message, MessagingError } from '@posthorn/core';
import { expect } from 'chai';
import fc from 'fast-check';
import sinon from 'sinon';
import { cloudEvents } from '../src/cloud-events.ts';
import type { Envelope } from '../src/envelope.ts';
import { ENVELOPE, envelope, thrownBy } from './support.ts';

const structured = cloudEvents({ mode: 'structured' });
const binary = cloudEvents({ mode: 'binary' });

const FULL = envelope({
  signature: 'hmac-sha256:k:00ff',
  expires_at: '2026-11-20T23:13:31.688Z',
  reply_to: 'answers-1',
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  sampledrate: 30,
  urgent: true,
});

/** The event that FULL is, but for its data. */
const ATTRIBUTES = {
  specversion: '1.0',
  id: ENVELOPE.message_id,
  source: 'compute.host1',
  type: 'compute.instance.create',
  time: '2026-11-20T22:13:31.688Z',
  posthornversion: '1.0',
  posthornsignature: 'hmac-sha256:k:00ff',
  expirytime: '2026-11-20T23:13:31.688Z',
  posthornreplyto: 'answers-1',
  traceparent: FULL['traceparent'],
  sampledrate: 30,
  urgent: true,
};

function event(fields: Readonly<Record<string, unknown>>, contentType = 'application/cloudevents+json'): Message {
  return { contentType, body: Buffer.from(JSON.stringify({ ...FOREIGN, ...fields })) };
}

function binaryEvent(body: string | Uint8Array, contentType?: string, more: Record<string, HeaderValue> = {}): Message {
  const headers = Object.entries({ ...FOREIGN, ...more }).map(([name, value]) => [`cloudEvents:${name}`, value]);
  return { body: Buffer.from(body), headers: Object.fromEntries(headers), ...(contentType && { contentType }) };
}

/** The least that another's event has. */
const FOREIGN = { specversion: '1.0', id: 'A234-1234-1234', source: '/mycontext', type: 'com.example.someevent' };

const MADE = '2018-04-05T17:31:00.000Z';

function foreign(more: Readonly<Record<string, unknown>>): Envelope {
  return {
    message_id: 'A234-1234-1234',
    publisher_id: '/mycontext',
    timestamp: MADE,
    message_type: 'com.example.someevent',
    message_type_version: '1.0',
    payload: null,
    ...more,
  };
}

describe('an envelope as a CloudEvent', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = sinon.useFakeTimers({ now: Date.parse(MADE), toFake: ['Date'] });
  });
  afterEach(() => clock.restore());

  it('is one JSON object in the structured mode', () => {
    const { body, ...rest } = structured.encode(FULL);
    expect(JSON.parse(Buffer.from(body).toString())).to.deep.equal({
      ...ATTRIBUTES,
      datacontenttype: 'application/json',
      data: FULL.payload,
    });
    expect(rest).to.deep.equal({ contentType: 'application/cloudevents+json', messageId: FULL.message_id });
  });

  it('is headers and the payload in the binary mode', () => {
    const { body, ...rest } = binary.encode(FULL);
    expect(JSON.parse(Buffer.from(body).toString())).to.deep.equal(FULL.payload);
    const headers = Object.entries(ATTRIBUTES).map(([name, value]) => [`cloudEvents_${name}`, value]);
    expect(rest).to.deep.equal({
      contentType: 'application/json',
      messageId: FULL.message_id,
      headers: Object.fromEntries(headers),
    });
  });

  for (const [mode, codec] of Object.entries({ structured, binary })) {
    it(`comes back as it was from the ${mode} mode, whichever mode decodes`, () => {
      fc.assert(
        fc.property(fc.jsonValue(), fc.boolean(), (payload, full) => {
          // As JSON has it: no negative zero.
          const sent = { ...(full ? FULL : ENVELOPE), payload: JSON.parse(JSON.stringify(payload)) };
          for (const decoder of [structured, binary]) {
            expect(decoder.recognises(codec.encode(sent))).to.equal(true);
            expect(decoder.decode(codec.encode(sent))).to.deep.equal(sent);
          }
        }),
        { numRuns: 50 },
      );
    });

    it(`refuses in the ${mode} mode what CloudEvents cannot carry, naming the field`, () => {
      const bad: Readonly<Record<string, Partial<Envelope>>> = {
        publisher_id: { publisher_id: 'compute host' },
        type: { message_type: 'line\nend' },
        posthornreplyto: { reply_to: '\ud800' },
        trace_id: { trace_id: 'x' },
        Tenant: { Tenant: 'x' },
        data: { data: 1 },
        expirytime: { expirytime: 'x' },
        tenant: { tenant: { name: 'x' } },
        rate: { rate: 0.5 },
        count: { count: 2 ** 31 },
        nothing: { nothing: null },
      };
      for (const [name, more] of Object.entries(bad)) {
        const error = thrownBy(() => codec.encode(envelope(more)));
        expect(error, name).to.be.instanceOf(MessagingError).with.property('code', 'MALFORMED');
        expect(error.message).to.include(name);
      }
    });
  }

  it('is recognised by its content type, or by headers with either prefix', () => {
    const body = Buffer.of();
    const found: readonly (readonly [Message, boolean])[] = [
      [{ body, contentType: 'application/cloudevents+json' }, true],
      [{ body, contentType: 'Application/CloudEvents+JSON; charset=utf-8' }, true],
      [{ body, headers: { cloudEvents_specversion: '1.0' } }, true],
      [{ body, headers: { 'cloudEvents:specversion': '1.0' }, contentType: 'image/png' }, true],
      [{ body, contentType: 'application/cloudevents+avro', headers: { 'cloudEvents:specversion': '1.0' } }, false],
      [{ body, contentType: 'application/cloudevents-batch+json' }, false],
      [{ body, contentType: 'application/json', headers: { 'cloudEvents-specversion': '1.0' } }, false],
      [{ body }, false],
    ];
    for (const [message, expected] of found)
      expect(structured.recognises(message), JSON.stringify(message)).to.equal(expected);
  });
});

describe('a CloudEvent of others', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = sinon.useFakeTimers({ now: Date.parse(MADE), toFake: ['Date'] });
  });
  afterEach(() => clock.restore());

  it('comes with version 1.0, the moment of decoding and no payload where it has none of these', () => {
    expect(structured.decode(event({}))).to.deep.equal(foreign({}));
    expect(binary.decode(binaryEvent(''))).to.deep.equal(foreign({}));
  });

  it('comes with its extensions as further fields, and without what is null', () => {
    const extensions = { subject: 'larger-context', comexampleothervalue: 5, dataschema: 'https://example.com/s' };
    const decoded = structured.decode(event({ ...extensions, unsetextension: null, time: null, data: { a: 1 } }));
    expect(decoded).to.deep.equal(foreign({ ...extensions, payload: { a: 1 } }));
    expect(binary.decode(binaryEvent('1.5', 'application/json', extensions))).to.deep.equal(
      foreign({ ...extensions, payload: 1.5 }),
    );
  });

  it('cannot pass off extensions as fields of the envelope', () => {
    const extensions = { payload: 'x', signature: 'x', message_id: 'x', expires_at: 'x', reply_to: 'x' };
    expect(structured.decode(event(extensions))).to.deep.equal(foreign({}));
    expect(binary.decode(binaryEvent('', undefined, extensions))).to.deep.equal(foreign({}));
  });

  for (const [time, expected] of [
    ['2018-04-05T17:31:00Z', '2018-04-05T17:31:00.000Z'],
    ['2018-04-05t19:31:00.1234567+02:00', '2018-04-05T17:31:00.123Z'],
    ['2018-04-05T00:00:00-01:30', '2018-04-05T01:30:00.000Z'],
  ])
    it(`made at ${time} has the timestamp ${expected}`, () => {
      expect(structured.decode(event({ time }))).to.have.property('timestamp', expected);
      expect(binary.decode(binaryEvent('', undefined, { expirytime: time ?? '' }))).to.have.property(
        'expires_at',
        expected,
      );
    });

  it('may have any JSON as its data', () => {
    for (const data of [null, 0, '', 'I am just a string', '{"a":1}', [1], { a: 1 }]) {
      expect(structured.decode(event({ data }))).to.deep.equal(foreign({ payload: data }));
      const datacontenttype = 'application/vnd.example+json; charset=utf-8';
      expect(structured.decode(event({ data, datacontenttype }))).to.deep.equal(foreign({ payload: data }));
      const decoded = binary.decode(binaryEvent(JSON.stringify(data), datacontenttype));
      expect(decoded).to.deep.equal(foreign({ payload: data }));
    }
  });

  it('may have text as its data', () => {
    const xml = '<much wow="xml"/>';
    for (const datacontenttype of ['text/plain', 'application/xml', 'application/atom+xml; charset=utf-8']) {
      const expected = foreign({ payload: xml, datacontenttype });
      const base64 = Buffer.from(xml).toString('base64');
      expect(structured.decode(event({ data: xml, datacontenttype }))).to.deep.equal(expected);
      expect(structured.decode(event({ data_base64: base64, datacontenttype }))).to.deep.equal(expected);
      expect(binary.decode(binaryEvent(xml, datacontenttype))).to.deep.equal(expected);
    }
  });

  it('may have bytes as its data', () => {
    const bytes = Buffer.of(0, 255, 1);
    const expected = foreign({ payload: bytes, datacontenttype: 'image/png' });
    const data_base64 = bytes.toString('base64');
    expect(structured.decode(event({ data_base64, datacontenttype: 'image/png' }))).to.deep.equal(expected);
    expect(binary.decode(binaryEvent(bytes, 'image/png'))).to.deep.equal(expected);
    expect(binary.decode(binaryEvent(Buffer.of(0xe4), 'text/plain'))).to.have.deep.property('payload', Buffer.of(0xe4));
  });

  it('has bytes where nothing says what they are, even if they are JSON', () => {
    const bytes = Buffer.from('{ "xyz": 123 }');
    expect(structured.decode(event({ data_base64: 'eyAieHl6IjogMTIzIH0=' }))).to.deep.equal(
      foreign({ payload: bytes }),
    );
    expect(binary.decode(binaryEvent(bytes))).to.deep.equal(foreign({ payload: bytes }));
  });

  it('has JSON in its bytes where its content type says so', () => {
    const decoded = structured.decode(
      event({ data_base64: 'eyAieHl6IjogMTIzIH0=', datacontenttype: 'application/json' }),
    );
    expect(decoded).to.deep.equal(foreign({ payload: { xyz: 123 } }));
  });

  it('is read by one prefix alone', () => {
    const message = binaryEvent('', undefined, { tenant: 'a' });
    const mixed = { ...message, headers: { ...message.headers, cloudEvents_tenant: 'b', tenant: 'c' } };
    expect(binary.decode(mixed)).to.deep.equal(foreign({ tenant: 'a' }));
  });

  it('is refused with the name of the attribute that is missing or wrong', () => {
    const bad: Readonly<Record<string, readonly unknown[]>> = {
      specversion: [undefined, '0.3', '1.1', 1],
      id: [undefined, null, '', 7],
      source: [undefined, null, '', {}],
      type: [undefined, null, '', []],
      time: ['', 'now', 5, '2018-04-05', '2018-13-05T17:31:00Z', '2018-04-05 17:31:00Z', '2018-04-05T17:31:00'],
      expirytime: ['soon', 0],
      datacontenttype: [7],
      data_base64: ['*', 'eyAieHl6IjogMTIzIH0', 'eyAieHl6IjogMTIzIH0==', 5, {}],
      posthornversion: ['1', 1, ''],
      posthornsignature: ['', 5],
      posthornreplyto: ['', false],
    };
    for (const [name, values] of Object.entries(bad))
      for (const value of values) {
        const error = thrownBy(() => structured.decode(event({ [name]: value })));
        expect(error, `${name} ${value}`).to.be.instanceOf(MessagingError).with.property('code', 'MALFORMED');
        expect(error.message).to.include(name);
      }
  });

  it('is refused where its body is not what it says', () => {
    const bad: readonly Message[] = [
      { contentType: 'application/cloudevents+json', body: Buffer.from('[]') },
      { contentType: 'application/cloudevents+json', body: Buffer.from('{') },
      event({ data: 1, data_base64: 'AA==' }),
      event({ data_base64: 'AA==', datacontenttype: 'application/json' }),
      binaryEvent('{', 'application/json'),
      binaryEvent(Buffer.of(0x22, 0xff, 0x22), 'application/json'),
      { body: Buffer.from('{}') },
    ];
    for (const message of bad) {
      const error = thrownBy(() => structured.decode(message));
      expect(error, JSON.stringify(message)).to.be.instanceOf(MessagingError).with.property('code', 'MALFORMED');
    }
  });
});
