import { type Context, serial } from '@posthorn/core';
import { HANDLED, type NotificationFilter, PRIORITIES, REQUEUE } from '@posthorn/notify';
import { expect } from 'chai';
import { waitFor } from '../wait-for.ts';
import { Heard, NotifyLab } from './notify-lab.ts';
import type { TransportHarness } from './transport-harness.ts';

/** Filters that accept the one notification of the test, and filters that do not. */
const FILTERS: readonly { readonly what: string; readonly yes: NotificationFilter; readonly no: NotificationFilter }[] =
  [
    { what: 'the publisher id', yes: { publisherId: '^compute' }, no: { publisherId: 'host1' } },
    { what: 'the event type', yes: { eventType: /compute\.(start|end)$/ }, no: { eventType: /volume/ } },
    {
      what: 'the context',
      yes: { context: { user_id: /AL/i, project_id: 'p' } },
      no: { context: { user_id: 'alice', domain_id: '.*' } },
    },
    {
      what: 'the metadata',
      yes: { metadata: { timestamp: /\d{4}-\d\d-\d\dT/, message_id: '[0-9a-f-]{36}$' } },
      no: { metadata: { message_id: 'x' } },
    },
    { what: 'the payload', yes: { payload: { state: 'active|building' } }, no: { payload: { vcpus: '2' } } },
  ];

/** What of a notification arrives, where, and in which order. */
export function describeDelivery(transport: TransportHarness): void {
  it('G-01: a listener gets what a notifier sent', async () => {
    await using lab = new NotifyLab(transport);
    const heard = new Heard();
    await lab.listen([heard.endpoint]);
    const payload = { id: 7, name: 'vm ✓', list: [1, null, true], nested: { deep: 'héllo' } };
    const before = Date.now();
    const notifier = await lab.notifier();
    await notifier.info({ user_id: 'alice', roles: ['admin'] }, 'compute.end', payload, { headers: { trace: 't1' } });
    await heard.first(1);
    const [{ id, timestamp, ...rest } = { id: '', timestamp: new Date(0) }] = heard.all;
    expect(rest).to.deep.equal({
      publisherId: 'compute.host1',
      eventType: 'compute.end',
      priority: 'info',
      payload,
      context: { user_id: 'alice', roles: ['admin'] },
      headers: { trace: 't1' },
    });
    expect(id).to.match(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(timestamp.getTime()).to.be.within(before, Date.now());
  });

  it('G-01: payloads of any shape arrive as they are, falsy ones included', async () => {
    await using lab = new NotifyLab(transport);
    const heard = new Heard();
    await lab.listen([heard.endpoint], { executor: serial() });
    const notifier = await lab.notifier();
    const payloads = [null, 0, false, '', [], {}, 'text', [1, [2]]];
    for (const payload of payloads) await notifier.info({}, 'e', payload);
    await heard.first(payloads.length);
    expect(heard.all.map(({ payload }) => payload)).to.deep.equal(payloads);
  });

  it('M-02: progress arrives before the result, in order, for each task', async () => {
    await using lab = new NotifyLab(transport);
    const heard = new Heard(['info']);
    await lab.listen([heard.endpoint], { executor: serial() });
    const notifier = await lab.notifier();
    await lab.serve({
      async deploy(context: Context, { task }: { readonly task: string }) {
        for (const step of [1, 2, 3, 4]) await notifier.info(context, 'task.progress', { task, step });
        await notifier.info(context, 'task.result', { task, step: 'result' });
      },
    });
    const client = await lab.client();
    const tasks = ['a', 'b', 'c'];
    await Promise.all(tasks.map((task) => client.cast({}, 'deploy', { task })));
    await heard.first(15);
    const told = heard.all.map(({ payload }) => payload as { readonly task: string; readonly step: unknown });
    for (const task of tasks)
      expect(told.filter((one) => one.task === task).map(({ step }) => step)).to.deep.equal([1, 2, 3, 4, 'result']);
  });

  it('M-17: each priority reaches only its method', async () => {
    await using lab = new NotifyLab(transport);
    const heard = Object.fromEntries(PRIORITIES.map((priority) => [priority, new Heard([priority])]));
    await lab.listen(Object.values(heard).map(({ endpoint }) => endpoint));
    const notifier = await lab.notifier();
    for (const round of ['first', 'second'])
      await Promise.all(PRIORITIES.map((priority) => notifier[priority]({}, `${round}.${priority}`, {})));
    for (const priority of PRIORITIES)
      expect(await heard[priority]?.first(2), priority).to.have.members([`first.${priority}`, `second.${priority}`]);
    for (const { all } of Object.values(heard)) expect(all).to.have.length(2);
  });

  it('M-17: only the priorities that a method exists for are taken from the broker', async () => {
    await using lab = new NotifyLab(transport);
    const [errors, rest] = [new Heard(['error']), new Heard(['info'])];
    await lab.listen([errors.endpoint]);
    const notifier = await lab.notifier();
    await notifier.info({}, 'i', {});
    await notifier.error({}, 'e', {});
    expect(await errors.first(1)).to.deep.equal(['e']);
    await lab.listen([rest.endpoint]);
    expect(await rest.first(1)).to.deep.equal(['i']);
  });

  for (const { what, yes, no } of FILTERS)
    it(`M-17: a filter over ${what} decides what an endpoint gets`, async () => {
      await using lab = new NotifyLab(transport);
      const [accepting, refusing, all] = [new Heard(), new Heard(), new Heard()];
      await lab.listen([{ ...refusing.endpoint, filter: no }, { ...accepting.endpoint, filter: yes }, all.endpoint]);
      const notifier = await lab.notifier();
      await notifier.warn({ user_id: 'alice', project_id: 'p1' }, 'compute.end', { state: 'active', vcpus: 2 });
      await all.first(1);
      expect([accepting.events, refusing.events]).to.deep.equal([['compute.end'], []]);
    });

  it('M-17: a notification that no endpoint wants is done with', async () => {
    await using lab = new NotifyLab(transport);
    const heard = new Heard();
    const dead = await lab.deadLetters(lab.defaultGroup('info'));
    await lab.listen([{ ...heard.endpoint, filter: { eventType: 'wanted' } }], { executor: serial() });
    const notifier = await lab.notifier();
    await notifier.info({}, 'other', {});
    await notifier.info({}, 'wanted', {});
    expect(await heard.first(1)).to.deep.equal(['wanted']);
    expect(dead).to.deep.equal([]);
  });

  it('M-17: HANDLED and nothing mean done, REQUEUE and a throw mean again', async () => {
    await using lab = new NotifyLab(transport);
    const firstTime = new Set(['handled', 'nothing', 'requeue', 'throw']);
    const heard = new Heard(['info'], ({ eventType }) => {
      if (!firstTime.delete(eventType)) return HANDLED;
      if (eventType === 'throw') throw new Error('not today');
      return eventType === 'handled' ? HANDLED : eventType === 'requeue' ? REQUEUE : undefined;
    });
    await lab.listen([heard.endpoint], { retry: { minDelayMs: 20 } });
    const notifier = await lab.notifier();
    for (const event of [...firstTime]) await notifier.info({}, event, {});
    await heard.first(6);
    expect(heard.events.toSorted()).to.deep.equal(['handled', 'nothing', 'requeue', 'requeue', 'throw', 'throw']);
  });

  it('M-17: endpoints are asked in order, and the first that wants it again ends the round', async () => {
    await using lab = new NotifyLab(transport);
    const order: string[] = [];
    const said = new Set<string>();
    const endpoint = (name: string, first?: typeof REQUEUE) => ({
      info: () => {
        order.push(name);
        if (said.has(name)) return HANDLED;
        said.add(name);
        return first;
      },
    });
    await lab.listen([endpoint('one'), endpoint('two', REQUEUE), endpoint('three')], { retry: { minDelayMs: 20 } });
    await (await lab.notifier()).info({}, 'e', {});
    await waitFor('the second round', () => order.length >= 5);
    expect(order).to.deep.equal(['one', 'two', 'one', 'two', 'three']);
  });

  it('M-18: what was told before any listener ever ran arrives when one comes', async () => {
    await using lab = new NotifyLab(transport);
    const notifier = await lab.notifier();
    for (const event of ['one', 'two', 'three']) await notifier.info({}, event, {});
    await notifier.sample({}, 'four', {});
    const heard = new Heard();
    await lab.listen([heard.endpoint]);
    expect((await heard.first(4)).toSorted()).to.deep.equal(['four', 'one', 'three', 'two']);
    expect(heard.events.filter((event) => event !== 'four')).to.deep.equal(['one', 'two', 'three']);
  });

  it('M-18: many at once and under several topics, none is lost before the first listener', async () => {
    await using lab = new NotifyLab(transport);
    const topics = ['a', 'b', 'c'].map((name) => `${lab.topic}-${name}`);
    const notifier = await lab.notifier({ topics });
    const events = Array.from({ length: 50 }, (_, n) => `event-${n}`);
    await Promise.all(events.map((event) => notifier.info({}, event, {})));
    for (const topic of topics) {
      const heard = new Heard();
      await using _ = await lab.listen([heard.endpoint], { targets: [{ topic }] });
      expect((await heard.first(events.length)).toSorted(), topic).to.deep.equal(events.toSorted());
    }
  });

  it('M-18: what nobody listens to yet is bounded by the retention, and the newest is kept', async () => {
    await using lab = new NotifyLab(transport);
    const retention = { maxLength: 5, expiresMs: 300_000 };
    const notifier = await lab.notifier({ retention });
    for (let n = 0; n < 20; n++) await notifier.info({}, `event-${n}`, {});
    const heard = new Heard();
    await lab.listen([heard.endpoint], { retention, executor: serial() });
    // No sooner: the fence would push out the oldest.
    await heard.first(5);
    await notifier.info({}, 'fence', {});
    expect(await heard.before('fence')).to.deep.equal([15, 16, 17, 18, 19].map((n) => `event-${n}`));
  });

  it('R-18: a second delivery of the same notification is not handled again', async () => {
    await using lab = new NotifyLab(transport);
    const heard = new Heard();
    await lab.listen([heard.endpoint], { executor: serial() });
    const on = await lab.calling();
    const message = {
      messageId: 'd1',
      contentType: 'application/json',
      body: Buffer.from('{}'),
      headers: {
        'ph-publisher': 'p',
        'ph-event': 'twice',
        'ph-priority': 'info',
        'ph-timestamp': new Date().toISOString(),
      },
    };
    const to = { kind: 'topic', exchange: on.wire.exchange, key: `${lab.topic}.info` } as const;
    for (let n = 0; n < 2; n++) await on.send(to, message, { confirm: true });
    await (await lab.notifier()).info({}, 'fence', {});
    expect(await heard.before('fence')).to.deep.equal(['twice']);
  });

  it('K-02: 1,000 subscriptions are made in parallel', async function () {
    this.timeout(30_000);
    await using lab = new NotifyLab(transport);
    const serving = await lab.serving();
    const subscriptions = await Promise.all(
      Array.from({ length: 1_000 }, (_, n) =>
        serving.subscribe([{ kind: 'topic', exchange: lab.topic, pattern: `key.${n}` }], (delivery) => {
          void delivery.settle('accept');
        }),
      ),
    );
    expect(new Set(subscriptions)).to.have.property('size', 1_000);
  });
}
