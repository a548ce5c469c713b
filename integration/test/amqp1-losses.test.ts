import { newId, type SendOptions, type Status, type Transport } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { amqp1Url } from '../src/amqp1-harness.ts';
import { deferred } from '../src/deferred.ts';
import type { ManagementApi } from '../src/management.ts';
import { raiseMemoryAlarm } from '../src/memory-alarm.ts';
import { isSkip, rabbitVersions } from '../src/rabbit-broker.ts';
import { connectQuietly, needOwnRabbit, type OwnRabbit, rejection } from '../src/rabbit-lab.ts';
import { skip } from '../src/skip.ts';
import { openVhost, type Vhost } from '../src/vhost.ts';
import { waitFor } from '../src/wait-for.ts';

type Mailbox = { readonly kind: 'mailbox'; readonly name: string };

const KEEP = { confirm: true, persistent: true, unrouted: 'keep' } as const;

function newMailbox(): Mailbox {
  return { kind: 'mailbox', name: `losses-${newId()}` };
}

async function send(transport: Transport, to: Mailbox, text: string, options: SendOptions = {}): Promise<void> {
  await transport.send(to, { body: Buffer.from(text), messageId: newId() }, { ...KEEP, ...options });
}

/** Accepts what comes, and keeps the texts. */
async function listen(transport: Transport, from: Mailbox): Promise<string[]> {
  const texts: string[] = [];
  await transport.subscribe([from], (delivery) => {
    texts.push(Buffer.from(delivery.message.body).toString());
    void delivery.settle('accept');
  });
  return texts;
}

for (const { name, find } of rabbitVersions().filter((one) => one.name !== 'RabbitMQ'))
  describe(`AMQP 1.0: what ${name} takes away`, function () {
    this.timeout(30_000);
    let api: ManagementApi;
    let vhost: Vhost;

    before(async function () {
      this.timeout(180_000);
      const broker = await find();
      if (isSkip(broker)) return skip(this, name, broker.skip);
      if (broker.api === undefined) return skip(this, `the management API of ${name}`, 'its variable is not set');
      api = broker.api;
      vhost = await openVhost(broker);
    });

    after(() => vhost?.[Symbol.asyncDispose]());

    it('a connection that the operator closes comes back, with its subscriptions', async () => {
      const connectionName = `operated-${newId()}`;
      const states: Status['state'][] = [];
      const onStatus = ({ state }: Status): void => void states.push(state);
      const url = `${amqp1Url(vhost)}?connectionName=${connectionName}&reconnectMinMs=10`;
      await using transport = await connectQuietly(url, { onStatus });
      const mailbox = newMailbox();
      const texts = await listen(transport, mailbox);
      await send(transport, mailbox, 'before');
      await waitFor('the first', () => texts.length === 1);
      await api.closeConnectionsNamed(connectionName);
      await waitFor('the loss', () => states.includes('disconnected'));
      await send(transport, mailbox, 'after');
      await waitFor('both', () => texts.length === 2);
      expect(texts).to.deep.equal(['before', 'after']);
      expect(states).to.deep.equal(['connected', 'disconnected', 'connected']);
    });

    it('a queue that is deleted under its consumer is made and consumed again, on the same connection', async () => {
      await using transport = await connectQuietly(amqp1Url(vhost));
      await deleteUnderConsumer(transport, api, vhost.vhost);
      expect(transport.status).to.include({ state: 'connected', generation: 1 });
    });

    it('a call in flight when its connection is closed ends as unknown at once, and the next one is answered', async () => {
      const connectionName = `calling-${newId()}`;
      await using serving = await connectQuietly(amqp1Url(vhost));
      await using calling = await connectQuietly(
        `${amqp1Url(vhost)}?connectionName=${connectionName}&reconnectMinMs=10`,
      );
      const topic = newId();
      const [started, go] = [deferred(), deferred()];
      const endpoint = {
        slow: async (): Promise<void> => {
          started.resolve();
          await go.promise;
        },
        quick: () => 'answer',
      };
      await new RPCServer(serving, { target: { topic, server: 'one' }, endpoints: [endpoint] }).start();
      const client = new RPCClient(calling, { target: { topic }, timeoutMs: 25_000 });
      const failing = rejection(client.call({}, 'slow'));
      await started.promise;
      await api.closeConnectionsNamed(connectionName);
      expect((await failing).code).to.equal('UNKNOWN');
      expect(await client.call({}, 'quick')).to.equal('answer');
      go.resolve();
    });
  });

describe('AMQP 1.0: what befalls RabbitMQ 3', function () {
  this.timeout(30_000);
  let broker: OwnRabbit;

  before(async function () {
    this.timeout(90_000);
    broker = await needOwnRabbit(this);
  });

  it('a queue that is deleted under its consumer is made and consumed again', async () => {
    await using transport = await connectQuietly(`${amqp1Url(broker)}?reconnectMinMs=10`);
    await deleteUnderConsumer(transport, broker.api, broker.vhost);
  });

  it('a memory alarm, of which its plugin takes no notice, loses nothing', async () => {
    await using blocked = await connectQuietly(broker.url);
    await using transport = await connectQuietly(amqp1Url(broker));
    const mailbox = newMailbox();
    await send(transport, mailbox, 'before');
    await using alarm = await raiseMemoryAlarm(broker);
    await waitFor('the alarm', async () => {
      if (blocked.status.state !== 'blocked')
        await send(blocked, newMailbox(), 'poke', { timeoutMs: 200 }).catch(() => undefined);
      return blocked.status.state === 'blocked';
    });
    const texts = Array.from({ length: 50 }, (_, index) => `m${index}`);
    await Promise.all(texts.map((text) => send(transport, mailbox, text)));
    const arrived = await listen(transport, mailbox);
    await alarm.clear();
    await send(transport, mailbox, 'after');
    await waitFor('the last', () => arrived.includes('after'));
    expect(arrived).to.deep.equal(['before', ...texts, 'after']);
    expect(transport.status).to.include({ state: 'connected', generation: 1 });
  });
});

/** Resolves when the consumer of a queue that was deleted receives again. */
async function deleteUnderConsumer(transport: Transport, api: ManagementApi, vhost: string): Promise<void> {
  const mailbox = newMailbox();
  const texts = await listen(transport, mailbox);
  await send(transport, mailbox, 'before');
  await waitFor('the first', () => texts.length === 1);
  await api.deleteQueue(mailbox.name, vhost);
  await waitFor('the consumer', async () => {
    await send(transport, mailbox, 'after', { timeoutMs: 1_000 });
    return texts.includes('after');
  });
  await api.deleteQueue(mailbox.name, vhost);
}
