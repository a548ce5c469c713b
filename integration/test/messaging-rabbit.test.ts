import { serial, type Transport } from '@posthorn/core';
import { type BackPressure, defineMessage, Mailbox, type PublishResult, Subscriber } from '@posthorn/messaging';
import { expect } from 'chai';
import { connect } from 'posthorn';
import { z } from 'zod';
import { deferred } from '../src/deferred.ts';
import type { ManagementApi } from '../src/management.ts';
import { raiseMemoryAlarm } from '../src/memory-alarm.ts';
import { PublishTap } from '../src/publish-tap.ts';
import { type RabbitBroker, rabbitUrl } from '../src/rabbit-broker.ts';
import { connectQuietly, needOwnRabbit, needRabbit, type OwnRabbit } from '../src/rabbit-lab.ts';
import { Counter, Heard, keyPair, MessagingLab, numbers, plain, RETENTION } from '../src/suites/messaging-lab.ts';
import { TcpProxy } from '../src/tcp-proxy.ts';
import type { TransportUnderTest } from '../src/transports.ts';
import { openVhost, type Vhost } from '../src/vhost.ts';
import { waitFor } from '../src/wait-for.ts';

const KEY = keyPair('k1');
const Plan = defineMessage({ type: 'plan', version: '1.0', payload: z.object({ task: z.number() }) });
const Result = defineMessage({ type: 'plan.result', version: '1.0', payload: z.object({ task: z.number() }) });

function at(url: string): TransportUnderTest {
  return { name: 'RabbitMQ', ready: async () => undefined, connect: (options) => connect(url, options) };
}

/** What became of them: a status, or the code of the error. */
async function outcomes(results: readonly Promise<PublishResult>[]): Promise<string[]> {
  return (await Promise.allSettled(results)).map((result) =>
    result.status === 'fulfilled' ? result.value.status : String(result.reason.code),
  );
}

describe('messaging on RabbitMQ', function () {
  this.timeout(30_000);
  let broker: RabbitBroker & { readonly api: ManagementApi };
  let vhost: Vhost;

  before(async function () {
    this.timeout(180_000);
    broker = await needRabbit(this);
    vhost = await openVhost(broker);
  });

  after(() => vhost?.[Symbol.asyncDispose]());

  it('R-09: a message is persistent, confirmed, and costs one publish', async () => {
    await using tap = await PublishTap.open(vhost);
    await using lab = new MessagingLab(at(rabbitUrl(vhost, { port: tap.port })));
    const publisher = await lab.publisher({ signer: KEY });
    await publisher.publish(new Counter('first'));
    const frames: string[] = [];
    tap.proxy.onFrame((frame, way) => void (way === 'client->broker' && frames.push(frame.name ?? '')));
    const { messageId } = await publisher.publish(new Counter('second'), { key: 'metering', ttlMs: 60_000 });
    expect(tap.published).to.have.length(2);
    const { expiration, ...properties } = tap.published[1]?.properties ?? {};
    expect(tap.published[1]).to.include({ exchange: lab.exchange, routingKey: 'metering', mandatory: false });
    expect(properties).to.deep.equal({
      contentType: 'application/vnd.posthorn.message+json',
      deliveryMode: 2,
      messageId,
    });
    expect(Number(expiration)).to.be.within(59_000, 60_000);
    expect(frames.filter((name) => /declare|bind|open/.test(name))).to.deep.equal([]);
  });

  /** A publisher behind a proxy, and everything that arrives behind its back. */
  async function cutOff(
    policy: BackPressure,
    test: (publish: (n: number) => Promise<PublishResult>, back: () => Promise<void>, heard: Heard) => Promise<void>,
  ): Promise<void> {
    await using proxy = await TcpProxy.open(vhost);
    await using lab = new MessagingLab(at(vhost.url));
    const heard = new Heard();
    await lab.hear(heard, { executor: serial() });
    const on = await connectQuietly(`${rabbitUrl(vhost, { port: proxy.port })}?reconnectMinMs=5&reconnectMaxMs=50`);
    try {
      const publisher = await lab.publisher({ on, backPressure: policy });
      await publisher.publish(plain('before'));
      proxy.refuse();
      proxy.reset();
      await waitFor('the loss', () => on.status.state !== 'connected');
      const back = async (): Promise<void> => {
        await proxy.accept();
        await waitFor('the connection', () => on.status.state === 'connected');
      };
      await test((n) => publisher.publish(plain(n)), back, heard);
    } finally {
      await on.close({ timeoutMs: 1_000 });
    }
  }

  it('G-30: wait: what is published while the broker is away goes out when it is back, or is refused at its deadline', () =>
    cutOff({ policy: 'wait', limit: 3 }, async (publish, back, heard) => {
      const results = numbers(4).map(publish);
      expect(await outcomes(results.slice(3))).to.deep.equal(['OVERLOADED']);
      await back();
      expect(await outcomes(results)).to.deep.equal(['confirmed', 'confirmed', 'confirmed', 'OVERLOADED']);
      await heard.first(4);
      expect(heard.payloads).to.deep.equal(['before', 0, 1, 2]);
    }));

  it('G-30: wait: the deadline holds while the broker is away', () =>
    cutOff({ policy: 'wait', timeoutMs: 100 }, async (publish) => {
      const begun = performance.now();
      expect(await outcomes(numbers(3).map(publish))).to.deep.equal(['TIMEOUT', 'TIMEOUT', 'TIMEOUT']);
      expect(performance.now() - begun).to.be.within(95, 5_000);
    }));

  it('G-30: buffer: the newest go out when the broker is back, the others are dropped, and told', () =>
    cutOff({ policy: 'buffer', limit: 3 }, async (publish, back, heard) => {
      const results = numbers(10).map(publish);
      expect(await outcomes(results.slice(0, 7))).to.deep.equal(Array(7).fill('dropped'));
      await back();
      expect(await outcomes(results.slice(7))).to.deep.equal(['confirmed', 'confirmed', 'confirmed']);
      await heard.first(4);
      expect(heard.payloads).to.deep.equal(['before', 7, 8, 9]);
    }));

  it('G-30: drop: what is published while the broker is away is dropped, at once', () =>
    cutOff({ policy: 'drop' }, async (publish, back, heard) => {
      const begun = performance.now();
      expect(await outcomes(numbers(3).map(publish))).to.deep.equal(['dropped', 'dropped', 'dropped']);
      expect(performance.now() - begun).to.be.below(500);
      await back();
      expect(await publish(3)).to.include({ status: 'confirmed' });
      await heard.first(2);
      expect(heard.payloads).to.deep.equal(['before', 3]);
    }));

  it('a message that was written when the connection was cut has an unknown outcome, and is not written again', async () => {
    await using proxy = await TcpProxy.open(vhost);
    await using lab = new MessagingLab(at(`${rabbitUrl(vhost, { port: proxy.port })}?reconnectMinMs=5`));
    const publisher = await lab.publisher();
    await publisher.publish(plain('before'));
    const published: string[] = [];
    proxy.onFrame((frame, way) => void (way === 'client->broker' && published.push(frame.name ?? '')));
    void proxy.cutWhen((frame, way) => way === 'broker->client' && frame.name === 'basic.ack', { withhold: true });
    const result = await publisher.publish(plain('cut'));
    expect(result).to.include({ status: 'unknown' });
    expect(result.error).to.include({ code: 'UNKNOWN' });
    expect(await publisher.publish(plain('after'))).to.include({ status: 'confirmed' });
    expect(published.filter((name) => name === 'basic.publish')).to.have.length(2);
  });

  it('M-13: an agent whose network is cut in the middle of a plan runs it once, and its result arrives', async () => {
    await using proxy = await TcpProxy.open(vhost);
    await using lab = new MessagingLab(at(vhost.url));
    const agentUrl = `${rabbitUrl(vhost, { port: proxy.port })}?reconnectMinMs=5&reconnectMaxMs=50`;
    const results = new Heard();
    const engine = await lab.connect();
    const reader = new Subscriber(engine, { mailbox: `${lab.mailboxName}-results`, retention: RETENTION });
    await reader.on(Result, results.handler).start();
    await using running = await connectQuietly(agentUrl);
    const [begun, release] = [deferred(), deferred()];
    const runs: number[] = [];
    const subscriber = new Subscriber(running, {
      mailbox: lab.mailboxName,
      retention: RETENTION,
      verify: { verifier: KEY },
    });
    subscriber.on(Plan, async ({ task }, { replyTo = '' }) => {
      runs.push(task);
      begun.resolve();
      await release.promise;
      const answers = new Mailbox(running, { name: replyTo, publisherId: 'agent', ...RETENTION });
      await answers.publish(Result, { task });
    });
    await subscriber.start();
    const plans = await lab.mailbox({ signer: KEY });
    await plans.publish(Plan, { task: 7 }, { replyTo: `${lab.mailboxName}-results` });
    await begun.promise;
    proxy.refuse();
    proxy.reset();
    await waitFor('the loss', () => running.status.state !== 'connected');
    release.resolve();
    await proxy.accept();
    await results.first(1);
    // What is delivered again comes before what is new.
    await plans.publish(Plan, { task: 8 }, { replyTo: `${lab.mailboxName}-results` });
    await results.first(2);
    expect(results.payloads).to.deep.equal([{ task: 7 }, { task: 8 }]);
    expect(runs).to.deep.equal([7, 8]);
    expect(subscriber.refused).to.include({ replayed: 0 });
  });
});

describe('messaging on a RabbitMQ of our own', function () {
  this.timeout(90_000);
  let broker: OwnRabbit;

  before(async function () {
    this.timeout(180_000);
    broker = await needOwnRabbit(this);
  });

  it('M-06: a signed plan that waits in a mailbox outlasts a restart of the broker', async () => {
    await using lab = new MessagingLab(at(`${broker.url}?reconnectMaxMs=500`));
    const mailbox = await lab.mailbox({ signer: KEY });
    expect(await mailbox.publish(Plan, { task: 1 })).to.include({ status: 'confirmed' });
    const sending = await lab.calling();
    await restarted(broker, sending);
    await mailbox.publish(Plan, { task: 2 });
    const heard = new Heard();
    const reader = await lab.read(heard, { verify: { verifier: KEY }, types: [Plan], executor: serial() });
    await heard.first(2);
    expect(heard.payloads).to.deep.equal([{ task: 1 }, { task: 2 }]);
    // It goes on across a restart, too.
    await restarted(broker, await lab.serving());
    await mailbox.publish(Plan, { task: 3 });
    await heard.first(3);
    await reader.close();
  });

  it('G-30: while the broker blocks for want of memory, drop drops and wait waits', async () => {
    await using lab = new MessagingLab(at(broker.url));
    const heard = new Heard();
    await lab.hear(heard, { on: await lab.connect(), executor: serial() });
    const on = await lab.calling();
    const [waiting, dropping] = [await lab.publisher(), await lab.publisher({ backPressure: { policy: 'drop' } })];
    await waiting.publish(plain('before'));
    await using alarm = await raiseMemoryAlarm(broker);
    // The broker says so only to who publishes; this one is written.
    const noticed = waiting.publish(plain('noticed'));
    await waitFor('the block', () => on.status.state === 'blocked');
    const waited = waiting.publish(plain('waited'));
    expect(await dropping.publish(plain('dropped'))).to.include({ status: 'dropped' });
    await alarm.clear();
    expect(await outcomes([noticed, waited])).to.deep.equal(['confirmed', 'confirmed']);
    await heard.first(3);
    expect(heard.payloads).to.deep.equal(['before', 'noticed', 'waited']);
  });
});

async function restarted(broker: OwnRabbit, transport: Transport): Promise<void> {
  const { reconnects } = transport.health();
  await broker.restart();
  await waitFor(
    'the connection',
    () => transport.health().reconnects > reconnects && transport.status.state === 'connected',
    30_000,
  );
}
