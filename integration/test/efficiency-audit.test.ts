import { newId, type Transport } from '@posthorn/core';
import { Mailbox, Publisher, Subscriber } from '@posthorn/messaging';
import { NotificationListener, Notifier } from '@posthorn/notify';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { bestOfThree } from '../src/best-of-three.ts';
import { deferred } from '../src/deferred.ts';
import { FrameTap } from '../src/frame-counter.ts';
import type { ManagementApi } from '../src/management.ts';
import { PlainEcho } from '../src/plain-echo.ts';
import type { RabbitBroker } from '../src/rabbit-broker.ts';
import { rabbitUrl } from '../src/rabbit-broker.ts';
import { connectQuietly, needRabbit } from '../src/rabbit-lab.ts';
import { FullMix, ROUND } from '../src/scenarios/full-mix.ts';
import { openVhost, type Vhost } from '../src/vhost.ts';
import { waitFor } from '../src/wait-for.ts';
import { type Journey, WireAudit } from '../src/wire-audit.ts';

/** Some 10,000 messages: a call is two. */
const ROUNDS = 60;
const CASTS = 1_000;
const FAR_MS = 200;

describe('RabbitMQ: what all that a process can be costs together', function () {
  this.timeout(120_000);
  let broker: RabbitBroker & { readonly api: ManagementApi };
  let vhost: Vhost;

  before(async function () {
    this.timeout(180_000);
    broker = await needRabbit(this);
    vhost = await openVhost(broker);
  });

  after(() => vhost?.[Symbol.asyncDispose]());

  const connect = (port: number, connectionName = `audit-${newId()}`): Promise<Transport> =>
    connectQuietly(rabbitUrl(vhost, { port }), { rabbit: { connectionName } });

  it('R-10: clients, servers, notifiers, listeners, publishers and subscribers share one connection, and nothing is declared or opened after the warm-up', async () => {
    await using tap = await FrameTap.open(broker);
    const name = `audit-${newId()}`;
    await using transport = await connect(tap.port, name);
    const mix = await FullMix.start(transport);
    await mix.round();
    tap.reset();
    for (let left = ROUNDS; left > 0; left--) await mix.round();

    const {
      'client->broker basic.ack': settlements,
      'broker->client basic.ack': confirms,
      ...others
    } = methods(tap.counts());
    const { calls, casts, notifications, messages } = ROUND;
    const confirmed = ROUNDS * (casts + notifications + messages);
    // A call is a request and a reply; whatever is sent here has one receiver.
    const moved = 2 * ROUNDS * calls + confirmed;
    expect(others).to.deep.equal({
      'client->broker basic.publish': moved,
      'broker->client basic.deliver': moved,
    });
    // One frame may acknowledge several; a reply needs none.
    expect(settlements).to.be.within(ROUNDS, ROUNDS * calls + confirmed);
    expect(confirms).to.be.within(ROUNDS, confirmed);
    expect(tap.proxy.connections).to.deep.equal({ now: 1, total: 1 });
    expect(await broker.api.connectionsNamed(name)).to.have.lengthOf(1);
  });

  it('R-11: a call costs no frame more beside all the others than it does alone', async () => {
    await using tap = await FrameTap.open(broker);
    const costOf = async (call: () => Promise<unknown>): Promise<Record<string, number>> => {
      await call();
      tap.reset();
      for (let left = 100; left > 0; left--) await call();
      await waitFor('the last acknowledgement', () => tap.counts()['client->broker basic.ack'] === 100);
      return contents(tap.counts());
    };
    await using alone = await connect(tap.port);
    const topic = newId();
    await using server = new RPCServer(alone, {
      target: { topic, server: 'one' },
      endpoints: [{ echo: (_: unknown, args: object) => args }],
    });
    await server.start();
    const only = new RPCClient(alone, { target: { topic } });
    const least = await costOf(() => only.call({}, 'echo', { n: 0 }));
    await using shared = await connect(tap.port);
    const mix = await FullMix.start(shared);
    await mix.round();
    const one = mix.clients[0];
    expect(await costOf(async () => one?.call({}, 'echo', { n: 0 }))).to.deep.equal(least);
  });

  it('R-09: what each pattern asks of the broker is what its frames say', async () => {
    await using audit = await WireAudit.open(broker);
    await using transport = await connect(audit.proxy.port);
    const patterns = await Patterns.start(transport, audit);
    const found = await patterns.travels();
    print(found);
    expect(found).to.deep.equal(TABLE);
  });

  it('R-08: 1,000 casts that nobody awaits are written within a second over 200 ms each way, and confirmed within one more round trip', async () => {
    await using tap = await FrameTap.open(broker);
    await using transport = await connect(tap.port);
    const mix = await FullMix.start(transport);
    await mix.round();
    const [client] = mix.clients;
    tap.proxy.latencyMs = FAR_MS;
    const [writtenMs, confirmedMs] = await bestOfThree(async () => {
      tap.reset();
      const begun = performance.now();
      const casts = Array.from({ length: CASTS }, (_, n) => client?.cast({}, 'note', { n }));
      await waitFor('all to be written', () => tap.counts()['client->broker basic.publish'] === CASTS);
      const tookMs = performance.now() - begun;
      await Promise.all(casts);
      return [tookMs, performance.now() - begun] as const;
    });
    expect(writtenMs).to.be.below(1_000);
    expect(confirmedMs).to.be.below(1_000 + 2 * FAR_MS);
    tap.proxy.latencyMs = 0;
  });

  it('R-16: a call costs the frames that a plain client and server cost, and hardly more bytes', async () => {
    await using tap = await FrameTap.open(broker);
    let bytes = 0;
    tap.proxy.onData((chunk) => {
      bytes += chunk.length;
    });
    const costOf = async (call: () => Promise<unknown>): Promise<{ frames: Record<string, number>; bytes: number }> => {
      for (let left = 10; left > 0; left--) await call();
      await waitFor('the acknowledgements', () => (tap.counts()['client->broker basic.ack'] ?? 0) % 10 === 0);
      tap.reset();
      bytes = 0;
      for (let left = 100; left > 0; left--) await call();
      await waitFor('the last acknowledgement', () => tap.counts()['client->broker basic.ack'] === 100);
      return { frames: contents(tap.counts()), bytes: bytes / 100 };
    };
    const args = { instance: 'i-0f3a9c51', hard: false };
    const theirs = await (async () => {
      await using plain = await PlainEcho.open({ ...vhost, port: tap.port });
      return await costOf(() => plain.call(args));
    })();
    await using transport = await connect(tap.port);
    const topic = newId();
    await new RPCServer(transport, {
      target: { topic, server: 'one' },
      endpoints: [{ echo: (_: unknown, given: object) => given }],
    }).start();
    const client = new RPCClient(transport, { target: { topic } });
    const ours = await costOf(() => client.call({}, 'echo', args));
    expect(ours.frames).to.deep.equal(theirs.frames);
    expect(ours.bytes).to.be.below(1.5 * theirs.bytes);
  });
});

interface Travel {
  readonly durable: boolean;
  readonly confirmed: boolean;
  readonly expires: boolean;
  readonly mandatory: boolean;
  /** When the receiver acknowledges: before its work, after it, or never. */
  readonly acknowledged: 'before' | 'after' | 'never';
}

const TABLE: Readonly<Record<string, Travel>> = {
  call: { durable: false, confirmed: false, expires: true, mandatory: true, acknowledged: 'before' },
  reply: { durable: false, confirmed: false, expires: false, mandatory: true, acknowledged: 'never' },
  cast: { durable: true, confirmed: true, expires: false, mandatory: false, acknowledged: 'before' },
  fanout: { durable: false, confirmed: true, expires: false, mandatory: false, acknowledged: 'before' },
  notification: { durable: true, confirmed: true, expires: false, mandatory: true, acknowledged: 'after' },
  message: { durable: true, confirmed: true, expires: false, mandatory: false, acknowledged: 'after' },
  mailbox: { durable: true, confirmed: true, expires: false, mandatory: true, acknowledged: 'after' },
};

function print(table: Readonly<Record<string, Travel>>): void {
  const yes = (is: boolean): string => (is ? 'yes' : '-').padEnd(9);
  console.log('      pattern       durable   confirmed ttl       mandatory acknowledged');
  for (const [name, { durable, confirmed, expires, mandatory, acknowledged }] of Object.entries(table))
    console.log(
      `      ${name.padEnd(13)} ${[durable, confirmed, expires, mandatory].map(yes).join(' ')} ${acknowledged}`,
    );
}

/** One of each pattern, whose work makes a call of its own: by its end, all that was written before it has been seen. */
class Patterns {
  readonly #transport: Transport;
  readonly #audit: WireAudit;
  readonly #topic = newId();
  readonly #other = newId();
  #handled = deferred();
  /** Of the message that is under way: whether it was settled when its work was done. */
  #settledEarly = false;

  private constructor(transport: Transport, audit: WireAudit) {
    this.#transport = transport;
    this.#audit = audit;
  }

  static async start(transport: Transport, audit: WireAudit): Promise<Patterns> {
    const patterns = new Patterns(transport, audit);
    const work = (): Promise<void> => patterns.#work();
    const topic = patterns.#topic;
    await Promise.all([
      new RPCServer(transport, {
        target: { topic: patterns.#other, server: 'one' },
        endpoints: [{ ping: () => null }],
      }).start(),
      new RPCServer(transport, { target: { topic, server: 'one' }, endpoints: [{ work }] }).start(),
      new NotificationListener(transport, { targets: [{ topic }], endpoints: [{ info: work }] }).start(),
      new Subscriber(transport, { exchange: topic, group: topic }).bind('news', work).start(),
      new Subscriber(transport, { mailbox: `${topic}-box` }).bind('#', work).start(),
    ]);
    await patterns.#ping();
    return patterns;
  }

  /** Sends one of each. */
  async travels(): Promise<Record<string, Travel>> {
    const transport = this.#transport;
    const topic = this.#topic;
    const client = new RPCClient(transport, { target: { topic } });
    const notifier = new Notifier(transport, { publisherId: 'audit', topics: [topic] });
    const publisher = new Publisher(transport, { publisherId: 'audit', exchange: topic });
    const mailbox = new Mailbox(transport, { publisherId: 'audit', name: `${topic}-box` });
    const message = { messageType: 'news', version: '1.0', payload: {} };
    const call = await this.#travel(() => client.call({}, 'work'));
    return {
      call,
      reply: travelOf(this.#audit.journeys.at(-1), false),
      cast: await this.#travel(() => client.cast({}, 'work')),
      fanout: await this.#travel(() => client.fanout({}, 'work')),
      notification: await this.#travel(() => notifier.info({}, 'audit', {})),
      message: await this.#travel(() => publisher.send('news', message)),
      mailbox: await this.#travel(() => mailbox.publish(message)),
    };
  }

  /** From the first message that sending publishes. */
  async #travel(send: () => Promise<unknown>): Promise<Travel> {
    this.#handled = deferred();
    this.#audit.forget();
    await Promise.all([send(), this.#handled.promise]);
    const [journey] = this.#audit.journeys;
    await waitFor('its acknowledgement', () => journey?.arrivals.every(({ settled }) => settled));
    return travelOf(journey, this.#settledEarly);
  }

  async #work(): Promise<void> {
    await this.#ping();
    this.#settledEarly = this.#audit.journeys[0]?.arrivals.every(({ settled }) => settled) ?? false;
    this.#handled.resolve();
  }

  #ping(): Promise<unknown> {
    return new RPCClient(this.#transport, { target: { topic: this.#other } }).call({}, 'ping');
  }
}

function travelOf(journey: Journey | undefined, settledEarly: boolean): Travel {
  if (journey === undefined) throw new Error('nothing was published');
  const { durable, expires, mandatory, confirm, arrivals } = journey;
  expect(arrivals).to.have.lengthOf(1);
  const acknowledges = arrivals[0]?.acknowledged ?? false;
  const when = settledEarly ? 'before' : 'after';
  return { durable, confirmed: confirm === 'come', expires, mandatory, acknowledged: acknowledges ? when : 'never' };
}

/** Frames with a method, but for heartbeats and contents. */
function methods(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([key]) => / \w+\./.test(key)));
}

/** Frames that are no heartbeats. */
function contents(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([key]) => !key.endsWith(' heartbeat')));
}
