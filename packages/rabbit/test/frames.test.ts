import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import type { Publish } from '../src/amqplib.ts';
import { publishBytes, writeAck, writeNack, writePublish } from '../src/frames.ts';

const require = createRequire(import.meta.url);
/** amqplib's own decoder: what it reads is what we wrote. */
const frame = require(join(dirname(require.resolve('amqplib')), 'lib/frame.js')) as {
  parseFrame(buffer: Buffer, max: number): { channel: number; rest: Buffer } | false;
  decodeFrame(frame: unknown): { id: number; channel: number; fields: Record<string, unknown>; size?: number };
};

function decoded(bytes: Buffer): { id: number; channel: number; fields: Record<string, unknown>; size?: number }[] {
  const frames = [];
  let rest = bytes;
  while (rest.length > 0) {
    const parsed = frame.parseFrame(rest, 10_000_000);
    if (parsed === false) throw new Error(`an incomplete frame of ${rest.length} bytes`);
    frames.push(frame.decodeFrame(parsed));
    rest = parsed.rest;
  }
  return frames;
}

function published(exchange: string, key: string, properties: Publish, bodyBytes = 0): ReturnType<typeof decoded> {
  const bytes = Buffer.alloc(publishBytes(exchange, key, properties));
  return decoded(bytes.subarray(0, writePublish(bytes, 0, 7, exchange, key, properties, bodyBytes)));
}

/** Lone surrogates have no form in UTF-8. */
function isWellFormed(text: string): boolean {
  return Buffer.from(text).toString() === text;
}

const shortText = fc.string({ unit: 'binary', maxLength: 60 }).filter(isWellFormed);
const headerValue = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }).filter(isWellFormed),
  fc.boolean(),
  fc.integer(),
  fc.double({ noNaN: true }).filter((value) => !Number.isInteger(value)),
);
const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });

describe('frames', () => {
  it('say to amqplib what was to be published, whatever it is', () => {
    fc.assert(
      fc.property(
        shortText,
        shortText,
        fc.record({
          contentType: optional(shortText),
          contentEncoding: optional(shortText),
          type: optional(shortText),
          headers: optional(fc.dictionary(shortText, headerValue, { noNullPrototype: true })),
          deliveryMode: optional(fc.constantFrom(1, 2)),
          priority: optional(fc.nat(255)),
          correlationId: optional(shortText),
          replyTo: optional(shortText),
          expiration: optional(shortText),
          messageId: optional(shortText),
          mandatory: fc.boolean(),
        }),
        fc.nat(2 ** 40),
        (exchange, key, properties, bodyBytes) => {
          fc.pre(!Object.hasOwn(properties.headers ?? {}, '__proto__'));
          const [method, header, ...more] = published(exchange, key, properties, bodyBytes);
          const { mandatory, ...rest } = properties;
          expect(more).to.deep.equal([]);
          expect([method?.channel, header?.channel]).to.deep.equal([7, 7]);
          expect(method?.fields).to.include({ exchange, routingKey: key, mandatory, immediate: false, ticket: 0 });
          expect(header?.size).to.equal(bodyBytes);
          const { headers, ...plain } = header?.fields ?? {};
          for (const [name, value] of Object.entries(rest))
            if (name !== 'headers') expect(plain[name], name).to.equal(value);
          expect(headers && { ...headers }).to.deep.equal(rest.headers);
        },
      ),
    );
  });

  it('carry numbers of every size as they are', () => {
    const numbers = [0, -1, 2 ** 31 - 1, -(2 ** 31), 2 ** 31, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 0.5];
    for (const value of numbers) {
      const [, header] = published('e', 'k', { headers: { value }, mandatory: false });
      expect(header?.fields['headers']).to.deep.equal({ value });
    }
  });

  it('refuse a text that is longer than the protocol allows, and name it', () => {
    const long = 'ä'.repeat(128);
    expect(() => published('e', long, { mandatory: false })).to.throw(RangeError, 'routing key: 256 bytes');
    expect(() => published('e', 'k', { replyTo: long, mandatory: false })).to.throw(RangeError, 'replyTo: 256 bytes');
    expect(published('e', 'ä'.repeat(127), { mandatory: false })).to.have.lengthOf(2);
  });

  it('settle single deliveries and all up to one, beyond 2^32 as well', () => {
    const bytes = Buffer.alloc(100);
    let at = writeAck(bytes, 0, 300, 2 ** 40 + 1, false);
    at = writeAck(bytes, at, 300, 2, true);
    at = writeNack(bytes, at, 300, 3, true);
    at = writeNack(bytes, at, 300, 4, false);
    const fields = decoded(bytes.subarray(0, at)).map((method) => ({ ...method.fields, channel: method.channel }));
    expect(fields).to.deep.equal([
      { deliveryTag: 2 ** 40 + 1, multiple: false, channel: 300 },
      { deliveryTag: 2, multiple: true, channel: 300 },
      { deliveryTag: 3, multiple: false, requeue: true, channel: 300 },
      { deliveryTag: 4, multiple: false, requeue: false, channel: 300 },
    ]);
  });
});
