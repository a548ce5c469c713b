import { generateKeyPairSync } from 'node:crypto';
import { type HeaderValue, type Message, MessagingError } from '@posthorn/core';
import { expect } from 'chai';
import fc from 'fast-check';
import { cloudEvents } from '../src/cloud-events.ts';
import type { Envelope, EnvelopeCodec } from '../src/envelope.ts';
import { nativeEnvelope } from '../src/native-envelope.ts';
import { ed25519, hmacSha256 } from '../src/signer.ts';
import { sign } from '../src/signing.ts';
import { Verification } from '../src/verification.ts';
import { envelope, PLACE } from './support.ts';

const FORMS = {
  native: nativeEnvelope,
  'structured CloudEvents': cloudEvents({ mode: 'structured' }),
  'binary CloudEvents': cloudEvents({ mode: 'binary' }),
};

const SIGNERS = {
  'HMAC-SHA256': hmacSha256({ keys: { 'key 1': 'a secret of the test' }, signWith: 'key 1' }),
  Ed25519: ed25519({ privateKey: generateKeyPairSync('ed25519').privateKey, keyId: 'key 1' }),
};

const SENT = envelope({
  payload: { text: 'ä�😂', numbers: [0, -1.5, 1e21, 9007199254740991], __proto: null, nested: [{ a: '\\"\n' }] },
  reply_to: 'answers',
  expires_at: '2999-01-01T00:00:00.000Z',
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  sampledrate: 30,
});

describe('1,000 random changes of a single byte', () => {
  for (const [form, codec] of Object.entries(FORMS))
    for (const [algorithm, signer] of Object.entries(SIGNERS))
      it(`in a message in the ${form} form, signed by ${algorithm}, are each refused or without effect`, async () => {
        const signed = sign(SENT, PLACE, signer);
        const message = codec.encode(signed);
        const verification = new Verification({ verifier: signer }, 'group');
        expect(await received(message, verification)).to.deep.equal(signed);
        const bytes = Buffer.concat(piecesOf(message)).length;
        await fc.assert(
          fc.asyncProperty(fc.nat(bytes - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
            const outcome = await received(changed(message, at, change), verification);
            if (outcome !== 'refused') expect(outcome).to.deep.equal(signed);
          }),
          { numRuns: 1_000 },
        );
      });
});

/** What a subscriber that understands every form makes of it. */
async function received(message: Message, verification: Verification): Promise<Envelope | 'refused'> {
  const codec = Object.values(FORMS).find((one: EnvelopeCodec) => one.recognises(message));
  if (codec === undefined) return 'refused';
  try {
    const decoded = codec.decode(message);
    return (await verification.check(decoded, PLACE)) === undefined ? decoded : 'refused';
  } catch (error) {
    if (error instanceof MessagingError) return 'refused';
    throw error;
  }
}

/** Every byte of a message that travels: the body, the properties, the headers. */
function piecesOf({ body, contentType = '', messageId = '', headers = {} }: Message): Buffer[] {
  const texts = Object.entries(headers).flatMap(([name, value]) => [name, String(value)]);
  return [Buffer.from(body), ...[contentType, messageId, ...texts].map((text) => Buffer.from(text))];
}

function withPieces({ headers = {} }: Message, [body = Buffer.of(), ...pieces]: readonly Buffer[]): Message {
  const [contentType = '', messageId = '', ...texts] = pieces.map(String);
  const changed = Object.values(headers).map((value, index): [string, HeaderValue] => {
    const text = texts[2 * index + 1] ?? '';
    return [texts[2 * index] ?? '', typeof value === 'number' ? Number(text) : text];
  });
  return { body, contentType, messageId, headers: Object.fromEntries(changed) };
}

/** The message with other bits in its byte `at`. */
function changed(message: Message, at: number, bits: number): Message {
  const pieces = piecesOf(message);
  let index = at;
  for (const piece of pieces) {
    if (index < piece.length) {
      piece.writeUInt8(piece.readUInt8(index) ^ bits, index);
      break;
    }
    index -= piece.length;
  }
  return withPieces(message, pieces);
}
