import { type Delivery, MessagingError, newId, type SendOptions, type Transport } from '@posthorn/core';
import { expect } from 'chai';
import { raiseMemoryAlarm } from '../src/memory-alarm.ts';
import { rabbitUrl } from '../src/rabbit.ts';
import { connectQuietly, needOwnRabbit, type OwnRabbit, rejection } from '../src/rabbit-lab.ts';
import { TcpProxy } from '../src/tcp-proxy.ts';
import { waitFor } from '../src/wait-for.ts';

type Mailbox = { readonly kind: 'mailbox'; readonly name: string };

const KEEP = { confirm: true, persistent: true, unrouted: 'keep' } as const;
const PREFETCH = 5;

describe('RabbitMQ: a broker that is blocked', function () {
  this.timeout(30_000);
  let broker: OwnRabbit;
  const mailboxes: Mailbox[] = [];

  before(async function () {
    this.timeout(90_000);
    broker = await needOwnRabbit(this);
  });

  afterEach(async () => {
    await Promise.all(mailboxes.splice(0).map(({ name }) => broker.api.deleteQueue(name)));
  });

  function newMailbox(): Mailbox {
    const mailbox: Mailbox = { kind: 'mailbox', name: `blocked-${newId()}` };
    mailboxes.push(mailbox);
    return mailbox;
  }

  async function send(transport: Transport, to: Mailbox, text: string, options: SendOptions = {}): Promise<void> {
    await transport.send(to, { body: Buffer.from(text), messageId: newId() }, { ...KEEP, ...options });
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

  /** Publishes until the broker says that it does not read: it tells only who publishes. Returns what it was sent. */
  async function noticed(transport: Transport, to: Mailbox): Promise<Map<string, string>> {
    const outcomes = new Map<string, string>();
    await waitFor('the transport to be blocked', async () => {
      const text = `poke ${outcomes.size}`;
      if (transport.status.state !== 'blocked')
        outcomes.set(text, await outcomeOf(send(transport, to, text, { timeoutMs: 200 })));
      return transport.status.state === 'blocked';
    });
    return outcomes;
  }

  /** Everything in the mailbox, in order, up to a last message that is sent now. */
  async function drained(transport: Transport, from: Mailbox): Promise<string[]> {
    const texts: string[] = [];
    const fence = newId();
    const subscription = await transport.subscribe([from], (delivery) => {
      texts.push(Buffer.from(delivery.message.body).toString());
      void delivery.settle('accept');
    });
    await send(transport, from, fence);
    await waitFor('the last message', () => texts.includes(fence));
    await subscription.close();
    return texts.filter((text) => text !== fence);
  }

  it('immunity 12: fails what is sent by its deadline, says that it is blocked, and writes later nothing that had failed before the write', async () => {
    await using transport = await connectQuietly(broker.url);
    const mailbox = newMailbox();
    await send(transport, mailbox, 'before');
    await using alarm = await raiseMemoryAlarm(broker);
    const poked = await noticed(transport, mailbox);
    expect(transport.status).to.have.property('state', 'blocked');
    expect(transport.status)
      .to.have.property('reason')
      .that.matches(/memory/);
    expect(transport.health().state).to.equal('degraded');
    expect([...poked.values()].at(-1), 'what was written, and not confirmed').to.equal('UNKNOWN');

    const begun = performance.now();
    const failed = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        outcomeOf(send(transport, mailbox, `late ${index}`, { timeoutMs: 300 })),
      ),
    );
    expect(performance.now() - begun).to.be.within(290, 5_000);
    expect(new Set(failed)).to.deep.equal(new Set(['TIMEOUT']));
    const waiting = ['first', 'second'].map((text) => send(transport, mailbox, text));

    await alarm.clear();
    await Promise.all(waiting);
    expect(transport.status.state).to.equal('connected');
    // What was written before the block arrives too, since only its outcome was unknown.
    expect(await drained(transport, mailbox)).to.deep.equal(['before', ...poked.keys(), 'first', 'second']);
  });

  it('holds no more deliveries than the prefetch, and loses nothing', async () => {
    await using transport = await connectQuietly(broker.url);
    const mailbox = newMailbox();
    const texts = Array.from({ length: 40 }, (_, index) => `m${index}`);
    for (const text of texts) await send(transport, mailbox, text);
    await using alarm = await raiseMemoryAlarm(broker);
    const pokes = newMailbox();
    const held: Delivery[] = [];
    const seen = new Set<string>();
    const subscription = await transport.subscribe([mailbox], (delivery) => void held.push(delivery), {
      prefetch: PREFETCH,
    });
    await waitFor('the prefetch to be used up', () => held.length === PREFETCH);
    await noticed(transport, pokes);
    // Settled, but the broker does not read that: it hands out nothing further.
    const settled = held.map((delivery) => delivery.settle('accept'));
    await expect1Second(transport);
    expect(held.length).to.equal(PREFETCH);

    await alarm.clear();
    await Promise.all(settled);
    let next = PREFETCH;
    await waitFor('all of them', async () => {
      for (; next < held.length; next++) await held[next]?.settle('accept');
      return held.length === texts.length;
    });
    for (const { message } of held) seen.add(Buffer.from(message.body).toString());
    expect([...seen]).to.deep.equal(texts);
    await subscription.close();
  });

  /** A time in which a broker that reads would have answered long ago, measured by a send that times out. */
  async function expect1Second(transport: Transport): Promise<void> {
    const error = await rejection(send(transport, newMailbox(), 'in vain', { timeoutMs: 1_000 }));
    expect(error.code).to.equal('TIMEOUT');
  }

  it('immunity 13: closes by its deadline, and what it had not settled is delivered again', async () => {
    const mailbox = newMailbox();
    await using other = await connectQuietly(broker.url);
    for (const text of ['a', 'b', 'c']) await send(other, mailbox, text);
    const transport = await connectQuietly(broker.url);
    const held: Delivery[] = [];
    await transport.subscribe([mailbox], (delivery) => void held.push(delivery), { prefetch: PREFETCH });
    await waitFor('the deliveries', () => held.length === 3);
    await using alarm = await raiseMemoryAlarm(broker);
    await noticed(transport, newMailbox());
    const sending = outcomeOf(send(transport, mailbox, 'never'));
    const begun = performance.now();
    await transport.close({ timeoutMs: 500 });
    expect(performance.now() - begun).to.be.below(5_000);
    expect(await sending).to.equal('CLOSED');
    expect(transport.status.state).to.equal('closed');
    await alarm.clear();
    expect(await drained(other, mailbox)).to.deep.equal(['a', 'b', 'c']);
  });

  it('goes on consuming and settling on the other connection, where connections are split', async () => {
    await using transport = await connectQuietly(`${broker.url}?connections=split`);
    const mailbox = newMailbox();
    const texts = Array.from({ length: 100 }, (_, index) => `m${index}`);
    await Promise.all(texts.map((text) => send(transport, mailbox, text)));
    await using alarm = await raiseMemoryAlarm(broker);
    await noticed(transport, newMailbox());
    const arrived = new Set<string>();
    let settled = 0;
    const subscription = await transport.subscribe(
      [mailbox],
      async (delivery) => {
        arrived.add(Buffer.from(delivery.message.body).toString());
        if (await delivery.settle('accept')) settled++;
      },
      { prefetch: PREFETCH },
    );
    await waitFor('all to be consumed during the block', () => settled === texts.length);
    expect(transport.status.state).to.equal('blocked');
    expect(arrived.size).to.equal(texts.length);
    await waitFor('the queue to be empty', async () => {
      const queue = await broker.api.queue(mailbox.name);
      return queue?.messages === 0 && queue.messages_unacknowledged === 0;
    });
    expect(transport.status.state).to.equal('blocked');
    await alarm.clear();
    await subscription.close();
  });
});

describe('RabbitMQ: a line that is full', () => {
  let broker: OwnRabbit;

  before(async function () {
    this.timeout(90_000);
    broker = await needOwnRabbit(this);
  });

  interface Outcome {
    readonly outcomes: readonly string[];
    readonly arrived: readonly string[];
  }

  /** Four messages are sent without a connection, with room for two; the third and fourth have `lateMs` to go. */
  async function overflow(policy: string, lateMs: number): Promise<Outcome> {
    await using proxy = await TcpProxy.open(broker);
    const query = `overflow=${policy}&lineMessages=2&reconnectMinMs=50&reconnectMaxMs=100`;
    await using transport = await connectQuietly(`${rabbitUrl(broker, { port: proxy.port })}?${query}`);
    const mailbox: Mailbox = { kind: 'mailbox', name: `line-${newId()}` };
    const outcomes: string[] = [];
    const send = async (index: number, timeoutMs: number): Promise<void> => {
      const message = { body: Buffer.from(`m${index}`), messageId: newId() };
      try {
        await transport.send(mailbox, message, { ...KEEP, timeoutMs });
        outcomes[index] = 'confirmed';
      } catch (error) {
        outcomes[index] = error instanceof MessagingError ? error.code : String(error);
      }
    };
    proxy.refuse();
    proxy.reset();
    await waitFor('the loss', () => transport.status.state === 'disconnected');
    const early = [send(0, 20_000), send(1, 20_000)];
    const late = [send(2, lateMs), send(3, lateMs)];
    if (lateMs < 1_000) await Promise.all(late);
    await proxy.accept();
    await Promise.all([...early, ...late]);

    const arrived: string[] = [];
    const subscription = await transport.subscribe([mailbox], (delivery) => {
      arrived.push(Buffer.from(delivery.message.body).toString());
      void delivery.settle('accept');
    });
    await transport.send(mailbox, { body: Buffer.from('end') }, KEEP);
    await waitFor('the last message', () => arrived.includes('end'));
    await subscription.close();
    await broker.api.deleteQueue(mailbox.name);
    return { outcomes, arrived: arrived.slice(0, -1) };
  }

  it('rejects the newcomer by default', async () => {
    expect(await overflow('reject', 20_000)).to.deep.equal({
      outcomes: ['confirmed', 'confirmed', 'OVERLOADED', 'OVERLOADED'],
      arrived: ['m0', 'm1'],
    });
  });

  it('drops the oldest where told to', async () => {
    expect(await overflow('dropOldest', 20_000)).to.deep.equal({
      outcomes: ['OVERLOADED', 'OVERLOADED', 'confirmed', 'confirmed'],
      arrived: ['m2', 'm3'],
    });
  });

  it('lets the newcomer wait where told to', async () => {
    expect(await overflow('wait', 20_000)).to.deep.equal({
      outcomes: ['confirmed', 'confirmed', 'confirmed', 'confirmed'],
      arrived: ['m0', 'm1', 'm2', 'm3'],
    });
  });

  it('lets the newcomer wait no longer than its deadline, and never writes it later', async () => {
    expect(await overflow('wait', 200)).to.deep.equal({
      outcomes: ['confirmed', 'confirmed', 'TIMEOUT', 'TIMEOUT'],
      arrived: ['m0', 'm1'],
    });
  });
});

describe('RabbitMQ: a slow consumer', () => {
  it('has no more messages in its process than the prefetch', async function () {
    this.timeout(90_000);
    const broker = await needOwnRabbit(this);
    await using proxy = await TcpProxy.open(broker);
    let delivered = 0;
    proxy.onFrame(({ name }) => void (name === 'basic.deliver' && delivered++));
    await using filling = await connectQuietly(broker.url);
    await using slow = await connectQuietly(rabbitUrl(broker, { port: proxy.port }));
    const mailbox: Mailbox = { kind: 'mailbox', name: `slow-${newId()}` };
    const count = 500;
    const message = { body: Buffer.alloc(1_000) };
    await Promise.all(Array.from({ length: count }, () => filling.send(mailbox, message, KEEP)));
    const held: Delivery[] = [];
    const subscription = await slow.subscribe([mailbox], (delivery) => void held.push(delivery), {
      prefetch: PREFETCH,
    });
    for (let done = 0; done < 3 * PREFETCH; done++) {
      await waitFor('a delivery', () => held.length > done);
      expect(delivered - done).to.be.at.most(PREFETCH);
      await held[done]?.settle('accept');
    }
    await waitFor('the broker to count', async () => {
      const queue = await broker.api.queue(mailbox.name);
      return queue?.messages_unacknowledged === PREFETCH && queue.messages_ready === count - 4 * PREFETCH;
    });
    expect(delivered).to.equal(4 * PREFETCH);
    await subscription.close();
    await broker.api.deleteQueue(mailbox.name);
  });
});
