import { ConfigError, json } from '@posthorn/core';
import { canonicalJson } from './canonical.ts';
import type { Envelope, Place } from './envelope.ts';
import type { Signer } from './signer.ts';

/** The parts of an envelope's signature field. */
export interface Signature {
  readonly algorithm: string;
  readonly keyId: string;
  readonly hex: string;
}

/** Bounded, because strangers' key ids end up in logs. */
const FORM = /^([a-z0-9-]{1,50}):([^:]{1,250}):((?:[0-9a-f]{2})+)$/;

/**
 * The envelope with its signature, in place of any other. Its values are turned into what JSON makes of them (dates
 * into texts, `undefined` into nothing), so that what is signed is what travels.
 *
 * @throws {MalformedError} with the path of a value that JSON cannot carry
 */
export function sign(envelope: Envelope, place: Place, signer: Signer): Envelope {
  const plain: Envelope = JSON.parse(Buffer.from(json.encode(envelope)).toString());
  const head = `${signer.algorithm}:${encodeURIComponent(signer.keyId)}:`;
  const signature = head + signer.sign(signedBytes({ ...plain, signature: head }, place));
  if (parseSignature(signature) === undefined)
    throw new ConfigError('signer', `signatures like "${signature}" are not "algorithm:key id:hex" in lower case`);
  return { ...plain, signature };
}

/**
 * What is signed: the canonical JSON of `[envelope, exchange, key]`, where the envelope's signature ends with its
 * second colon. So the signature covers the algorithm and the key id, too.
 *
 * @throws {MalformedError} with the path of a value that canonical JSON cannot carry
 */
export function signedBytes(envelope: Envelope, { exchange, key }: Place): Uint8Array {
  const { signature = '' } = envelope;
  const head = signature.slice(0, signature.lastIndexOf(':') + 1);
  return Buffer.from(canonicalJson([{ ...envelope, signature: head }, exchange, key]));
}

/** Undefined when it is not of the form `algorithm:key id:hex`, of which each signature has exactly one. */
export function parseSignature(signature: string): Signature | undefined {
  const [, algorithm, encodedId, hex] = FORM.exec(signature) ?? [];
  if (algorithm === undefined || encodedId === undefined || hex === undefined) return undefined;
  const keyId = decoded(encodedId);
  return keyId !== undefined && encodeURIComponent(keyId) === encodedId ? { algorithm, keyId, hex } : undefined;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
