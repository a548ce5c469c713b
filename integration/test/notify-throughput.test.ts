import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { newId, silent } from '@posthorn/core';
import { NotificationListener, Notifier } from '@posthorn/notify';
import { type ConfirmChannel, type ConsumeMessage, connect as connectAmqp } from 'amqplib';
import { expect } from 'chai';
import { connect } from 'posthorn';
import { findRabbit, isSkip, type RabbitBroker } from '../src/rabbit-broker.ts';
import { skip } from '../src/skip.ts';

/** The whole measure by POSTHORN_SOAK=1; else enough to see that it works. */
const EVENTS = process.env['POSTHORN_SOAK'] ? 100_000 : 5_000;
const BATCH = 100;
/** Not confirmed yet, at most, for both. */
const IN_FLIGHT = 500;
const PAYLOAD = { instance: 'i-0f3a9c51', state: 'active', vcpus: 2, host: 'compute.host1' };
/** What the heap may grow by from the first tenth to the end, garbage collected. */
const GROWTH_MB = 8;

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

function heapMb(): number {
  collect();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

/** Sends them all, so many at a time. */
async function pour(send: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < EVENTS) await send(next++);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}

/** Counts what arrived; measures memory after a tenth and at the end. */
class Arrivals {
  readonly done: Promise<void>;
  readonly heap: number[] = [];
  count = 0;
  #resolve: () => void = () => {};

  constructor() {
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  add(many: number): void {
    const before = this.count;
    this.count += many;
    if (before < EVENTS / 10 && this.count >= EVENTS / 10) this.heap.push(heapMb());
    if (this.count < EVENTS) return;
    this.heap.push(heapMb());
    this.#resolve();
  }
}

async function rateOf(work: Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work;
  return Math.round((EVENTS / (performance.now() - began)) * 1_000);
}

describe('notifications in batches', function () {
  this.timeout(600_000);
  let broker: RabbitBroker;

  before(async function () {
    const found = await findRabbit();
    if (isSkip(found)) return skip(this, 'notifications in batches', found.skip);
    broker = found;
  });

  it(`${EVENTS} come in batches of ${BATCH}, memory stays flat, and plain amqplib is told beside`, async () => {
    const twin = await plain(broker.url);
    const arrivals = new Arrivals();
    const sizes = new Set<number>();
    await using transport = await connect(broker.url, { logger: silent });
    await using telling = await connect(broker.url, { logger: silent });
    const topic = `topic-${newId()}`;
    await new NotificationListener(transport, {
      targets: [{ topic }],
      retention: { expiresMs: 60_000 },
      endpoints: [
        {
          info(batch: readonly unknown[]) {
            sizes.add(batch.length);
            arrivals.add(batch.length);
          },
        },
      ],
      batch: { size: BATCH, maxAgeMs: 5_000 },
    }).start();
    const notifier = new Notifier(telling, { publisherId: 'compute.host1', topics: [topic] });
    const pouring = pour((n) => notifier.info({ user_id: 'alice' }, 'compute.instance.update', { ...PAYLOAD, n }));
    const rate = await rateOf(Promise.all([pouring, arrivals.done]));
    const [early = 0, late = 0] = arrivals.heap;
    console.log(
      `      ${rate} notifications/s, plain amqplib ${twin}/s, ratio ${(rate / twin).toFixed(2)}; ` +
        `heap ${early.toFixed(1)} MB after a tenth, ${late.toFixed(1)} MB in the end`,
    );
    expect(arrivals.count).to.equal(EVENTS);
    expect([...sizes]).to.deep.equal([BATCH]);
    expect(late - early).to.be.below(GROWTH_MB);
  });
});

/** The same by hand: persistent and confirmed, taken in batches that are acknowledged message by message. */
async function plain(url: string): Promise<number> {
  const open = () => connectAmqp(url.replace(/^rabbit:/, 'amqp:'), { noDelay: true });
  const [receiving, sending] = await Promise.all([open(), open()]);
  const queue = newId();
  const channel = await receiving.createChannel();
  const confirming: ConfirmChannel = await sending.createConfirmChannel();
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-expires': 60_000 } });
  await channel.prefetch(2 * BATCH);
  const arrivals = new Arrivals();
  let batch: ConsumeMessage[] = [];
  await channel.consume(queue, (message) => {
    if (message === null) return;
    batch.push(message);
    if (batch.length < BATCH) return;
    for (const one of batch) {
      JSON.parse(one.content.toString());
      channel.ack(one);
    }
    arrivals.add(batch.length);
    batch = [];
  });
  const send = (n: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const body = Buffer.from(JSON.stringify({ ...PAYLOAD, n }));
      const headers = { publisher: 'compute.host1', event: 'compute.instance.update', priority: 'info' };
      const options = {
        persistent: true,
        mandatory: true,
        contentType: 'application/json',
        messageId: newId(),
        headers,
      };
      confirming.publish('', queue, body, options, (error) => (error ? reject(error) : resolve()));
    });
  const rate = await rateOf(Promise.all([pour(send), arrivals.done]));
  await Promise.all([receiving.close(), sending.close()]);
  return rate;
}
