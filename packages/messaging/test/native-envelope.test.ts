import { type Message, MessagingError } from '@posthorn/core';
import { expect } from 'chai';
import fc from 'fast-check';
import { nativeEnvelope } from '../src/native-envelope.ts';
import { ENVELOPE, envelope, thrownBy } from './support.ts';

const { encode, decode, recognises } = nativeEnvelope;

function message(body: unknown): Message {
  return { body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)) };
}

describe('the native form of an envelope', () => {
  it('is its fields as a JSON object, under the id of the message', () => {
    const { body, ...rest } = encode(ENVELOPE);
    expect(JSON.parse(Buffer.from(body).toString())).to.deep.equal(ENVELOPE);
    expect(rest).to.deep.equal({
      contentType: 'application/vnd.posthorn.message+json',
      messageId: ENVELOPE.message_id,
    });
  });

  it('G-06: comes back as it was, with any JSON value as its payload and with further fields', () => {
    fc.assert(
      fc.property(
        fc.record({
          payload: fc.jsonValue(),
          message_type: fc.string({ minLength: 1 }),
          publisher_id: fc.string({ minLength: 1, unit: 'binary' }),
          trace: fc.jsonValue(),
        }),
        (more) => {
          // As JSON has it: no negative zero.
          const expected = JSON.parse(JSON.stringify(envelope(more)));
          expect(decode(encode(envelope(more)))).to.deep.equal(expected);
        },
      ),
      { numRuns: 100 },
    );
  });

  for (const payload of [null, false, 0, '', [], {}])
    it(`G-06: carries the payload ${JSON.stringify(payload)}`, () => {
      expect(decode(encode(envelope({ payload })))).to.deep.equal(envelope({ payload }));
    });

  it('keeps a member called __proto__ as one like any other', () => {
    const { body } = encode(ENVELOPE);
    const text = Buffer.from(body).toString().replace('{', '{"__proto__":{"admin":true},');
    const decoded = decode(message(text));
    expect(Object.getPrototypeOf(decoded)).to.equal(Object.prototype);
    expect(Object.keys(decoded)).to.include('__proto__');
    expect(decoded).to.not.have.property('admin');
  });

  it('is recognised by its content type alone', () => {
    expect(recognises(encode(ENVELOPE))).to.equal(true);
    const types = ['Application/vnd.posthorn.message+JSON; charset=utf-8', 'application/json', '', undefined];
    const found = types.map((contentType) => recognises({ body: Buffer.of(), ...(contentType && { contentType }) }));
    expect(found).to.deep.equal([true, false, false, false]);
  });

  it('is refused with the name of the field that is missing or wrong', () => {
    const bad: Readonly<Record<string, readonly unknown[]>> = {
      message_id: [undefined, '', 7, null],
      publisher_id: [undefined, '', {}],
      timestamp: [undefined, 1, 'now', '2026-11-20', '2026-11-20T22:13:31Z', '2026-11-20T22:13:31.688+01:00'],
      message_type: [undefined, '', []],
      message_type_version: [undefined, '', '1', 'v1.0', '1.0 ', 1.5, '1.99999999999'],
      payload: [undefined],
      signature: ['', 5, null],
      expires_at: ['soon', 0, '2026-02-30T00:00:00.000Z'],
      reply_to: ['', false],
    };
    for (const [name, values] of Object.entries(bad))
      for (const value of values) {
        const error = thrownBy(() => decode(message({ ...ENVELOPE, [name]: value })));
        expect(error, name).to.be.instanceOf(MessagingError).with.property('code', 'MALFORMED');
        expect(error.message).to.include(name);
      }
  });

  it('is refused when its body is no JSON object, or no UTF-8', () => {
    const good = Buffer.from(encode(ENVELOPE).body);
    const bodies = ['', '{', 'null', '[]', '"text"', good.subarray(1), Buffer.concat([good, Buffer.of(0xff)])];
    const latin1 = Buffer.from(good.toString().replace('active', 'aktiv ü'), 'latin1');
    for (const body of [...bodies, latin1]) {
      const error = thrownBy(() => decode({ body: Buffer.from(body) }));
      expect(error).to.be.instanceOf(MessagingError).with.property('code', 'MALFORMED');
    }
  });

  it('refuses a payload that JSON has no form for', () => {
    expect(thrownBy(() => encode(envelope({ payload: { n: 1n } })))).to.have.property('code', 'MALFORMED');
  });
});
