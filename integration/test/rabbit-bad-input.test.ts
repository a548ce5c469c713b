import { type MessagingError, newId, type Transport } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { type Channel, type ChannelModel, connect as connectAmqp, type Options } from 'amqplib';
import { expect } from 'chai';
import { FrameTap } from '../src/frame-counter.ts';
import type { ManagementApi } from '../src/management.ts';
import { rabbitUrl } from '../src/rabbit.ts';
import type { RabbitBroker } from '../src/rabbit-broker.ts';
import { connectQuietly, needRabbit, rejection } from '../src/rabbit-lab.ts';
import { recordingLogger } from '../src/recording-logger.ts';
import { waitFor } from '../src/wait-for.ts';

/** What a peer that follows no rules publishes to a served queue, and what it is told. */
interface Bad {
  readonly what: string;
  readonly body: string | Buffer;
  readonly options?: Options.Publish;
  /** The class of the failure in the reply; without it there is no reply, and the message is rejected. */
  readonly failure?: string;
}

const LIMIT_BYTES = 10_000;
const JSON_TYPE = 'application/json';
const ECHO: Options.Publish = { contentType: JSON_TYPE, type: 'echo' };

const native: readonly Bad[] = [
  ...[
    { what: 'a body that is not JSON', body: '{"a":', options: ECHO },
    { what: 'an empty body', body: '', options: ECHO },
    { what: 'no type', body: '{}', options: { contentType: JSON_TYPE } },
    { what: 'a method in a header', body: '{}', options: { contentType: JSON_TYPE, headers: { type: 'echo' } } },
    { what: 'an empty type', body: '{}', options: { ...ECHO, type: '' } },
    { what: 'arguments in a list', body: '[1]', options: ECHO },
    { what: 'arguments that are null', body: 'null', options: ECHO },
    { what: 'arguments that are a string', body: '"text"', options: ECHO },
    { what: 'a context that is not JSON', body: '{}', options: { ...ECHO, headers: { 'ph-context': '{' } } },
    { what: 'a context that is a list', body: '{}', options: { ...ECHO, headers: { 'ph-context': '[]' } } },
    { what: 'a version that is a number', body: '{}', options: { ...ECHO, headers: { 'ph-version': 1 } } },
    { what: 'a monitor interval of 0', body: '{}', options: { ...ECHO, headers: { 'ph-monitor-ms': 0 } } },
    { what: 'an unknown content type', body: '{}', options: { ...ECHO, contentType: 'text/html' } },
    { what: 'no content type', body: '{}', options: { type: 'echo' } },
  ].map((bad) => ({ ...bad, failure: 'MalformedError' })),
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', '_private', 'target', 'nothing'].map((method) => ({
    what: `the method ${method}`,
    body: '{}',
    options: { ...ECHO, type: method },
    failure: 'NoSuchMethodError',
  })),
  {
    what: 'a body above the limit',
    body: JSON.stringify({ padding: 'x'.repeat(LIMIT_BYTES) }),
    options: ECHO,
  },
];

function envelope(inner: unknown, version = '2.0'): string {
  const message = typeof inner === 'string' ? inner : JSON.stringify(inner);
  return JSON.stringify({ 'oslo.version': version, 'oslo.message': message });
}

/** Python's keys of a call, to which `sendAll` adds the reply queue. */
const CALL = { _msg_id: 'ID', _reply_q: 'REPLY', _unique_id: 'ID', version: '1.0', namespace: null };

const oslo: readonly Bad[] = [
  { what: 'an envelope of version 3.0', body: envelope({ ...CALL, method: 'echo', args: {} }, '3.0') },
  { what: 'an envelope whose message is not JSON', body: envelope('{"method":') },
  { what: 'an envelope whose message is a list', body: envelope([1]) },
  { what: 'an envelope whose message is no string', body: '{"oslo.version":"2.0","oslo.message":{}}' },
  { what: 'a body that is not JSON', body: 'no JSON' },
  { what: 'a body that is not UTF-8', body: Buffer.from([0xff, 0xfe, 0x00]) },
  {
    what: 'a garbage compressed body',
    body: envelope({ ...CALL, method: 'echo', args: {} }),
    options: { headers: { compression: 'application/x-gzip' } },
  },
  {
    what: 'an unknown compression',
    body: envelope({ ...CALL, method: 'echo', args: {} }),
    options: { headers: { compression: 'application/x-bz2' } },
  },
  { what: 'no method', body: envelope({ ...CALL, args: {} }), failure: 'MalformedError' },
  { what: 'a method that is a number', body: envelope({ ...CALL, method: 7, args: {} }), failure: 'MalformedError' },
  { what: 'arguments in a list', body: envelope({ ...CALL, method: 'echo', args: [1] }), failure: 'MalformedError' },
  {
    what: 'arguments that are null',
    body: envelope({ ...CALL, method: 'echo', args: null }),
    failure: 'MalformedError',
  },
  ...['__proto__', 'constructor', 'toString'].map((method) => ({
    what: `the method ${method}`,
    body: envelope({ ...CALL, method, args: {} }),
    failure: 'NoSuchMethod',
  })),
  { what: 'a body above the limit', body: envelope({ method: 'echo', args: { padding: 'x'.repeat(LIMIT_BYTES) } }) },
];

describe('RabbitMQ: bad input from peers', () => {
  let broker: RabbitBroker & { readonly api: ManagementApi };

  before(async function () {
    this.timeout(90_000);
    broker = await needRabbit(this);
  });

  for (const [wire, kinds] of [
    ['native', native],
    ['oslo', oslo],
  ] as const) {
    describe(`on the ${wire} wire`, () => {
      const logger = recordingLogger();
      const topic = newId();
      const queue = wire === 'oslo' ? topic : `posthorn/${topic}`;
      let transport: Transport;
      let model: ChannelModel;
      let channel: Channel;
      let client: RPCClient;
      let replyTo = '';
      let reply: (body: { readonly correlationId: unknown; readonly text: string }) => void = () => {};

      before(async () => {
        transport = await connectQuietly(`${broker.url}?wire=${wire}&maxMessageBytes=${LIMIT_BYTES}`, { logger });
        const endpoint = { echo: (_: unknown, args: object) => args, _private: () => 'never' };
        await new RPCServer(transport, { target: { topic, server: 'one' }, endpoints: [endpoint] }).start();
        client = new RPCClient(transport, { target: { topic } });
        model = await connectAmqp(broker.url.replace('rabbit:', 'amqp:'));
        channel = await model.createChannel();
        replyTo = (await channel.assertQueue('', { exclusive: true })).queue;
        const receive = ({ content, properties }: { content: Buffer; properties: { correlationId?: unknown } }): void =>
          reply({ correlationId: properties.correlationId, text: content.toString() });
        await channel.consume(replyTo, (message) => message && receive(message), { noAck: true });
      });

      after(async () => {
        await transport?.close();
        await model?.close();
        await broker?.api.deleteQueue(queue);
      });

      for (const { what, body, options = {}, failure } of kinds) {
        const end = failure === undefined ? 'is rejected' : `is answered with ${failure}`;
        it(`${what} ${end}, and the consumer lives on`, async () => {
          const id = newId();
          const logged = logger.lines.length;
          const answered = new Promise<{ correlationId: unknown; text: string }>((resolve) => {
            reply = resolve;
          });
          const bytes =
            typeof body === 'string' ? Buffer.from(body.replace('REPLY', replyTo).replaceAll('ID', id)) : body;
          channel.publish('', queue, bytes, {
            ...options,
            ...(wire === 'native' && { messageId: id, correlationId: id, replyTo }),
          });
          if (failure !== undefined) {
            const { text, correlationId } = await answered;
            expect(wire === 'native' ? correlationId : inner(text)._msg_id).to.equal(id);
            expect(failureType(text)).to.equal(failure);
          }
          expect(await client.call({}, 'echo', { good: true })).to.deep.equal({ good: true });
          if (failure === undefined) {
            const line = await waitFor('the log line', () =>
              logger.lines.slice(logged).find(({ message }) => message.startsWith('rejected: ')),
            );
            expect(line.level).to.equal('warn');
            expect(line.fields).to.have.property('code', what.includes('limit') ? 'TOO_LARGE' : 'MALFORMED');
          }
        });
      }

      it('immunity 6: leaves nothing unsettled', async () => {
        await waitFor('an empty queue', async () => {
          const info = await broker.api.queue(queue);
          return info?.messages_unacknowledged === 0 && info.messages_ready === 0 && info.consumers === 1;
        });
      });
    });
  }

  it('a request without message id is refused with a failure reply', async () => {
    await using transport = await connectQuietly(broker.url);
    const topic = newId();
    const endpoint = { echo: (_: unknown, args: object) => args };
    await new RPCServer(transport, { target: { topic, server: 'one' }, endpoints: [endpoint] }).start();
    const model = await connectAmqp(broker.url.replace('rabbit:', 'amqp:'));
    try {
      const channel = await model.createChannel();
      const { queue: replyTo } = await channel.assertQueue('', { exclusive: true });
      const answered = new Promise<string>((resolve) => {
        void channel.consume(replyTo, (message) => resolve(message?.content.toString() ?? ''), { noAck: true });
      });
      const headers = { 'ph-method': 'echo' };
      channel.publish('', `posthorn/${topic}`, Buffer.from('{}'), { contentType: JSON_TYPE, headers, replyTo });
      expect(failureType(await answered)).to.equal('MalformedError');
    } finally {
      await model.close();
    }
  });
});

describe('RabbitMQ: bad values from the application', () => {
  it('a body above maxMessageBytes fails with TOO_LARGE before anything is written', async function () {
    this.timeout(90_000);
    const broker = await needRabbit(this);
    await using tap = await FrameTap.open(broker);
    await using transport = await connectQuietly(rabbitUrl(broker, { port: tap.port }), { maxMessageBytes: 1_000 });
    const topic = newId();
    const endpoint = {
      echo: (_: unknown, args: object) => args,
      large: () => 'x'.repeat(2_000),
    };
    await new RPCServer(transport, { target: { topic, server: 'one' }, endpoints: [endpoint] }).start();
    const client = new RPCClient(transport, { target: { topic } });
    await client.call({}, 'echo', {});
    tap.reset();
    const padding = 'x'.repeat(2_000);
    const errors: MessagingError[] = [
      await rejection(client.call({}, 'echo', { padding })),
      await rejection(client.cast({}, 'echo', { padding })),
      await rejection(client.fanout({}, 'echo', { padding })),
    ];
    expect(errors.map(({ code }) => code)).to.deep.equal(['TOO_LARGE', 'TOO_LARGE', 'TOO_LARGE']);
    await client.call({}, 'echo', {}); // what had been written would be counted by now
    expect(tap.counts()['client->broker basic.publish']).to.equal(2);
    const tooLarge = await rejection(client.call({}, 'large', {}));
    expect(tooLarge.code).to.equal('REMOTE');
    expect(tooLarge.message).to.contain('above the limit of 1000');
  });

  it('the limit is 16 MiB by default', async function () {
    this.timeout(90_000);
    const { url } = await needRabbit(this);
    await using transport = await connectQuietly(url);
    const topic = newId();
    const endpoint = { size: (_: unknown, bytes: Uint8Array) => bytes.length };
    const client = new RPCClient(transport, { target: { topic } });
    const limit = 16 * 1024 * 1024;
    expect((await rejection(client.cast({}, 'size', new Uint8Array(limit + 1)))).code).to.equal('TOO_LARGE');
    await new RPCServer(transport, { target: { topic, server: 'one' }, endpoints: [endpoint] }).start();
    expect(await client.call({}, 'size', new Uint8Array(limit))).to.equal(limit);
  });
});

/** The class that a failure names: native bodies are the failure, oslo's wrap it twice. */
function failureType(text: string): unknown {
  const outer = JSON.parse(text);
  return 'oslo.message' in outer ? JSON.parse(inner(text).failure).class : outer.type;
}

function inner(text: string): { readonly _msg_id: unknown; readonly failure: string } {
  return JSON.parse(JSON.parse(text)['oslo.message']);
}
