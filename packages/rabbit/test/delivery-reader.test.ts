import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import type { Channel, Incoming, Model } from '../src/amqplib.ts';
import { DeliveryReader } from '../src/delivery-reader.ts';

const require = createRequire(import.meta.url);
const lib = (name: string): unknown => require(join(dirname(require.resolve('amqplib')), 'lib', name));
const { BaseChannel } = lib('channel.js') as { BaseChannel: new (connection: object) => AmqplibChannel };
const { Connection } = lib('connection.js') as { Connection: { prototype: object } };
const { makeBodyFrame } = lib('frame.js') as { makeBodyFrame(channel: number, payload: Buffer): Buffer };
const defs = lib('defs.js') as {
  BasicDeliver: number;
  BasicProperties: number;
  encodeMethod(id: number, channel: number, fields: object): Buffer;
  encodeProperties(id: number, channel: number, size: number, fields: object): Buffer;
};

interface AmqplibChannel extends Channel {
  ch: number;
  accept(frame: object): void;
  on(event: string, listener: (argument: never) => void): void;
  registerConsumer(tag: string, receive: (message: Incoming) => void): void;
  handleDelivery(message: Incoming): void;
}

const FRAME_MAX = 4_096;
const TAG = 'a-consumer';

/** amqplib's connection and two channels with a consumer each, fed by hand. */
class Fed {
  readonly connection: Model['connection'] & { accept: (frame: object) => void };
  readonly channels: readonly AmqplibChannel[];
  readonly received: (readonly [channel: number, message: Incoming])[] = [];
  /** What amqplib took. */
  readonly frames: object[] = [];
  readonly #chunks: Buffer[] = [];

  constructor(how: 'with the reader' | 'by amqplib alone') {
    const channels: (AmqplibChannel | undefined)[] = [];
    this.connection = Object.assign(Object.create(Connection.prototype), {
      stream: { read: () => this.#chunks.shift() ?? null },
      rest: Buffer.alloc(0),
      frameMax: FRAME_MAX,
      maxFrameSize: FRAME_MAX,
      accept: (frame: { readonly channel: number }) => {
        this.frames.push(frame);
        channels[frame.channel]?.accept(frame);
      },
    });
    const reader = how === 'with the reader' ? new DeliveryReader({ connection: this.connection }) : undefined;
    this.channels = [1, 2].map((ch) => {
      const channel = new BaseChannel(this.connection);
      channel.ch = ch;
      channels[ch] = channel;
      const receive = (message: Incoming): void => void this.received.push([ch, message]);
      channel.on('delivery', channel.handleDelivery.bind(channel));
      channel.registerConsumer(TAG, receive);
      reader?.attach(channel, receive);
      return channel;
    });
  }

  feed(...chunks: readonly Buffer[]): void {
    for (const chunk of chunks) {
      this.#chunks.push(chunk);
      // amqplib's loop, for each time that the socket is readable.
      for (let frame = this.connection.recvFrame(); frame; frame = this.connection.recvFrame())
        this.connection.accept(frame);
    }
  }
}

interface Sent {
  readonly channel: number;
  readonly fields: object;
  readonly properties: object;
  readonly body: Uint8Array;
}

/** A delivery as the broker writes it. */
function written({ channel, fields, properties, body }: Sent, mostPayload = FRAME_MAX - 8): Buffer {
  const frames = [
    defs.encodeMethod(defs.BasicDeliver, channel, { consumerTag: TAG, ...fields }),
    defs.encodeProperties(defs.BasicProperties, channel, body.length, properties),
  ];
  for (let from = 0; from < body.length; from += mostPayload)
    frames.push(makeBodyFrame(channel, Buffer.from(body.subarray(from, from + mostPayload))));
  return Buffer.concat(frames);
}

const plain = { deliveryTag: 1, redelivered: false, exchange: 'x', routingKey: 'k' };
const simple = (text: string, more: Partial<Sent> = {}): Buffer =>
  written({ channel: 1, fields: plain, properties: { contentType: 'text/plain' }, body: Buffer.from(text), ...more });

const texts = ({ received }: Fed): string[] => received.map(([, { content }]) => content.toString());

/** Without what is not there: amqplib leaves it out where no property is. */
const comparable = ({ received }: Fed): unknown[] =>
  received.map(([channel, { content, fields, properties }]) => {
    const { deliveryTag, redelivered, exchange, routingKey } = fields;
    const known = Object.entries(properties).filter(
      ([name, value]) => value !== undefined && !/^(time|user)/.test(name),
    );
    return [
      channel,
      content.toString('hex'),
      deliveryTag,
      redelivered,
      exchange,
      routingKey,
      Object.fromEntries(known),
    ];
  });

// "é" is two bytes that are the codes of "Ã©": two texts of one length, if one takes bytes for letters.
const shortText = fc.oneof(
  fc.constantFrom('', 'x', 'application/json', 'é', 'Ã©', 'compute.instance.update'),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
);
/** Most are of kinds that are read here, some of others. */
const header = fc.oneof(
  { weight: 5, arbitrary: shortText },
  { weight: 2, arbitrary: fc.boolean() },
  { weight: 2, arbitrary: fc.integer().map((value) => ({ '!': 'int', value })) },
  { weight: 2, arbitrary: fc.maxSafeInteger().map((value) => ({ '!': 'long', value })) },
  fc.integer({ min: 0, max: 100 }),
  fc.double({ noNaN: true, min: -1_000, max: 1_000 }),
  fc.nat().map((value) => ({ '!': 'timestamp', value })),
  fc.array(shortText, { maxLength: 2 }),
  fc.record({ nested: shortText }),
);
const sent: fc.Arbitrary<Sent> = fc.record({
  channel: fc.constantFrom(1, 2),
  fields: fc.record({
    deliveryTag: fc.maxSafeNat(),
    redelivered: fc.boolean(),
    exchange: shortText,
    routingKey: shortText,
  }),
  properties: fc.record(
    {
      contentType: shortText,
      contentEncoding: shortText,
      headers: fc.dictionary(shortText, header, { noNullPrototype: true, maxKeys: 4 }),
      deliveryMode: fc.constantFrom(1, 2),
      priority: fc.nat(255),
      correlationId: shortText,
      replyTo: shortText,
      expiration: shortText,
      messageId: shortText,
      timestamp: fc.nat(),
      type: shortText,
      userId: shortText,
    },
    { requiredKeys: [] },
  ),
  body: fc.uint8Array({ maxLength: 300 }),
});

describe('reading deliveries', () => {
  it('hands out what amqplib would, in the order in which it came, however it is cut', () => {
    fc.assert(
      fc.property(
        fc.array(sent, { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 20 }),
        fc.constantFrom(100, 4_000),
        (messages, cuts, mostPayload) => {
          const bytes = Buffer.concat(messages.map((message) => written(message, mostPayload)));
          const chunks: Buffer[] = [];
          for (let at = 0, turn = 0; at < bytes.length; turn++) {
            const length = cuts[turn % cuts.length] ?? 1;
            chunks.push(bytes.subarray(at, at + length));
            at += length;
          }
          const [ours, theirs] = [new Fed('with the reader'), new Fed('by amqplib alone')];
          for (const fed of [ours, theirs]) fed.feed(...chunks);
          expect(ours.received).to.have.lengthOf(messages.length);
          expect(comparable(ours)).to.deep.equal(comparable(theirs));
        },
      ),
    );
  });

  it('leaves nothing to amqplib of what is there as a whole', () => {
    const fed = new Fed('with the reader');
    const headers = { 'ph-context': '{}', on: true, n: { '!': 'long', value: -7 } };
    fed.feed(
      Buffer.concat([simple('a'), simple(''), simple('b', { channel: 2 }), simple('c', { properties: { headers } })]),
    );
    expect(texts(fed)).to.deep.equal(['a', '', 'b', 'c']);
    expect(fed.received.at(-1)?.[1].properties.headers).to.deep.equal({ 'ph-context': '{}', on: true, n: -7 });
    expect(fed.frames).to.deep.equal([]);
  });

  it('leaves to amqplib what came cut, and no more than that', () => {
    const fed = new Fed('with the reader');
    const [cut, whole] = [simple('cut'), simple('whole')];
    fed.feed(cut.subarray(0, -1), Buffer.concat([cut.subarray(-1), whole]));
    expect(texts(fed)).to.deep.equal(['cut', 'whole']);
    expect(fed.frames).to.have.lengthOf(3);
  });

  it('leaves to amqplib what is on a channel without a consumer of ours', () => {
    const fed = new Fed('with the reader');
    fed.feed(simple('a', { channel: 3 }), simple('b'));
    expect(texts(fed)).to.deep.equal(['b']);
    expect(fed.frames).to.have.lengthOf(3);
  });

  it('hands out nothing that comes on a channel that is closing', () => {
    const fed = new Fed('with the reader');
    for (const channel of fed.channels) channel.accept = () => undefined;
    fed.feed(simple('late'));
    expect(texts(fed)).to.deep.equal([]);
  });

  it('hands out nothing that comes on a connection that is closing, even from within a handler', () => {
    const fed = new Fed('with the reader');
    const push = fed.received.push.bind(fed.received);
    fed.received.push = (...items) => {
      fed.connection.accept = () => undefined;
      return push(...items);
    };
    fed.feed(Buffer.concat([simple('in time'), simple('late')]));
    expect(texts(fed)).to.deep.equal(['in time']);
  });

  it('goes on where a handler throws, and tells it as amqplib does', () => {
    const fed = new Fed('with the reader');
    const push = fed.received.push.bind(fed.received);
    const told: Error[] = [];
    fed.channels[0]?.on('handler-error', (error) => told.push(error));
    fed.received.push = (...items) => {
      fed.received.push = push;
      throw new Error(`not ${items.length}`);
    };
    fed.feed(Buffer.concat([simple('first'), simple('second')]));
    expect(texts(fed)).to.deep.equal(['second']);
    expect(told.map(({ message }) => message)).to.deep.equal(['not 1']);
  });

  it('leaves it to amqplib to find broken and oversized frames', () => {
    const broken = simple('broken');
    broken[broken.length - 1] = 7;
    expect(() => new Fed('with the reader').feed(broken)).to.throw('Invalid frame');
    const oversized = written(
      { channel: 1, fields: plain, properties: {}, body: Buffer.alloc(FRAME_MAX + 1) },
      FRAME_MAX + 1,
    );
    expect(() => new Fed('with the reader').feed(oversized)).to.throw(/exceeds maxFrameSize/);
  });
});
