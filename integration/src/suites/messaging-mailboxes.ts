import { type Context, serial } from '@posthorn/core';
import { defineMessage, Mailbox, memoryIdStore, Subscriber } from '@posthorn/messaging';
import { expect } from 'chai';
import { z } from 'zod';
import { deferred } from '../deferred.ts';
import type { TransportUnderTest } from '../transports.ts';
import { waitFor } from '../wait-for.ts';
import { Heard, keyPair, MessagingLab, numbers, plain, RETENTION } from './messaging-lab.ts';
import { codeOf } from './rejection.ts';

const Task = defineMessage({ type: 'task', version: '1.0', payload: z.object({ id: z.number() }) });
const Plan = defineMessage({
  type: 'plan',
  version: '1.0',
  payload: z.object({ task: z.number(), scripts: z.string().array() }),
});
const Result = defineMessage({
  type: 'plan.result',
  version: '1.0',
  payload: z.object({ sourceId: z.string(), ok: z.boolean() }),
});
const Progress = defineMessage({
  type: 'task.progress',
  version: '1.0',
  payload: z.object({ id: z.number(), step: z.number() }),
});
const Done = defineMessage({ type: 'task.done', version: '1.0', payload: z.object({ id: z.number() }) });

/** Messages for one receiver, and the parts of a deployment that talk with each other. */
export function describeMailboxes(transport: TransportUnderTest): void {
  it('M-06, M-10: what was sent before its receiver exists arrives when it comes', async () => {
    await using lab = new MessagingLab(transport);
    const mailbox = await lab.mailbox();
    for (const n of numbers(3)) expect(await mailbox.publish(plain(n))).to.include({ status: 'confirmed' });
    const heard = new Heard();
    await lab.read(heard, { executor: serial() });
    await mailbox.publish(plain(3));
    await heard.first(4);
    expect(heard.payloads).to.deep.equal([0, 1, 2, 3]);
    expect(heard.all[0]).to.include({ exchange: '', key: lab.mailboxName, publisherId: 'engine-1' });
  });

  it('M-07, M-10: a mailbox that nobody reads goes when its time is over, and comes back with the next message', async () => {
    await using lab = new MessagingLab(transport);
    await lab.serving();
    const mailbox = await lab.mailbox({ expiresMs: 1_000 });
    await mailbox.publish(plain('lost with it'));
    await waitFor('the mailbox to go', async () => (await exists(lab)) === false);
    await mailbox.publish(plain('kept anew'));
    const heard = new Heard();
    await lab.read(heard, { retention: { expiresMs: 1_000 } });
    await heard.first(1);
    expect(heard.payloads).to.deep.equal(['kept anew']);
  });

  it('M-07: a mailbox is kept while it is read, however long', async () => {
    await using lab = new MessagingLab(transport);
    const retention = { expiresMs: 500 };
    const heard = new Heard();
    const reader = await lab.read(heard, { retention });
    const opened = performance.now();
    await waitFor('three times its time', () => performance.now() > opened + 1_500);
    expect(await exists(lab)).to.equal(true);
    await (await lab.mailbox(retention)).publish(plain('still here'));
    await waitFor('the message', () => heard.payloads.includes('still here'));
    await reader.close();
    await waitFor('the mailbox to go', async () => (await exists(lab)) === false);
  });

  it('M-07: without a word about it both sides agree that a mailbox expires', async () => {
    await using lab = new MessagingLab(transport);
    const on = await lab.calling();
    await new Mailbox(on, { name: lab.mailboxName, publisherId: 'p' }).publish(plain(1));
    await new Subscriber(on, { mailbox: lab.mailboxName }).bind('#', () => undefined).start();
    expect(lab.log.lines.filter(({ message }) => /other attributes/.test(message))).to.deep.equal([]);
    await new Subscriber(on, { mailbox: lab.mailboxName, retention: RETENTION }).bind('#', () => undefined).start();
    await waitFor('the difference', () => lab.log.lines.some(({ message }) => /other attributes/.test(message)));
  });

  it('a mailbox keeps at most as many as it is told, the newest', async () => {
    await using lab = new MessagingLab(transport);
    const mailbox = await lab.mailbox({ maxLength: 2 });
    for (const n of numbers(4)) await mailbox.publish(plain(n));
    const heard = new Heard();
    await lab.read(heard, { retention: { ...RETENTION, maxLength: 2 }, executor: serial() });
    await heard.first(2);
    expect(heard.payloads).to.deep.equal([2, 3]);
  });

  it('what fails in a mailbox comes again to it, and is a dead letter in the end', async () => {
    await using lab = new MessagingLab(transport);
    const heard = new Heard(() => {
      throw new Error('no disk');
    });
    await lab.read(heard, { retry: { limit: 2, minDelayMs: 20 } });
    const { messageId } = await (await lab.mailbox()).publish(plain(1));
    const dead = await lab.dead(lab.mailboxName);
    const [letter] = await waitFor(
      'the dead letter',
      async () => (await dead.list()).length > 0 && (await dead.list()),
    );
    expect(letter).to.deep.include({
      id: messageId,
      reason: 'no disk',
      attempts: 2,
      home: { kind: 'mailbox', name: lab.mailboxName },
    });
    expect(heard.all.map(({ key }) => key)).to.deep.equal([lab.mailboxName, lab.mailboxName]);
  });

  it('M-19: a replayed plan is refused, and so is one that was meant for another agent', async () => {
    await using lab = new MessagingLab(transport);
    const key = keyPair('engine');
    const heard = new Heard();
    const tapped: Uint8Array[] = [];
    const on = await lab.calling();
    const other = await lab.mailbox({ name: `${lab.mailboxName}-other`, signer: key });
    await on.subscribe(
      [{ kind: 'mailbox', name: `${lab.mailboxName}-other` }],
      (delivery) => {
        tapped.push(delivery.message.body);
        void delivery.settle('accept');
      },
      { retention: RETENTION },
    );
    const seen = memoryIdStore();
    const first = await lab.read(heard, { verify: { verifier: key, seen } });
    await (await lab.mailbox({ signer: key })).publish(Plan, { task: 1, scripts: ['install'] });
    const [plan] = await heard.first(1);
    await first.close();

    const reader = await lab.read(heard, { verify: { verifier: key, seen } });
    await other.publish(Plan, { task: 2, scripts: ['for another'] });
    await waitFor('the other plan', () => tapped.length > 0);
    const contentType = 'application/vnd.posthorn.message+json';
    for (const body of [Buffer.from(JSON.stringify(plan?.envelope)), tapped[0] ?? new Uint8Array()])
      await on.send({ kind: 'mailbox', name: lab.mailboxName }, { body, contentType }, { confirm: true });
    await waitFor(
      'both refusals',
      () => (reader.refused.replayed ?? 0) + (reader.refused['wrong-signature'] ?? 0) === 2,
    );
    expect(reader.refused).to.include({ replayed: 1, 'wrong-signature': 1 });
    expect(heard.all).to.have.length(1);
  });

  it('M-01: a task is taken at once, and some conductor does it, once', async () => {
    await using lab = new MessagingLab(transport);
    const release = deferred();
    const conductors = numbers(2).map(() => new Heard(() => release.promise));
    for (const heard of conductors) {
      const subscriber = await lab.subscriber({
        on: await lab.connect(),
        group: lab.group,
        executor: serial(),
        prefetch: 1,
      });
      await subscriber.on(Task, heard.handler).start();
    }
    const api = await lab.publisher();
    const results = await Promise.all(numbers(2).map((id) => api.publish(Task, { id })));
    expect(results.map(({ status }) => status)).to.deep.equal(['confirmed', 'confirmed']);
    for (const heard of conductors) await heard.first(1);
    release.resolve();
    expect(conductors.flatMap(({ payloads }) => payloads)).to.have.deep.members([{ id: 0 }, { id: 1 }]);
  });

  it('M-03: each task has exactly one result, after its progress', async () => {
    await using lab = new MessagingLab(transport);
    const on = await lab.serving();
    const reports = await lab.publisher({ on });
    const conductor = await lab.subscriber({ on, group: lab.group });
    conductor.on(Task, async ({ id }) => {
      for (const step of [1, 2, 3]) await reports.publish(Progress, { id, step });
      await reports.publish(Done, { id });
    });
    await conductor.start();
    const story: Record<number, (number | string)[]> = {};
    const note = (id: number, what: number | string): void => {
      story[id] = [...(story[id] ?? []), what];
    };
    const api = await lab.subscriber({
      group: `${lab.group}-api`,
      orderBy: ({ payload }) => String(Object(payload).id),
    });
    api.on(Progress, ({ id, step }) => note(id, step)).on(Done, ({ id }) => note(id, 'done'));
    await api.start();
    const publisher = await lab.publisher();
    await Promise.all(numbers(5).map((id) => publisher.publish(Task, { id })));
    await waitFor(
      'all',
      () =>
        Object.values(story)
          .flat()
          .filter((what) => what === 'done').length >= 5,
    );
    for (const id of numbers(5)) expect(story[id]).to.deep.equal([1, 2, 3, 'done']);
  });

  it('M-09: a call needs its server, and fails at once or at its deadline; a mailbox waits for its reader', async () => {
    await using lab = new MessagingLab(transport);
    const client = await lab.client();
    expect(await codeOf(client.call({}, 'deploy', {}, { timeoutMs: 1_000 }))).to.be.oneOf(['UNROUTABLE', 'TIMEOUT']);
    if ((await lab.calling()).features.unroutable === 'detected')
      expect(await codeOf(client.call({}, 'deploy', {}, { timeoutMs: 5_000 }))).to.equal('UNROUTABLE');
    expect(await (await lab.mailbox()).publish(plain(1))).to.include({ status: 'confirmed' });
  });

  it('M-12: an agent that says hello is called back', async () => {
    await using lab = new MessagingLab(transport);
    const done = deferred<unknown>();
    const conducting = await lab.serving();
    await lab.serve(
      {
        async hello(context: Context, { agent }: { readonly agent: string }) {
          const engine = await lab.client({ on: conducting });
          done.resolve(await engine.prepare({ topic: agent }).call(context, 'run', { plan: 'install' }));
        },
      },
      { on: conducting },
    );
    const running = await lab.connect();
    const agent = `${lab.topic}-agent`;
    const run = (_: Context, { plan }: { readonly plan: string }): string => `${plan}: ok`;
    await lab.serve({ run }, { on: running, server: 'agent', target: { topic: agent } });
    await (await lab.client({ on: running })).cast({}, 'hello', { agent });
    expect(await done.promise).to.equal('install: ok');
  });

  it('M-04, M-08, M-14, M-20: one conductor with one connection talks with twenty agents at once, each answers to its own address', async () => {
    await using lab = new MessagingLab(transport);
    const conductor = await lab.connect();
    const agents = numbers(20).map((n) => ({ n, name: `${lab.topic}-e1-h${n}`, box: `${lab.topic}-results-${n % 3}` }));
    const sent = new Map<string, number>();
    const results: { readonly n: number; readonly box: string; readonly agent: string }[] = [];
    for (const box of new Set(agents.map((agent) => agent.box))) {
      const reader = new Subscriber(conductor, { mailbox: box, retention: RETENTION });
      reader.on(Result, ({ sourceId, ok }, { key, publisherId }) => {
        expect(ok).to.equal(true);
        results.push({ n: sent.get(sourceId) ?? -1, box: key, agent: publisherId });
      });
      await reader.start();
    }
    await Promise.all(
      agents.map(async ({ n, name, box }) => {
        const mailbox = new Mailbox(conductor, { name, publisherId: 'engine', ...RETENTION });
        const { messageId } = await mailbox.publish(Plan, { task: n, scripts: [`s${n}`] }, { replyTo: box });
        sent.set(messageId, n);
      }),
    );
    const meeting = deferred();
    let at = 0;
    const remote = await lab.connect();
    for (const { name } of agents) {
      const agent = new Subscriber(remote, { mailbox: name, retention: RETENTION });
      agent.on(Plan, async (plan, { messageId, replyTo = '' }) => {
        // All of them are at it before the first one answers.
        if (++at === agents.length) meeting.resolve();
        await meeting.promise;
        const answers = new Mailbox(remote, { name: replyTo, publisherId: name, ...RETENTION });
        await answers.publish(Result, { sourceId: messageId, ok: plan.scripts.length === 1 });
      });
      await agent.start();
    }
    await waitFor('all results', () => results.length >= agents.length);
    expect(results).to.have.deep.members(agents.map(({ n, box, name }) => ({ n, box, agent: name })));
  });
}

/** Whether the lab's mailbox is there. */
async function exists(lab: MessagingLab): Promise<boolean> {
  const on = await lab.calling();
  const probe = { body: Buffer.from('null'), ttlMs: 1 };
  const sent = on.send({ kind: 'mailbox', name: lab.mailboxName }, probe, { confirm: true, unrouted: 'fail' });
  return await sent.then(
    () => true,
    (error: { readonly code?: string }) => {
      if (error.code === 'UNROUTABLE') return false;
      throw error;
    },
  );
}
