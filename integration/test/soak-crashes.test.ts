import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { concurrent, newId, type Transport } from '@posthorn/core';
import { NotificationListener, Notifier } from '@posthorn/notify';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { deferred } from '../src/deferred.ts';
import { NodePeer } from '../src/node-peer.ts';
import { rabbitUrl } from '../src/rabbit.ts';
import { connectQuietly, needRabbit } from '../src/rabbit-lab.ts';
import { recordingLogger } from '../src/recording-logger.ts';
import { figures, times } from '../src/soak.ts';
import { type FramePredicate, TcpProxy } from '../src/tcp-proxy.ts';
import { makeTempFolder } from '../src/temp-folder.ts';
import { openVhost, type Vhost } from '../src/vhost.ts';
import { waitFor } from '../src/wait-for.ts';

const CONSUMER = fileURLToPath(new URL('./programs/doomed-consumer.ts', import.meta.url));
const KILLS = times(20, 200);
const CUTS = times(20, 200);
/** Consumers that are started ahead, since starting takes longer than being killed. */
const SPARES = 2;

interface Execution {
  readonly kind: 'call' | 'notification';
  readonly id: string;
  readonly pid: number;
}

describe('RabbitMQ: work that is cut short', () => {
  let vhost: Vhost;

  before(async function () {
    this.timeout(90_000);
    vhost = await openVhost(await needRabbit(this));
  });

  after(async () => {
    await vhost?.[Symbol.asyncDispose]();
  });

  /** Resolves when no queue holds a message, settled or not. */
  async function settled(): Promise<void> {
    await waitFor('all to be settled', async () => {
      const queues = (await vhost.broker.api?.queues(vhost.vhost)) ?? [];
      return queues.length > 0 && queues.every(({ messages }) => messages === 0);
    });
  }

  it(`${KILLS} consumers are killed at work: no call is ever run twice, and a notification goes on to another each time`, async function () {
    this.timeout(KILLS * 5_000);
    const topic = newId();
    const file = join(makeTempFolder('executions'), 'executions');
    writeFileSync(file, '');
    const executions = (): Execution[] =>
      readFileSync(file, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line));
    const start = (mode: string): Promise<NodePeer> => NodePeer.start(CONSUMER, [vhost.url, topic, file, mode]);
    const spares = Array.from({ length: SPARES }, () => start('hang'));
    await using transport = await connectQuietly(vhost.url);

    // The first consumer makes the queues; all that is to be done waits in them from then on.
    const ids = Array.from({ length: KILLS + 3 }, (_, index) => `call ${index}`);
    const client = new RPCClient(transport, { target: { topic }, unrouted: 'fail' });
    const notifier = new Notifier(transport, { publisherId: 'test', topics: [`${topic}-told`] });
    await notifier.info({}, 'told', 'the notification');
    for (let kill = 0; kill < KILLS; kill++) {
      const consumer = await spares.shift();
      if (consumer === undefined) throw new Error('no consumer');
      await consumer.line('ready');
      consumer.tell('go');
      if (kill === 0) {
        await waitFor('the server', () => client.cast({}, 'run', { id: ids[0] }).then(() => true));
        await Promise.all(ids.slice(1).map((id) => client.cast({}, 'run', { id })));
      }
      await Promise.all([consumer.line('call is at it'), consumer.line('notification is at it')]);
      if (kill + SPARES < KILLS) spares.push(start('hang'));
      else if (kill + SPARES === KILLS) spares.push(start('finish'));
      await consumer.kill();
    }
    const last = await spares.shift();
    await last?.line('ready');
    last?.tell('go');
    await waitFor('the rest to be done', () => executions().filter(({ kind }) => kind === 'call').length >= ids.length);
    await last?.line('notification is at it');
    last?.tell('end');
    expect(await last?.wait()).to.equal('code 0');

    const calls = executions().filter(({ kind }) => kind === 'call');
    expect(calls.map(({ id }) => id).sort()).to.deep.equal([...ids].sort());
    const notified = executions().filter(({ kind }) => kind === 'notification');
    expect(notified).to.have.length(KILLS + 1);
    expect(new Set(notified.map(({ pid }) => pid)).size).to.equal(KILLS + 1);
    await settled();
    figures('consumers killed at work', { kills: KILLS, callsRunTwice: 0, redelivered: notified.length - 1 });
  });

  /** Serves calls and notifications alike: `run` and `info` count by what they are given. */
  async function serveBoth(transport: Transport, topic: string, ran: (id: string) => void): Promise<void> {
    const run = (_: unknown, { id }: { readonly id: string }): void => ran(id);
    await new RPCServer(transport, { target: { topic, server: 'one' }, endpoints: [{ run }] }).start();
    const info = ({ payload }: { readonly payload: unknown }): void => ran(String(payload));
    await new NotificationListener(transport, { targets: [{ topic }], endpoints: [{ info }] }).start();
  }

  for (const kind of ['call', 'notification'] as const) {
    it(`${CUTS} connections are cut between the delivery of a ${kind} and its acknowledgement: none is handled a second time in its process`, async function () {
      this.timeout(CUTS * 5_000);
      await using proxy = await TcpProxy.open(vhost);
      const logger = recordingLogger();
      const url = `${rabbitUrl(vhost, { port: proxy.port })}?reconnectMinMs=1&reconnectMaxMs=20`;
      await using serving = await connectQuietly(url, { logger });
      await using transport = await connectQuietly(vhost.url);
      const topic = newId();
      const runs = new Map<string, number>();
      await serveBoth(serving, topic, (id) => void runs.set(id, (runs.get(id) ?? 0) + 1));
      const client = new RPCClient(transport, { target: { topic } });
      const notifier = new Notifier(transport, { publisherId: 'test', topics: [topic] });
      const send = (id: string): Promise<void> =>
        kind === 'call' ? client.cast({}, 'run', { id }) : notifier.info({}, 'told', id);
      for (let cut = 0; cut < CUTS; cut++) {
        await waitFor('the server', () => serving.status.state === 'connected');
        const cutting = proxy.cutWhen(isAck, { withhold: true });
        await send(`cut ${cut}`);
        await cutting;
        await waitFor('the work', () => runs.has(`cut ${cut}`));
      }
      // What is delivered again comes before what is new.
      await send('fence');
      await waitFor('the last of it', () => runs.has('fence'));
      await settled();
      expect([...runs.values()]).to.deep.equal(Array(CUTS + 1).fill(1));
      expect(serving.health().reconnects).to.equal(CUTS);
      const skipped = logger.lines.filter(({ message }) => message === 'skipped').length;
      expect(skipped, 'redeliveries that were recognised').to.be.above(0);
      figures(`cut between the delivery of a ${kind} and its acknowledgement`, { cuts: CUTS, secondRuns: 0, skipped });
    });
  }

  it(`${CUTS} connections are cut while another process serves too: second runs are counted across processes, and there are none within one`, async function () {
    this.timeout(CUTS * 5_000);
    const topic = newId();
    const file = join(makeTempFolder('executions'), 'executions');
    writeFileSync(file, '');
    const others = await NodePeer.start(CONSUMER, [vhost.url, topic, file, 'finish']);
    await using proxy = await TcpProxy.open(vhost);
    const url = `${rabbitUrl(vhost, { port: proxy.port })}?reconnectMinMs=1&reconnectMaxMs=20`;
    await using serving = await connectQuietly(url);
    await using transport = await connectQuietly(vhost.url);
    const here = new Map<string, number>();
    const there = (): string[] =>
      readFileSync(file, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line).id);
    const run = (_: unknown, { id }: { readonly id: string }): void => void here.set(id, (here.get(id) ?? 0) + 1);
    await new RPCServer(serving, { target: { topic, server: 'one' }, endpoints: [{ run }] }).start();
    await others.line('ready');
    others.tell('go');
    const client = new RPCClient(transport, { target: { topic } });
    await waitFor('the other process', () =>
      vhost.broker.api?.queue(`posthorn/${topic}`, vhost.vhost).then((queue) => queue?.consumers === 2),
    );
    let made = 0;
    for (let cut = 0; cut < CUTS; cut++) {
      await waitFor('the server', () => serving.status.state === 'connected');
      const cutting = deferred();
      void proxy.cutWhen(isAck, { withhold: true }).then(() => cutting.resolve());
      let isCut = false;
      void cutting.promise.then(() => {
        isCut = true;
      });
      // Consumers take turns, so it may be the other's first; it is ours at last.
      await waitFor('an acknowledgement of ours', async () => {
        if (!isCut) await client.cast({}, 'run', { id: `call ${made++}` });
        return isCut;
      });
    }
    await settled();
    others.tell('end');
    await others.wait();
    expect([...here.values()].filter((count) => count > 1)).to.deep.equal([]);
    expect(new Set(there()).size).to.equal(there().length);
    expect(new Set([...here.keys(), ...there()]).size).to.equal(made);
    const twice = there().filter((id) => here.has(id)).length;
    expect(twice, 'run by both processes').to.be.at.most(CUTS);
    figures('cut while another process serves too', { cuts: CUTS, calls: made, secondRunsAcrossProcesses: twice });
  });

  it('a notification that is delivered again while it is still being handled is handled once', async function () {
    this.timeout(30_000);
    await using proxy = await TcpProxy.open(vhost);
    const url = `${rabbitUrl(vhost, { port: proxy.port })}?reconnectMinMs=1&reconnectMaxMs=20`;
    await using listening = await connectQuietly(url);
    await using transport = await connectQuietly(vhost.url);
    const topic = newId();
    const release = deferred();
    await using _ = { [Symbol.asyncDispose]: async () => release.resolve() };
    let begun = 0;
    const info = async (): Promise<void> => {
      begun++;
      await release.promise;
    };
    await new NotificationListener(listening, {
      targets: [{ topic }],
      endpoints: [{ info }],
      executor: concurrent(4),
    }).start();
    const redelivered = deferred();
    await new Notifier(transport, { publisherId: 'test', topics: [topic] }).info({}, 'told', 1);
    await waitFor('the handler', () => begun === 1);
    proxy.onFrame(
      (frame, way) => void (way === 'broker->client' && frame.name === 'basic.deliver' && redelivered.resolve()),
    );
    proxy.reset();
    await redelivered.promise;
    // What is sent after it is handled after it: then the redelivery has been seen.
    await new Notifier(transport, { publisherId: 'test', topics: [topic] }).info({}, 'told', 2);
    await waitFor('the next one', () => begun >= 2);
    expect(begun).to.equal(2);
    release.resolve();
    await settled();
    expect(begun).to.equal(2);
  });
});

const isAck: FramePredicate = (frame, way) => way === 'client->broker' && frame.name === 'basic.ack';
