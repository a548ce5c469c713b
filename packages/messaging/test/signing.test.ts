import { createHmac, createPrivateKey } from 'node:crypto';
import { expect } from 'chai';
import { nativeEnvelope } from '../src/native-envelope.ts';
import { ed25519, hmacSha256, type Signer } from '../src/signer.ts';
import { parseSignature, sign, signedBytes } from '../src/signing.ts';
import { ENVELOPE, envelope, PLACE, thrownBy } from './support.ts';

const SECRET = 'a secret of the test';
const signer = hmacSha256({ keys: { '2026/a': SECRET }, signWith: '2026/a' });

/** What every implementation, in any language, must sign for that envelope at that place. */
const GOLDEN_TEXT =
  '[{"message_id":"3cf200141b514c14a12777c8c62e2c95","message_type":"compute.instance.create",' +
  '"message_type_version":"1.0","payload":{"id":12,"size":0.1,"state":"active","tags":["ä","😂"]},' +
  '"publisher_id":"compute.host1","signature":"hmac-sha256:2026%2Fa:",' +
  '"timestamp":"2026-11-20T22:13:31.688Z"},"compute","compute.instance.create"]';

describe('signing', () => {
  it('covers envelope, exchange and key, with the algorithm and the key id', () => {
    const signed = sign(ENVELOPE, PLACE, signer);
    expect(Buffer.from(signedBytes(signed, PLACE)).toString()).to.equal(GOLDEN_TEXT);
    const digest = createHmac('sha256', SECRET).update(GOLDEN_TEXT).digest('hex');
    expect(signed).to.deep.equal({ ...ENVELOPE, signature: `hmac-sha256:2026%2Fa:${digest}` });
  });

  it('gives the golden signature by HMAC-SHA256', () => {
    expect(sign(ENVELOPE, PLACE, signer).signature).to.equal(
      'hmac-sha256:2026%2Fa:d1c6781b81f9c5ed9135e49daeaf81aab7a737dd3ff3c1258dd6c5c1a18df397',
    );
  });

  it('gives the golden signature by Ed25519, with the key of test 1 of RFC 8032', () => {
    const key = {
      kty: 'OKP',
      crv: 'Ed25519',
      d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
      x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
    };
    const privateKey = createPrivateKey({ format: 'jwk', key });
    expect(sign(ENVELOPE, PLACE, ed25519({ privateKey, keyId: 'k' })).signature).to.equal(
      'ed25519:k:df84a414a58611e57a1297d994d3d6ee2944b8003481d5e8c25bf337f5e94fa964b4feed5bf8eb32362f3a4a88af50a488d2774b6bdb90c937c572ccf03c360e',
    );
  });

  it('differs with each field, the place included', () => {
    const variants = [
      sign(ENVELOPE, PLACE, signer),
      ...Object.keys(ENVELOPE).map((name) => sign(envelope({ [name]: 'other' }), PLACE, signer)),
      sign(envelope({ expires_at: '2026-11-20T22:13:31.688Z' }), PLACE, signer),
      sign(envelope({ reply_to: 'answers' }), PLACE, signer),
      sign(envelope({ tenant: 'a' }), PLACE, signer),
      sign(ENVELOPE, { ...PLACE, exchange: 'other' }, signer),
      sign(ENVELOPE, { ...PLACE, key: 'other' }, signer),
      sign(ENVELOPE, { exchange: '', key: 'compute' }, signer),
    ];
    expect(new Set(variants.map(({ signature }) => signature))).to.have.property('size', variants.length);
  });

  it('takes the place of an older signature', () => {
    const signed = sign(ENVELOPE, PLACE, signer);
    expect(sign(signed, PLACE, signer)).to.deep.equal(signed);
    expect(sign(envelope({ signature: 'rubbish' }), PLACE, signer)).to.deep.equal(signed);
  });

  it('signs what JSON makes of a payload, which is what travels', () => {
    class Counter {
      readonly name = 'volume';
      readonly none = undefined;
    }
    const signed = sign(envelope({ payload: { at: new Date(0), counter: new Counter() } }), PLACE, signer);
    expect(signed.payload).to.deep.equal({ at: '1970-01-01T00:00:00.000Z', counter: { name: 'volume' } });
    const arrived = nativeEnvelope.decode(nativeEnvelope.encode(signed));
    expect(signedBytes(arrived, PLACE)).to.deep.equal(signedBytes(signed, PLACE));
  });

  it('leaves the envelope as it was', () => {
    const given = Object.freeze(envelope());
    sign(given, PLACE, signer);
    expect(given).to.deep.equal(ENVELOPE);
  });

  it('refuses payloads that JSON cannot carry, and says where', () => {
    for (const bad of [1n, Number.NaN, () => 1, new Map(), '\ud800']) {
      const error = thrownBy(() => sign(envelope({ payload: { a: [bad] } }), PLACE, signer));
      expect(error).to.have.property('code', 'MALFORMED');
      expect(error.message).to.include('payload.a.0');
    }
  });

  it('refuses a signer whose signatures have no form of their own', () => {
    const loose = (more: Partial<Signer>): Signer => ({ algorithm: 'x', keyId: 'k', sign: () => 'ab', ...more });
    expect(sign(ENVELOPE, PLACE, loose({})).signature).to.equal('x:k:ab');
    for (const bad of [{ algorithm: 'X' }, { algorithm: 'a:b' }, { sign: () => 'AB' }, { sign: () => 'abc' }])
      expect(thrownBy(() => sign(ENVELOPE, PLACE, loose(bad)))).to.have.property('code', 'CONFIG');
  });
});

describe('the signature field', () => {
  it('is read into its parts', () => {
    const expected = { algorithm: 'hmac-sha256', keyId: '2026/a:ä', hex: '00ff' };
    expect(parseSignature('hmac-sha256:2026%2Fa%3A%C3%A4:00ff')).to.deep.equal(expected);
  });

  for (const [what, text] of Object.entries({
    'nothing at all': '',
    'no parts': 'hmac-sha256',
    'no key id': 'hmac-sha256::00ff',
    'no digits': 'hmac-sha256:k:',
    'half a byte': 'hmac-sha256:k:00f',
    'upper-case digits': 'hmac-sha256:k:00FF',
    'an upper-case algorithm': 'HMAC-sha256:k:00ff',
    'a part too many': 'hmac-sha256:k:00ff:00',
    'a line end': 'hmac-sha256:k:00ff\n',
    'a key id that is encoded otherwise': 'hmac-sha256:2026%2fa:00ff',
    'a key id that is encoded without need': 'hmac-sha256:%6b:00ff',
    'a key id that is not encoded': 'hmac-sha256:2026/a:00ff',
    'half an encoding': 'hmac-sha256:%2:00ff',
    'an encoding that is no UTF-8': 'hmac-sha256:%FF:00ff',
    'a very long key id': `hmac-sha256:${'k'.repeat(251)}:00ff`,
  }))
    it(`has no parts with ${what}`, () => {
      expect(parseSignature(text)).to.equal(undefined);
    });
});
