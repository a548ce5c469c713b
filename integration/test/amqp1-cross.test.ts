import { type Message, newId, type Transport } from '@posthorn/core';
import { type Notification, NotificationListener, Notifier } from '@posthorn/notify';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { amqp1Url } from '../src/amqp1-harness.ts';
import { isSkip, rabbitVersions } from '../src/rabbit-broker.ts';
import { connectQuietly, rejection } from '../src/rabbit-lab.ts';
import { skip } from '../src/skip.ts';
import { openVhost, type Vhost } from '../src/vhost.ts';
import { waitFor } from '../src/wait-for.ts';

type Way = readonly [client: 'amqp1' | 'rabbit', server: 'amqp1' | 'rabbit'];

const WAYS: readonly Way[] = [
  ['amqp1', 'rabbit'],
  ['rabbit', 'amqp1'],
];

for (const { name, find } of rabbitVersions()) {
  describe(`AMQP 1.0 and 0-9-1 through one ${name}`, function () {
    this.timeout(20_000);
    let vhost: Vhost;
    const open: Transport[] = [];

    let is3: boolean;

    before(async function () {
      this.timeout(180_000);
      const broker = await find();
      if (isSkip(broker)) return skip(this, name, broker.skip);
      is3 = broker.version.startsWith('3.');
      vhost = await openVhost(broker);
    });

    afterEach(async () => {
      await Promise.all(open.splice(0).map((transport) => transport.close()));
    });

    after(() => vhost?.[Symbol.asyncDispose]());

    async function connect(protocol: Way[0]): Promise<Transport> {
      const transport = await connectQuietly(protocol === 'rabbit' ? vhost.url : amqp1Url(vhost));
      open.push(transport);
      return transport;
    }

    for (const [client, server] of WAYS)
      it(`carries what is sent by ${client}:// to who listens by ${server}://, and what comes back`, async function () {
        if (is3 && server === 'amqp1') skip(this, `${name} to AMQP 1.0`, 'the plugin of RabbitMQ 3 binds no queues');
        const to = { kind: 'anycast', exchange: 'cross', topic: newId() } as const;
        const heard: Message[] = [];
        await (await connect(server)).subscribe([to], (delivery) => {
          heard.push(delivery.message);
          void delivery.settle(heard.length === 1 ? 'release' : 'accept');
        });
        const message = { body: Buffer.from('grün'), contentType: 'text/plain', messageId: 'id', correlationId: 'c' };
        await (await connect(client)).send(to, message, { confirm: true, persistent: true });
        await waitFor('it, twice', () => heard.length === 2);
        for (const { body, contentType, messageId, correlationId } of heard)
          expect([Buffer.from(body).toString(), contentType, messageId, correlationId]).to.deep.equal([
            'grün',
            'text/plain',
            'id',
            'c',
          ]);
      });

    for (const [client, server] of WAYS) {
      describe(`a client on ${client}:// and a server on ${server}://`, () => {
        before(function () {
          if (is3) skip(this, `${name} over both protocols`, 'the plugin of RabbitMQ 3 knows no reply addresses');
        });

        const topic = `topic-${newId()}`;
        const target = { exchange: 'cross', topic };

        async function pair(endpoint: object): Promise<{ readonly caller: RPCClient; readonly serving: Transport }> {
          const serving = await connect(server);
          await new RPCServer(serving, { target: { ...target, server: 's' }, endpoints: [endpoint] }).start();
          return { caller: new RPCClient(await connect(client), { target, timeoutMs: 8_000 }), serving };
        }

        it('call each other, with values of every kind', async () => {
          const { caller } = await pair({ echo: (_: unknown, args: object) => args });
          const args = { text: 'grün 鳥', number: 1.5, nothing: null, list: [1, 'two', true], deep: { a: { b: [] } } };
          expect(await caller.call({ user: 'u' }, 'echo', args)).to.deep.equal(args);
          expect(await caller.prepare({ server: 's' }).call({}, 'echo', args)).to.deep.equal(args);
        });

        it('carry bytes as they are', async () => {
          const { caller } = await pair({ size: (_: unknown, { bytes }: { readonly bytes: string }) => bytes.length });
          expect(await caller.call({}, 'size', { bytes: 'x'.repeat(300_000) })).to.equal(300_000);
        });

        it('tell failures', async () => {
          const { caller } = await pair({ fail: () => Promise.reject(new RangeError('too far')) });
          const error = await rejection(caller.call({}, 'fail'));
          expect(error.code).to.equal('REMOTE');
          expect(error.message).to.contain('too far');
        });

        it('cast, and fan out', async () => {
          const heard: string[] = [];
          const { caller } = await pair({
            hear: (_: unknown, { what }: { readonly what: string }) => heard.push(what),
          });
          await caller.cast({}, 'hear', { what: 'cast' });
          await caller.fanout({}, 'hear', { what: 'fanout' });
          await waitFor('both', () => heard.length === 2);
          expect(heard.sort()).to.deep.equal(['cast', 'fanout']);
        });

        it('make 200 concurrent calls', async () => {
          const { caller } = await pair({ same: (_: unknown, { n }: { readonly n: number }) => n });
          const numbers = Array.from({ length: 200 }, (_, n) => n);
          expect(await Promise.all(numbers.map((n) => caller.call({}, 'same', { n })))).to.deep.equal(numbers);
        });

        it('learn at once that nobody serves', async () => {
          const caller = new RPCClient(await connect(client), { target: { exchange: 'cross', topic: newId() } });
          expect((await rejection(caller.call({}, 'any'))).code).to.equal('UNROUTABLE');
        });

        it('notify and listen', async () => {
          const heard: Notification[] = [];
          const listening = await connect(server);
          const notifications = `events-${newId()}`;
          const targets = [{ exchange: 'cross', topic: notifications }];
          const endpoints = [{ info: (notification: Notification) => void heard.push(notification) }];
          await new NotificationListener(listening, { targets, endpoints }).start();
          const options = { publisherId: 'p', topics: [notifications], exchange: 'cross' };
          const notifier = new Notifier(await connect(client), options);
          await notifier.info({}, 'made', { n: 1 });
          await waitFor('the notification', () => heard.length === 1);
          expect(heard[0]).to.deep.include({ eventType: 'made', payload: { n: 1 } });
        });
      });
    }
  });
}
