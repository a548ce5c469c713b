import { createRequire } from 'node:module';
import { expect } from 'chai';
import fc from 'fast-check';
import rhea from 'rhea';
import { readHotFrame, writeAccepted, writeTransfer } from '../src/frames.ts';

interface Frame {
  readonly channel: number;
  readonly performative: Readonly<Record<string, unknown>>;
  readonly payload?: Buffer;
}

/** rhea's own codec. */
const frames = createRequire(import.meta.url)('rhea/lib/frames.js') as {
  read_frame(bytes: Buffer): Frame;
  write_frame(frame: object): Buffer;
  amqp_frame(channel: number, performative: unknown, payload?: Buffer): object;
  transfer(fields: object): unknown;
  disposition(fields: object): unknown;
};
const outcomes = rhea.message as unknown as Record<
  'accepted' | 'released' | 'rejected',
  (fields?: object) => { described(): unknown }
>;

const uint = fc.oneof(fc.constantFrom(0, 1, 255, 256, 2 ** 31, 2 ** 32 - 1), fc.nat());
const channel = fc.nat(65_535);
const payload = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const maybe = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(values, { nil: undefined });

const read = (bytes: Buffer): ReturnType<typeof readHotFrame> => readHotFrame(bytes, 0, bytes.length);

describe('the frames of messages and outcomes', () => {
  it('are read by rhea as they were written', () => {
    fc.assert(
      fc.property(channel, uint, uint, fc.boolean(), fc.boolean(), payload, (on, handle, id, settled, more, bytes) => {
        const frame = frames.read_frame(writeTransfer(on, handle, id, settled, more, bytes));
        const { performative } = frame;
        const { delivery_id, message_format, delivery_tag } = performative;
        expect([frame.channel, performative['handle'], delivery_id]).to.deep.equal([on, handle, id]);
        expect([performative['settled'], performative['more'], message_format]).to.deep.equal([settled, more, 0]);
        expect((delivery_tag as Buffer).readUInt32BE()).to.equal(id);
        expect(Buffer.from(frame.payload ?? [])).to.deep.equal(bytes);
      }),
    );
    fc.assert(
      fc.property(channel, uint, uint, (on, first, last) => {
        const { performative, ...frame } = frames.read_frame(writeAccepted(on, first, last));
        const { role, settled, state } = performative;
        expect([frame.channel, role, performative['first'], performative['last'], settled]).to.deep.equal([
          on,
          true,
          first,
          last,
          true,
        ]);
        expect((state as { descriptor: { value: number } }).descriptor.value).to.equal(0x24);
      }),
    );
  });

  it('are read as rhea reads what it wrote', () => {
    const fields = fc.record({
      handle: uint,
      delivery_id: maybe(uint),
      delivery_tag: maybe(payload.map((bytes) => bytes.subarray(0, 32))),
      message_format: maybe(uint),
      settled: maybe(fc.boolean()),
      more: maybe(fc.boolean()),
    });
    fc.assert(
      fc.property(channel, fields, payload, (on, of, bytes) => {
        const frame = read(frames.write_frame(frames.amqp_frame(on, frames.transfer(of), bytes)));
        if (frame?.type !== 'transfer') throw new Error('not read');
        const { delivery_tag: _, ...others } = of;
        expect({ ...others, ...frame.performative, more: of.more === true }).to.deep.equal({
          ...others,
          more: of.more === true,
        });
        expect([frame.channel, frame.payload]).to.deep.equal([on, bytes]);
      }),
    );
    fc.assert(
      fc.property(channel, fc.boolean(), uint, maybe(uint), maybe(fc.boolean()), (on, role, first, last, settled) => {
        const state = outcomes.accepted().described();
        const written = frames.write_frame(
          frames.amqp_frame(on, frames.disposition({ role, first, last, settled, state })),
        );
        const frame = read(written);
        expect(frame).to.deep.equal({
          type: 'accepted',
          channel: on,
          performative: { role, first, last, settled: settled === true },
        });
      }),
    );
  });

  it('are left to rhea where they say more than most', () => {
    const transfer = { handle: 0, delivery_id: 1 };
    const settling = { role: true, first: 1 };
    for (const performative of [
      frames.transfer({ ...transfer, aborted: true }),
      frames.transfer({ ...transfer, resume: true }),
      frames.transfer({ ...transfer, rcv_settle_mode: 1 }),
      frames.transfer({ ...transfer, delivery_tag: Buffer.alloc(300) }),
      frames.disposition(settling),
      frames.disposition({ ...settling, batchable: true, state: outcomes.accepted().described() }),
      frames.disposition({ ...settling, state: outcomes.released().described() }),
      frames.disposition({ ...settling, state: outcomes.rejected({}).described() }),
    ])
      expect(read(frames.write_frame(frames.amqp_frame(3, performative)))).to.equal(undefined);
  });

  it('are left to rhea where they are cut short or damaged', () => {
    const whole = writeTransfer(1, 2, 3, false, false, Buffer.alloc(0));
    for (let length = 8; length < whole.length; length++) expect(read(whole.subarray(0, length))).to.equal(undefined);
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, byte) => {
        const damaged = Buffer.from(whole);
        damaged[at] = byte;
        expect(() => read(damaged)).not.to.throw();
      }),
    );
  });
});
