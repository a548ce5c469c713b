import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newId } from '@posthorn/core';
import { Publisher } from '@posthorn/messaging';
import { expect } from 'chai';
import { NodePeer } from '../src/node-peer.ts';
import { connectQuietly, needRabbit } from '../src/rabbit-lab.ts';
import { figures, times } from '../src/soak.ts';
import { makeTempFolder } from '../src/temp-folder.ts';
import { openVhost, type Vhost } from '../src/vhost.ts';
import { waitFor } from '../src/wait-for.ts';

const WORKER = fileURLToPath(new URL('./programs/group-worker.ts', import.meta.url));
const MESSAGES = times(3_000, 50_000);
const GROUPS = ['metering', 'billing', 'audit'] as const;
/** The groups that lose a worker. */
const BEREFT = ['metering', 'billing'];
const PREFETCH = 50;
const LINE = 18;
/** Published and not confirmed, at most. */
const WINDOW = 500;

interface Handled {
  readonly pid: number;
  readonly n: number;
}

describe('RabbitMQ: groups that lose workers', () => {
  let vhost: Vhost;

  before(async function () {
    this.timeout(90_000);
    vhost = await openVhost(await needRabbit(this));
  });

  after(() => vhost?.[Symbol.asyncDispose]());

  it(`${MESSAGES} messages for each of three groups while two workers are killed: each group handles every message, and each duplicate was in the hands of a killed worker`, async function () {
    this.timeout(times(60_000, 600_000));
    const [exchange, folder] = [newId(), makeTempFolder('groups')];
    const groups = await Promise.all(
      GROUPS.map(async (name) => {
        const file = join(folder, name);
        writeFileSync(file, '');
        const group = `${name}-${exchange}`;
        const start = (): Promise<NodePeer> =>
          NodePeer.start(WORKER, [vhost.url, exchange, group, file, String(Math.floor(MESSAGES / 10))]);
        const workers = [await start(), await start()] as const;
        for (const worker of workers) await worker.line('ready');
        return { name, file, workers };
      }),
    );
    const begun = performance.now();
    const kill = async ({ workers: [victim] }: (typeof groups)[number]): Promise<number> => {
      await victim.line('at work');
      await victim.kill();
      return victim.pid;
    };
    let mayEnd = false;
    const killing = Promise.all(groups.filter(({ name }) => BEREFT.includes(name)).map(kill)).finally(() => {
      mayEnd = true;
    });
    killing.catch(() => undefined); // it is awaited below
    await using transport = await connectQuietly(vhost.url);
    const publisher = new Publisher(transport, { exchange, publisherId: 'test' });
    let published = 0;
    // A victim may be slow to get its share: there is more until it has been killed.
    while (published < MESSAGES || !mayEnd) {
      const results = await Promise.all(
        Array.from({ length: WINDOW }, () =>
          publisher.publish({ messageType: 'sample', version: '1.0', payload: published++ }),
        ),
      );
      expect(new Set(results.map(({ status }) => status))).to.deep.equal(new Set(['confirmed']));
    }
    const killed = await killing;
    const distinct = (file: string): number => new Set(readHandled(file).map(({ n }) => n)).size;
    for (const { name, file } of groups)
      await waitFor(
        `all messages in ${name}`,
        () => statSync(file).size >= published * LINE && distinct(file) === published,
        times(30_000, 300_000),
      );
    const seconds = (performance.now() - begun) / 1_000;
    for (const { workers } of groups)
      for (const worker of workers) {
        if (killed.includes(worker.pid)) continue;
        worker.tell('end');
        expect(await worker.wait()).to.equal('code 0');
      }

    const duplicates = groups.map(({ name, file }) => {
      const handled = readHandled(file);
      const again = handled.length - new Set(handled.map(({ n }) => n)).size;
      const living = handled.filter(({ pid }) => !killed.includes(pid)).map(({ n }) => n);
      expect(new Set(living).size, `handled twice in ${name} by workers that live`).to.equal(living.length);
      expect(again, `handled twice in ${name}`).to.be.at.most(BEREFT.includes(name) ? PREFETCH : 0);
      return [name, again] as const;
    });
    figures('groups that lose workers', {
      messages: published,
      groups: GROUPS.length,
      killed: killed.length,
      handledTwice: Object.fromEntries(duplicates),
      perSecond: Math.round((published * GROUPS.length) / seconds),
    });
  });
});

function readHandled(file: string): Handled[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [pid, n] = line.trim().split(/ +/).map(Number);
      return { pid: pid ?? Number.NaN, n: n ?? Number.NaN };
    });
}
