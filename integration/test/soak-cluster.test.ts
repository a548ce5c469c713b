import { MessagingError, newId, type Transport } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import type { Context } from 'mocha';
import { Arrivals } from '../src/arrivals.ts';
import { isSkip } from '../src/found.ts';
import { type RabbitCluster, startRabbitCluster } from '../src/rabbit-cluster.ts';
import { connectQuietly } from '../src/rabbit-lab.ts';
import { skip } from '../src/skip.ts';
import { figures, times } from '../src/soak.ts';
import { sendAllUntilConfirmed } from '../src/stubborn-sender.ts';
import { waitFor } from '../src/wait-for.ts';

const MESSAGES = times(3_000, 10_000);
const RESUMED_MS = 10_000;

interface Called {
  readonly ok: boolean;
  readonly at: number;
}

/** Calls, one after the other, until its transport is closed or `end` is called. */
class Calling {
  readonly #calls: Promise<Called[]>;
  lastOkAt = Number.NaN;
  #over = false;

  constructor(client: RPCClient) {
    this.#calls = this.#run(client);
  }

  end(): Promise<Called[]> {
    this.#over = true;
    return this.#calls;
  }

  async #run(client: RPCClient): Promise<Called[]> {
    const calls: Called[] = [];
    while (!this.#over) {
      const code = await codeOf(client.call({}, 'run', {}, { timeoutMs: 2_000 }));
      if (code === 'CLOSED') break;
      const at = performance.now();
      calls.push({ ok: code === undefined, at });
      if (code === undefined) this.lastOkAt = at;
    }
    return calls;
  }
}

async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return error instanceof MessagingError ? error.code : String(error);
  }
}

describe('RabbitMQ: a cluster that loses a node', () => {
  let cluster: RabbitCluster | undefined;

  before(async function () {
    this.timeout(120_000);
    const started = await startRabbitCluster();
    if (isSkip(started)) skip(this, 'a cluster of RabbitMQ', started.skip);
    cluster = started;
  });

  after(async function () {
    this.timeout(60_000);
    await Promise.all(cluster?.nodes.map((node) => node.kill9()) ?? []);
  });

  async function connected(url: string): Promise<Transport> {
    return await connectQuietly(`${url}?durability=quorum&hosts=given`);
  }

  async function loseTheLeader({ url, leaderOf }: RabbitCluster): Promise<void> {
    await using sending = await connected(url);
    await using receiving = await connected(url);
    await using asking = await connected(url);
    const mailbox = { kind: 'mailbox', name: `soak-${newId()}` } as const;
    const arrivals = await Arrivals.open(receiving, mailbox);
    const topic = newId();
    const endpoint = { run: (): string => 'done' };
    await new RPCServer(receiving, { target: { topic, server: 'one' }, endpoints: [endpoint] }).start();
    const client = new RPCClient(asking, { target: { topic } });

    const leader = await leaderOf(mailbox.name);
    if (leader === undefined) throw new Error('the queue has no leader');
    const hostOfLeader = `${leader.host}:${leader.port}`;
    expect(sending.status).to.include({ state: 'connected', host: hostOfLeader });

    let killedAt = Number.NaN;
    let killed = Promise.resolve();
    const calling = new Calling(client);
    const confirmed = await sendAllUntilConfirmed(sending, mailbox, MESSAGES, (count) => {
      if (count !== Math.floor(MESSAGES / 2)) return;
      killedAt = performance.now();
      killed = leader.kill9();
    });
    await killed;
    await waitFor('a call that succeeds', () => calling.lastOkAt > killedAt + 50, RESUMED_MS);
    const made = await calling.end();
    await arrivals.fence(sending, mailbox);

    const before = made.filter(({ ok, at }) => ok && at < killedAt);
    const after = made.find(({ ok, at }) => ok && at > killedAt + 50);
    expect(before).to.not.deep.equal([]);
    expect((after?.at ?? Number.NaN) - killedAt, 'ms until calls work again').to.be.below(RESUMED_MS);
    for (const transport of [sending, receiving, asking]) {
      expect(transport.status.state).to.equal('connected');
      expect(transport.status).to.have.property('host').that.does.not.equal(hostOfLeader);
    }
    const { duplicates, marked } = arrivals.expectAll(confirmed);
    figures('the leader of a quorum queue killed', {
      confirmed: confirmed.length,
      lost: 0,
      duplicates,
      markedRedelivered: marked,
      resumedAfterMs: Math.round((after?.at ?? 0) - killedAt),
    });
  }

  it('nothing confirmed is lost when the node of a quorum queue is killed, and calls go on at another host within 10 s', async function () {
    this.timeout(60_000);
    if (cluster === undefined) throw new Error('there is no cluster');
    await loseTheLeader(cluster);
  });

  for (const version of ['4.0', '4.3']) {
    it(`the same was tried on RabbitMQ ${version}`, function () {
      const found = cluster?.nodes[0]?.version ?? 'unknown';
      if (!found.startsWith(`${version}.`)) skipVersion(this, version, found);
    });
  }
});

function skipVersion(context: Context, version: string, found: string): never {
  return skip(
    context,
    `a cluster of RabbitMQ ${version}`,
    `clusters are made of the installed RabbitMQ, which is ${found}`,
  );
}
