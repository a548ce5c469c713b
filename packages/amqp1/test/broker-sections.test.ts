import { expect } from 'chai';
import fc from 'fast-check';
import rhea, { type Message } from 'rhea';
import { annotate, headerSection, withoutHeader } from '../src/broker/sections.ts';
import { decode } from '../src/decoder.ts';

const codec = rhea.message as unknown as { encode(message: object): Buffer; decode(bytes: Buffer): Message };

const value = fc.oneof(fc.string(), fc.integer(), fc.boolean());
const annotations = fc.dictionary(fc.stringMatching(/^x-opt-[a-z]{1,8}$/), value, { maxKeys: 5 });

describe('the sections of a message', () => {
  it('are what they were, without the header', () => {
    const whole = {
      durable: true,
      ttl: 5,
      delivery_annotations: { a: 1 },
      message_annotations: { b: 2 },
      subject: 's',
    };
    const bytes = withoutHeader(codec.encode({ ...whole, body: { nested: [1, 'x', { y: null }] } }));
    const { durable, ttl, delivery_annotations, message_annotations, subject, body } = codec.decode(bytes);
    expect([durable, ttl, delivery_annotations]).to.deep.equal([undefined, undefined, undefined]);
    expect([message_annotations, subject, body]).to.deep.equal([{ b: 2 }, 's', { nested: [1, 'x', { y: null }] }]);
  });

  it('are told apart also by symbols', () => {
    const name = Buffer.from('amqp:header:list');
    const bytes = Buffer.concat([Buffer.from([0, 0xa3, name.length]), name, Buffer.from('450053734500537745', 'hex')]);
    expect(withoutHeader(bytes).toString('hex')).to.equal('0053734500537745');
  });

  it('begin with a header that says what it was given', () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.option(fc.integer({ min: 0, max: 255 }), { nil: undefined }),
        fc.option(fc.integer({ min: 1, max: 0xffff_ffff }), { nil: undefined }),
        fc.nat(),
        (durable, priority, ttlMs, deliveryCount) => {
          const header = headerSection({ durable, priority, ttlMs, firstAcquirer: deliveryCount === 0, deliveryCount });
          const { message, ...received } = decode(header);
          expect(received).to.include({ durable, priority, deliveryCount, redelivered: deliveryCount > 0 });
          expect(message.ttlMs).to.equal(ttlMs);
        },
      ),
    );
  });

  it('take annotations, in place of those of the same name', () => {
    fc.assert(
      fc.property(annotations, annotations, annotations, (before, added, gone) => {
        const message = withoutHeader(codec.encode({ message_annotations: before, subject: 's', body: 'x' }));
        const removed = Object.keys(gone);
        const after = codec.decode(annotate(message, added, removed));
        const kept = Object.entries(before).filter(([name]) => !removed.includes(name));
        expect(after.message_annotations ?? {}).to.deep.equal({ ...Object.fromEntries(kept), ...added });
        expect([after.subject, after.body]).to.deep.equal(['s', 'x']);
      }),
    );
  });

  it('get annotations where there were none, and keep the types of those that stay', () => {
    const typed = rhea.types as unknown as { wrap_symbol(text: string): unknown };
    const bytes = codec.encode({ message_annotations: { 'x-opt-symbol': typed.wrap_symbol('s') }, body: 'x' });
    const message = withoutHeader(bytes);
    expect(annotate(message, { 'x-opt-new': 1 }).includes(Buffer.from([0xa3, 1, 0x73]))).to.equal(true);
    const bare = withoutHeader(codec.encode({ body: 'x' }));
    expect(codec.decode(annotate(bare, { 'x-opt-new': 0.5 })).message_annotations).to.deep.equal({ 'x-opt-new': 0.5 });
    expect(annotate(bare, {}).equals(bare)).to.equal(true);
  });

  it('are found in whatever bytes the decoder takes for a message', () => {
    const whole = codec.encode({
      durable: true,
      delivery_annotations: { a: [1, 'x'] },
      message_annotations: { 'x-opt-b': 2, 'x-opt-c': { d: null } },
      application_properties: { e: true },
      body: { nested: [1, 'x', { y: null }], binary: Buffer.from('z') },
    });
    const spots = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(spots, (changes) => {
        const bytes = Buffer.from(whole);
        for (const [at, byte] of changes) bytes[at] = byte;
        try {
          decode(bytes);
        } catch {
          return;
        }
        decode(annotate(withoutHeader(bytes), { 'x-opt-new': 'n' }));
      }),
      { numRuns: 20_000 },
    );
  });
});
