import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { expect } from 'chai';
import { ed25519, hmacSha256 } from '../src/signer.ts';
import { thrownBy } from './support.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

describe('HMAC-SHA256', () => {
  // RFC 4231. Its other cases have secrets that are shorter than allowed here, or truncate.
  const cases: readonly (readonly [string, Buffer, Buffer, string])[] = [
    [
      '1',
      hex('0b'.repeat(20)),
      Buffer.from('Hi There'),
      'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
    ],
    [
      '3',
      hex('aa'.repeat(20)),
      hex('dd'.repeat(50)),
      '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe',
    ],
    [
      '6',
      hex('aa'.repeat(131)),
      Buffer.from('Test Using Larger Than Block-Size Key - Hash Key First'),
      '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
    ],
  ];
  for (const [number, secret, bytes, expected] of cases)
    it(`gives the digest of case ${number} of RFC 4231`, () => {
      expect(hmacSha256({ keys: { k: secret }, signWith: 'k' }).sign(bytes)).to.equal(expected);
    });

  const bytes = Buffer.from('a message');
  const old = 'the secret of last year';
  const now = 'the secret of this year';

  it('verifies with every key, and signs with one', () => {
    const before = hmacSha256({ keys: { old }, signWith: 'old' });
    const after = hmacSha256({ keys: { old, now }, signWith: 'now' });
    expect(after).to.include({ algorithm: 'hmac-sha256', keyId: 'now' });
    expect(after.verify('hmac-sha256', 'old', bytes, before.sign(bytes))).to.equal('valid');
    expect(after.verify('hmac-sha256', 'now', bytes, after.sign(bytes))).to.equal('valid');
    expect(before.verify('hmac-sha256', 'now', bytes, after.sign(bytes))).to.equal('unknown-key');
  });

  it('refuses the signature of another secret, other bytes, and one of another length', () => {
    const verifier = hmacSha256({ keys: { now } });
    const good = hmacSha256({ keys: { now }, signWith: 'now' }).sign(bytes);
    const forged = hmacSha256({ keys: { now: old }, signWith: 'now' }).sign(bytes);
    const wrong: readonly (readonly [Uint8Array, string])[] = [
      [bytes, forged],
      [Buffer.from('a messagE'), good],
      [bytes, good.slice(2)],
      [bytes, `${good}00`],
      [bytes, ''],
    ];
    for (const [given, signature] of wrong)
      expect(verifier.verify('hmac-sha256', 'now', given, signature)).to.equal('wrong-signature');
  });

  it('does not know keys of other algorithms, or names that objects inherit', () => {
    const verifier = hmacSha256({ keys: { now } });
    expect(verifier.verify('ed25519', 'now', bytes, '00')).to.equal('unknown-key');
    expect(verifier.verify('hmac-sha256', 'toString', bytes, '00')).to.equal('unknown-key');
  });

  it('cannot sign where no key is given to sign with', () => {
    expect(hmacSha256({ keys: { now } })).to.not.have.property('sign');
  });

  it('refuses secrets that are empty or short, no secrets, and unknown or unusable ids, without showing secrets', () => {
    const secret = 'fifteen bytes..';
    expect(thrownBy(() => hmacSha256({ keys: { weak: secret } })).message)
      .to.equal('keys.weak: a secret of 15 bytes is too short: at least 16')
      .and.not.include(secret);
    const bad: readonly (() => unknown)[] = [
      () => hmacSha256({ keys: { empty: '' } }),
      () => hmacSha256({ keys: { bytes: new Uint8Array(15) } }),
      () => hmacSha256({ keys: {} }),
      () => hmacSha256({ keys: { now }, signWith: 'other' }),
      () => hmacSha256({ keys: { now }, signWith: 'constructor' }),
      () => hmacSha256({ keys: { '': now } }),
      () => hmacSha256({ keys: { '\ud800': now } }),
    ];
    for (const act of bad) expect(thrownBy(act), String(act)).to.have.property('code', 'CONFIG');
  });
});

describe('Ed25519', () => {
  // RFC 8032, section 7.1.
  const cases: readonly (readonly [string, string, string, string, string])[] = [
    [
      '1',
      '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      '',
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    ],
    [
      '2',
      '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      '72',
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    ],
    [
      '3',
      'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
      'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
      'af82',
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
    ],
  ];
  for (const [number, secret, known, message, signature] of cases)
    it(`signs and verifies test ${number} of RFC 8032`, () => {
      const signer = ed25519({ privateKey: privateOf(secret, known), keyId: 'k' });
      expect(signer.sign(hex(message))).to.equal(signature);
      const verifier = ed25519({ publicKeys: { k: publicOf(known) } });
      expect(verifier.verify('ed25519', 'k', hex(message), signature)).to.equal('valid');
      expect(verifier.verify('ed25519', 'k', hex(`${message}00`), signature)).to.equal('wrong-signature');
      expect(verifier.verify('ed25519', 'k', hex(message), signature.slice(2))).to.equal('wrong-signature');
    });

  const [, secret, known] = cases[0] ?? [];
  const pair = generateKeyPairSync('ed25519');
  const pem = (key: KeyObject): string =>
    key.export({ format: 'pem', type: key.type === 'private' ? 'pkcs8' : 'spki' }).toString();

  it('takes keys as PEM', () => {
    const signer = ed25519({ privateKey: pem(pair.privateKey), keyId: 'k' });
    const verifier = ed25519({ publicKeys: { k: pem(pair.publicKey) } });
    const bytes = Buffer.from('a message');
    expect(verifier.verify('ed25519', 'k', bytes, signer.sign(bytes))).to.equal('valid');
  });

  it('verifies with every public key, its own included', () => {
    const other = generateKeyPairSync('ed25519');
    const both = ed25519({ publicKeys: { other: other.publicKey }, privateKey: pair.privateKey, keyId: 'own' });
    const bytes = Buffer.from('a message');
    const signed = ed25519({ privateKey: other.privateKey, keyId: 'other' }).sign(bytes);
    expect(both.verify('ed25519', 'own', bytes, both.sign(bytes))).to.equal('valid');
    expect(both.verify('ed25519', 'other', bytes, signed)).to.equal('valid');
    expect(both.verify('ed25519', 'own', bytes, signed)).to.equal('wrong-signature');
    expect(both.verify('ed25519', 'third', bytes, signed)).to.equal('unknown-key');
    expect(both.verify('hmac-sha256', 'own', bytes, both.sign(bytes))).to.equal('unknown-key');
  });

  it('refuses keys that are wrong, and shows none', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const { publicKey, privateKey } = pair;
    const bad: readonly (() => unknown)[] = [
      () => ed25519({}),
      () => ed25519({ privateKey }),
      () => ed25519({ privateKey, keyId: '' }),
      () => ed25519({ publicKeys: { k: publicKey }, keyId: 'k' }),
      () => ed25519({ publicKeys: { k: rsa.publicKey } }),
      () => ed25519({ publicKeys: { k: privateKey } }),
      () => ed25519({ privateKey: publicKey, keyId: 'k' }),
      () => ed25519({ publicKeys: { k: 'no PEM' } }),
      () => ed25519({ publicKeys: { k: publicOf(known) }, privateKey, keyId: 'k' }),
    ];
    for (const act of bad) expect(thrownBy(act), String(act)).to.have.property('code', 'CONFIG');
    expect(thrownBy(() => ed25519({ privateKey: secret ?? '', keyId: 'k' })).message).to.not.include(secret);
  });
});

function base64url(text = ''): string {
  return hex(text).toString('base64url');
}

function publicOf(known: string | undefined): KeyObject {
  return createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: base64url(known) } });
}

function privateOf(secret: string, known: string): KeyObject {
  const key = { kty: 'OKP', crv: 'Ed25519', d: base64url(secret), x: base64url(known) };
  return createPrivateKey({ format: 'jwk', key });
}
