import { type Delivery, MessagingError, newId, type SendOptions, type Status, type Transport } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { amqp1Url } from '../src/amqp1-harness.ts';
import { deferred } from '../src/deferred.ts';
import { raiseMemoryAlarm } from '../src/memory-alarm.ts';
import { isSkip, type RabbitBroker, rabbitVersions } from '../src/rabbit-broker.ts';
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

function textOf({ message }: Delivery): string {
  return Buffer.from(message.body).toString();
}

/** `confirmed`, or the code of the error. */
async function outcomeOf(sending: Promise<void>): Promise<string> {
  try {
    await sending;
    return 'confirmed';
  } catch (error) {
    return error instanceof MessagingError ? error.code : String(error);
  }
}

/** Accepts what comes, and keeps the texts. */
async function listen(transport: Transport, from: Mailbox): Promise<string[]> {
  const texts: string[] = [];
  await transport.subscribe([from], (delivery) => {
    texts.push(textOf(delivery));
    void delivery.settle('accept');
  });
  return texts;
}

for (const { name, find } of rabbitVersions())
  describe(`AMQP 1.0: what ${name} takes away`, function () {
    this.timeout(30_000);
    let broker: RabbitBroker;
    let vhost: Vhost;

    before(async function () {
      this.timeout(180_000);
      const found = await find();
      if (isSkip(found)) return skip(this, name, found.skip);
      if (found.api === undefined) return skip(this, `the management API of ${name}`, 'its variable is not set');
      broker = found;
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
      await broker.api?.closeConnectionsNamed(connectionName, 'maintenance');
      await waitFor('the loss', () => states.includes('disconnected'));
      await send(transport, mailbox, 'after');
      await waitFor('both', () => texts.length === 2);
      expect(texts).to.deep.equal(['before', 'after']);
      expect(states).to.deep.equal(['connected', 'disconnected', 'connected']);
    });

    it('a queue that is deleted under its consumer is made and consumed again, on the same connection', async () => {
      await using transport = await connectQuietly(amqp1Url(vhost));
      const mailbox = newMailbox();
      const texts = await listen(transport, mailbox);
      await send(transport, mailbox, 'before');
      await waitFor('the first', () => texts.length === 1);
      await broker.api?.deleteQueue(mailbox.name, vhost.vhost);
      await waitFor('the consumer', async () => {
        await send(transport, mailbox, 'after');
        return texts.includes('after');
      });
      expect(transport.status).to.include({ state: 'connected', generation: 1 });
    });

    it('a call in flight when the connection is closed ends as unknown at once, and the next one is answered', async function () {
      const connectionName = `calling-${newId()}`;
      await using calling = await connectQuietly(`${amqp1Url(vhost)}?connectionName=${connectionName}&reconnectMinMs=10`);
      if (broker.version.startsWith('3.')) {
        const client = new RPCClient(calling, { target: { topic: newId() } });
        return expect((await rejection(client.call({}, 'any'))).code).to.equal('UNSUPPORTED');
      }
      await using serving = await connectQuietly(amqp1Url(vhost));
      const topic = newId();
      const started = deferred();
      const go = deferred();
      const endpoint = {
        slow: async (): Promise<void> => {
          started.resolve();
          await go.promise;
        },
        quick: () => 'answer',
      };
      await new RPCServer(serving, { target: { topic, server: 'one' }, endpoints: [endpoint] }).start();
      const client = new RPCClient(calling, { target: { topic } });
      const failure = rejection(client.call({}, 'slow'));
      await started.promise;
      const begun = performance.now();
      await broker.api?.closeConnectionsNamed(connectionName);
      expect((await failure).code).to.equal('UNKNOWN');
      expect(performance.now() - begun).to.be.below(10_000);
      expect(await client.call({}, 'quick')).to.equal('answer');
      go.resolve();
    });
  });

describe('AMQP 1.0: a RabbitMQ that is blocked', function () {
  this.timeout(30_000);
  let broker: OwnRabbit;

  before(async function () {
    this.timeout(90_000);
    broker = await needOwnRabbit(this);
  });

  it('fails what is sent by its deadline, writes nothing later that had failed before the write, and loses nothing', async () => {
    const states: Status['state'][] = [];
    await using transport = await connectQuietly(`${amqp1Url(broker)}?window=5`, {
      onStatus: ({ state }) => void states.push(state),
    });
    const mailbox = newMailbox();
    await send(transport, mailbox, 'before');
    await using alarm = await raiseMemoryAlarm(broker);
    const texts = Array.from({ length: 20 }, (_, index) => `late ${index}`);
    const begun = performance.now();
    const outcomes = await Promise.all(
      texts.map((text) => outcomeOf(send(transport, mailbox, text, { timeoutMs: 300 }))),
    );
    console.log(outcomes, performance.now() - begun, states);
    const waiting = ['first', 'second'].map((text) => send(transport, mailbox, text, { timeoutMs: 20_000 }));
    await alarm.clear();
    await Promise.all(waiting);
    const arrived = await listen(transport, mailbox);
    await send(transport, mailbox, 'fence');
    await waitFor('the last', () => arrived.includes('fence'));
    console.log(arrived, states);
  });
});
