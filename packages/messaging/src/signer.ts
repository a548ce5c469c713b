import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  sign as edSign,
  verify as edVerify,
  KeyObject,
  timingSafeEqual,
} from 'node:crypto';
import { ConfigError, messageOf } from '@posthorn/core';

/** Signs with one key. */
export interface Signer {
  /** Lower-case letters, digits and hyphens: `hmac-sha256`. */
  readonly algorithm: string;
  readonly keyId: string;
  /** Returns lower-case hexadecimal digits. */
  sign(bytes: Uint8Array): string;
}

export type SignatureCheck = 'valid' | 'wrong-signature' | 'unknown-key';

/** Knows the keys of all who may sign. */
export interface SignatureVerifier {
  /** @param hex lower-case; of any even length, since it is what a stranger sent. Must not throw. */
  verify(algorithm: string, keyId: string, bytes: Uint8Array, hex: string): SignatureCheck;
}

export interface HmacOptions {
  /**
   * Secrets of at least 16 bytes by key id, as bytes or as text (its UTF-8 is the secret). All of them verify: keep the
   * old one for as long as messages signed with it may arrive.
   */
  readonly keys: Readonly<Record<string, string | Uint8Array>>;
  /** The id of the one that signs. */
  readonly signWith?: string;
}

const HMAC = 'hmac-sha256';
const ED25519 = 'ed25519';
const SHORTEST_SECRET = 16;

/**
 * HMAC-SHA256: who verifies could also sign. A signer only where `signWith` is given.
 *
 * @throws {ConfigError} for a secret that is too short, or a `signWith` that is no key
 */
export function hmacSha256(options: HmacOptions & { readonly signWith: string }): Signer & SignatureVerifier;
export function hmacSha256(options: HmacOptions): SignatureVerifier;
export function hmacSha256({ keys: secrets, signWith }: HmacOptions): SignatureVerifier {
  const keys = keyMap(secrets, secretKey);
  if (keys.size === 0) throw new ConfigError('keys', 'no key is given');
  const digest = (key: KeyObject, bytes: Uint8Array): Buffer => createHmac('sha256', key).update(bytes).digest();
  const verifier: SignatureVerifier = {
    verify(algorithm, keyId, bytes, hex) {
      const key = algorithm === HMAC ? keys.get(keyId) : undefined;
      if (key === undefined) return 'unknown-key';
      const right = digest(key, bytes);
      const given = Buffer.from(hex, 'hex');
      return given.length === right.length && timingSafeEqual(given, right) ? 'valid' : 'wrong-signature';
    },
  };
  if (signWith === undefined) return verifier;
  const key = keys.get(signWith);
  if (key === undefined) throw new ConfigError('signWith', `no key "${signWith}" among the keys`);
  const signer: Signer = {
    algorithm: HMAC,
    keyId: signWith,
    sign: (bytes) => digest(key, bytes).toString('hex'),
  };
  return { ...verifier, ...signer };
}

export interface Ed25519Options {
  /** By key id, each as PEM or as a `KeyObject` of `node:crypto`. All of them verify. */
  readonly publicKeys?: Readonly<Record<string, string | KeyObject>>;
  /** The one that signs; its public key verifies, too. */
  readonly privateKey?: string | KeyObject;
  /** The id of the private key. */
  readonly keyId?: string;
}

/**
 * Ed25519 (RFC 8032): who verifies cannot sign. A signer only where `privateKey` and `keyId` are given.
 *
 * @throws {ConfigError} for a key that is none of Ed25519, or a private key without an id or under the id of another
 */
export function ed25519(
  options: Ed25519Options & { readonly privateKey: string | KeyObject; readonly keyId: string },
): Signer & SignatureVerifier;
export function ed25519(options: Ed25519Options): SignatureVerifier;
export function ed25519({ publicKeys = {}, privateKey, keyId }: Ed25519Options): SignatureVerifier {
  const keys = keyMap(publicKeys, (path, key) => edKey(path, 'public', key));
  const verifier: SignatureVerifier = {
    verify(algorithm, id, bytes, hex) {
      const key = algorithm === ED25519 ? keys.get(id) : undefined;
      if (key === undefined) return 'unknown-key';
      return edVerify(null, bytes, key, Buffer.from(hex, 'hex')) ? 'valid' : 'wrong-signature';
    },
  };
  if (privateKey === undefined) {
    if (keyId !== undefined) throw new ConfigError('keyId', 'names a private key, but none is given');
    if (keys.size === 0) throw new ConfigError('publicKeys', 'no key is given');
    return verifier;
  }
  if (keyId === undefined) throw new ConfigError('keyId', 'the private key needs an id');
  checkId('keyId', keyId);
  const key = edKey('privateKey', 'private', privateKey);
  const own = createPublicKey(key);
  if (keys.get(keyId)?.equals(own) === false)
    throw new ConfigError('keyId', `the public key "${keyId}" does not belong to the private key`);
  keys.set(keyId, own);
  const signer: Signer = { algorithm: ED25519, keyId, sign: (bytes) => edSign(null, bytes, key).toString('hex') };
  return { ...verifier, ...signer };
}

function keyMap<Given>(
  given: Readonly<Record<string, Given>>,
  read: (path: string, key: Given) => KeyObject,
): Map<string, KeyObject> {
  return new Map(
    Object.entries(given).map(([id, key]) => {
      const path = `keys.${id}`;
      checkId(path, id);
      return [id, read(path, key)];
    }),
  );
}

function checkId(path: string, id: string): void {
  if (id === '' || /\p{Surrogate}/u.test(id)) throw new ConfigError(path, 'a key id is a text that is not empty');
}

function secretKey(path: string, secret: string | Uint8Array): KeyObject {
  const bytes = Buffer.from(secret);
  if (bytes.length < SHORTEST_SECRET)
    throw new ConfigError(path, `a secret of ${bytes.length} bytes is too short: at least ${SHORTEST_SECRET}`);
  return createSecretKey(bytes);
}

function edKey(path: string, type: 'public' | 'private', given: string | KeyObject): KeyObject {
  const key = given instanceof KeyObject ? given : parsePem(path, type, given);
  if (key.type !== type || key.asymmetricKeyType !== ED25519) throw new ConfigError(path, `no ${type} key of Ed25519`);
  return key;
}

function parsePem(path: string, type: 'public' | 'private', pem: string): KeyObject {
  try {
    return type === 'public' ? createPublicKey(pem) : createPrivateKey(pem);
  } catch (error) {
    throw new ConfigError(path, `no ${type} key in PEM: ${messageOf(error)}`, { cause: error });
  }
}
