import type { HeaderValue, Message } from '@posthorn/core';
import { expect } from 'chai';
import fc from 'fast-check';
import rhea from 'rhea';
import { decode } from '../src/decoder.ts';
import { Encoder, type Envelope } from '../src/encoder.ts';
import { decodeFully } from '../src/rhea.ts';

const PLAIN: Envelope = { durable: false, body: 'data' };

/** Text with whole code points, in all the lengths that have a form of their own. */
const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.constantFrom(
    '',
    'x'.repeat(85),
    'x'.repeat(86),
    'x'.repeat(255),
    'x'.repeat(256),
    '鳥'.repeat(85),
    '鳥'.repeat(86),
  ),
);
const numbers = fc.oneof(
  fc.constantFrom(0, -0, 1, -1, 127, 128, -128, -129, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true }),
);
const headers: fc.Arbitrary<Record<string, HeaderValue>> = fc.dictionary(
  texts.filter((name) => name !== '__proto__'),
  fc.oneof(texts, numbers, fc.boolean()),
  { maxKeys: 12 },
);
/** MIME types and encodings are symbols, which are ASCII. */
const symbols = fc.string({ unit: fc.constantFrom(...'abc/;=-+.1'), minLength: 1, maxLength: 300 });
const bodies = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.constantFrom(new Uint8Array(255), new Uint8Array(256), new Uint8Array(70_000)),
);

const messages: fc.Arbitrary<Message> = fc.record(
  {
    body: bodies,
    type: texts,
    messageId: texts,
    correlationId: texts,
    replyTo: texts,
    contentType: symbols,
    contentEncoding: symbols,
    ttlMs: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    headers,
  },
  { requiredKeys: ['body'] },
);
const envelopes: fc.Arbitrary<Envelope> = fc.record({
  durable: fc.boolean(),
  priority: fc.option(fc.integer({ min: 0, max: 255 }), { nil: undefined }),
  to: fc.option(texts, { nil: undefined }),
  body: fc.constant('data' as const),
});

/** What a peer gets that is not us. */
interface Foreign {
  readonly [field: string]: unknown;
  readonly body?: { readonly content?: Buffer } | undefined;
  readonly application_properties?: Readonly<Record<string, unknown>>;
}

function foreign(bytes: Buffer): Foreign {
  return decodeFully(bytes) as Foreign;
}

/** The `to` and reply-to go by the envelope, the rest by the message. */
function encode(message: Message, envelope: Envelope = PLAIN): Buffer {
  return new Encoder().encode(message, { ...envelope, replyTo: message.replyTo });
}

describe('the encoder', () => {
  it("writes what rhea's decoder reads, for any message", () => {
    fc.assert(
      fc.property(messages, envelopes, (message, envelope) => {
        const read = foreign(encode(message, envelope));
        expect(Buffer.from(read.body?.content ?? []).equals(Buffer.from(message.body))).to.equal(true);
        expect(read['subject']).to.equal(message.type);
        expect(read['message_id']).to.equal(message.messageId);
        expect(read['correlation_id']).to.equal(message.correlationId);
        expect(read['reply_to']).to.equal(message.replyTo);
        expect(read['content_type']).to.equal(message.contentType);
        expect(read['content_encoding']).to.equal(message.contentEncoding);
        expect(read['ttl']).to.equal(message.ttlMs);
        expect(read['to']).to.equal(envelope.to);
        // rhea reads a missing header as nothing, and a header without priority as the default.
        if (envelope.priority !== undefined) expect(read['priority']).to.equal(envelope.priority);
        expect(Boolean(read['durable'])).to.equal(envelope.durable);
        const { headers: sent = {} } = message;
        const got = read.application_properties ?? {};
        expect(Object.keys(got).sort()).to.deep.equal(Object.keys(sent).sort());
        for (const [name, value] of Object.entries(sent)) expect(Object.is(got[name], value), name).to.equal(true);
      }),
      { numRuns: 300 },
    );
  });

  it('writes what our decoder reads, for any message', () => {
    fc.assert(
      fc.property(messages, envelopes, (message, envelope) => {
        const { message: read, to, replyTo } = decode(encode(message, envelope));
        const { body, headers: sent, replyTo: sentReplyTo, ...rest } = message;
        const { body: gotBody, headers: got, ...gotRest } = read;
        expect(Buffer.from(gotBody).equals(Buffer.from(body))).to.equal(true);
        expect(gotRest).to.deep.equal(rest);
        expect(got ?? {}).to.deep.equal(sent ?? {});
        expect([to, replyTo]).to.deep.equal([envelope.to, sentReplyTo]);
      }),
      { numRuns: 300 },
    );
  });

  it('writes the same message the same way, whatever it wrote before', () => {
    const encoder = new Encoder();
    fc.assert(
      fc.property(messages, envelopes, (message, envelope) => {
        const fresh = new Encoder().encode(message, envelope);
        expect(encoder.encode(message, envelope).equals(fresh)).to.equal(true);
      }),
    );
  });

  it('writes no section for what a message does not have', () => {
    const bytes = encode({ body: Buffer.from('x') });
    expect(bytes.toString('hex')).to.equal('005375a00178');
  });

  it('leaves out headers that are undefined', () => {
    const sparse = { body: Buffer.from('x'), headers: { a: 1, b: undefined } } as unknown as Message;
    expect(decode(encode(sparse)).message.headers).to.deep.equal({ a: 1 });
  });

  it('copies the body', () => {
    const body = Buffer.from('before');
    const bytes = encode({ body });
    body.fill('x');
    expect(Buffer.from(decode(bytes).message.body).toString()).to.equal('before');
  });

  it('writes text as an amqp-value where peers want that, and as null where there is none', () => {
    const text = encode({ body: Buffer.from('grün') }, { durable: false, body: 'string' });
    expect(decodeFully(text).body).to.equal('grün');
    const nothing = encode({ body: Buffer.alloc(0) }, { durable: false, body: 'string' });
    expect(decodeFully(nothing).body).to.equal(null);
    expect(decode(nothing).message.body).to.have.lengthOf(0);
  });

  it('writes annotations under symbols, with lists of texts', () => {
    const annotations = { 'x-opt-a': 'text', 'x-opt-n': 5, 'x-opt-list': ['a', 'grün'], 'x-opt-yes': true };
    const bytes = encode({ body: Buffer.from('x') }, { ...PLAIN, annotations });
    expect(decode(bytes).annotations).to.deep.equal(annotations);
    expect(foreign(bytes)['message_annotations']).to.deep.equal(annotations);
  });

  it('writes the type as the annotation that the peer has for it, beside others, and leaves the subject alone', () => {
    const message = { body: Buffer.from('x'), type: 'reboot' };
    for (const annotations of [undefined, { 'x-opt-a': 'text' }]) {
      const bytes = encode(message, { ...PLAIN, annotations, typeAnnotation: 'x-basic-type' });
      expect(foreign(bytes)).to.deep.include({ message_annotations: { ...annotations, 'x-basic-type': 'reboot' } });
      expect(foreign(bytes)['subject']).to.equal(undefined);
      expect(decode(bytes, 'x-basic-type').message.type).to.equal('reboot');
      expect(decode(bytes).message).not.to.have.property('type');
    }
  });

  it('rounds lifetimes up, and has a longest one', () => {
    expect(decode(encode({ body: Buffer.from('x'), ttlMs: 0.25 })).message.ttlMs).to.equal(1);
    expect(decode(encode({ body: Buffer.from('x'), ttlMs: 1e15 })).message.ttlMs).to.equal(2 ** 32 - 1);
  });
});

describe('the decoder', () => {
  /** As other clients write it. */
  const written = (message: object): Buffer => rhea.message.encode(message as never);

  it('reads what rhea writes', () => {
    const bytes = written({
      message_id: 'id',
      correlation_id: 'c',
      reply_to: 'r',
      to: 't',
      subject: 's',
      content_type: 'application/json',
      content_encoding: 'gzip',
      ttl: 5,
      delivery_count: 2,
      first_acquirer: false,
      application_properties: { text: 'x', number: 1.5, yes: true, list: [1, 2], nothing: null },
      message_annotations: { 'x-opt-a': 'b' },
      delivery_annotations: { d: 1 },
      footer: { f: 1 },
      body: rhea.message.data_section(Buffer.from('body')),
    });
    const received = decode(bytes);
    expect({ ...received, message: { ...received.message, body: String(received.message.body) } }).to.deep.include({
      message: {
        body: 'body',
        messageId: 'id',
        correlationId: 'c',
        contentType: 'application/json',
        contentEncoding: 'gzip',
        type: 's',
        ttlMs: 5,
        headers: { text: 'x', number: 1.5, yes: true },
      },
      redelivered: true,
      deliveryCount: 2,
      to: 't',
      replyTo: 'r',
      annotations: { 'x-opt-a': 'b' },
    });
  });

  it('takes no subject for the type where the peer has an annotation for that', () => {
    expect(decode(written({ subject: 'key', body: 'x' }), 'x-basic-type').message).not.to.have.property('type');
  });

  it('joins data sections, and takes text and binary values as bytes', () => {
    const read = (body: unknown): string => Buffer.from(decode(written({ body })).message.body).toString();
    expect(read(rhea.message.data_sections([Buffer.from('a'), Buffer.from('b')] as never))).to.equal('ab');
    expect(read('short')).to.equal('short');
    expect(read('x'.repeat(300))).to.equal('x'.repeat(300));
    expect(read(Buffer.from('bytes'))).to.equal('bytes');
    expect(read(null)).to.equal('');
  });

  it('hands over other bodies as they are encoded', () => {
    const { body } = decode(written({ body: { a: 1 } })).message;
    expect([...body].slice(0, 1)).to.deep.equal([0xd1]);
  });

  it('reads ids that are no texts', () => {
    const uuid = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';
    const id = (message_id: unknown): string | undefined =>
      decode(written({ message_id, body: rhea.message.data_section(Buffer.from('x')) })).message.messageId;
    expect(id(rhea.types.wrap_ulong(42))).to.equal('42');
    expect(id(rhea.string_to_uuid(uuid))).to.equal(uuid);
  });

  it('throws MALFORMED at any bytes that are no message, and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (bytes) => expectSound(Buffer.from(bytes))),
      { numRuns: 2_000 },
    );
  });

  it('throws MALFORMED at messages with a changed byte or a missing end, or reads them, and nothing else', () => {
    fc.assert(
      fc.property(messages, fc.nat(), fc.nat({ max: 255 }), (message, at, byte) => {
        const bytes = encode(message, { ...PLAIN, annotations: { a: 'b' } });
        expectSound(bytes.subarray(0, at % bytes.length));
        bytes[at % bytes.length] = byte;
        expectSound(bytes);
      }),
      { numRuns: 1_000 },
    );
  });

  it('does not recurse without end, nor allocate for items that are not there', () => {
    expectMalformed(Buffer.concat([Buffer.from('005377', 'hex'), Buffer.alloc(10_000, 'c0ff01', 'hex')]));
    expectMalformed(Buffer.from('005377d000000004ffffffff', 'hex'));
    expectMalformed(Buffer.concat([Buffer.from('0053', 'hex'), Buffer.alloc(1_000_000)]));
  });

  it('keeps a header that is called __proto__ a header', () => {
    const headers = JSON.parse('{"__proto__":"x"}');
    expect(Object.entries(decode(encode({ body: Buffer.from('x'), headers })).message.headers ?? {})).to.deep.equal([
      ['__proto__', 'x'],
    ]);
  });
});

function expectSound(bytes: Buffer): void {
  try {
    decode(bytes);
  } catch (error) {
    expect(error).to.have.property('code', 'MALFORMED');
  }
}

function expectMalformed(bytes: Buffer): void {
  expect(() => decode(bytes))
    .to.throw()
    .with.property('code', 'MALFORMED');
}
