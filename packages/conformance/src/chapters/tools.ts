import type { Comparison, Declaration, Driver } from '@posthorn/core';
import { expect } from 'chai';
import { outcomeOf } from '../kit.ts';
import { anycast, group, multicast, name, pattern, topic } from '../messages.ts';
import type { Suite } from '../suite.ts';
import { waitFor } from '../wait-for.ts';

/** What drivers tell to tools, and do for them. */
export function tools(suite: Suite): void {
  const looking = suite.cases({ kinds: ['group', 'topic'], when: (features) => features.inspect === true });

  looking('count the messages that wait in a queue, and its consumers', async (kit) => {
    const driver = await kit.driver();
    const queue = group();
    for (const body of ['a', 'b', 'c']) await kit.send(driver, queue, body, { unrouted: 'keep' });
    await waitFor('three messages', async () => (await driver.inspect?.(queue))?.ready === 3);
    expect(await driver.inspect?.(queue)).to.deep.equal({ exists: true, ready: 3, consumers: 0 });
    const box = await kit.open(driver, queue, { prefetch: 1, settle: 'hold' });
    await box.first(1);
    await waitFor('a consumer', async () => (await driver.inspect?.(queue))?.consumers === 1);
    await waitFor('two that wait', async () => (await driver.inspect?.(queue))?.ready === 2);
  });

  looking('say of a queue that there is none, make none, and disturb nobody', async (kit) => {
    const driver = await kit.driver();
    const [absent, other] = [group(), group()];
    const box = await kit.open(driver, other);
    const none = { exists: false, ready: 0, consumers: 0 };
    for (let times = 0; times < 2; times++) expect(await driver.inspect?.(absent)).to.deep.equal(none);
    await kit.send(driver, other, 'still here');
    expect(await box.textsOf(1)).to.deep.equal(['still here']);
  });

  looking('have nothing to say of addresses that are no queue', async (kit) => {
    const driver = await kit.driver();
    expect(await driver.inspect?.(topic(name('e'), 'k'))).to.equal(undefined);
    expect(await driver.inspect?.(multicast())).to.equal(undefined);
  });

  const planning = suite.cases({ kinds: ['group', 'topic'], when: (features) => features.plan === true });

  planning('tell one queue for a subscription, and what feeds it, and make nothing', async (kit) => {
    const driver = await kit.driver();
    const shared = group();
    const exchange = name('e');
    const plan = driver.plan?.([pattern(exchange, 'a.#'), pattern(exchange, 'b')], { group: shared.name }) ?? [];
    const [queue, ...more] = plan.filter(({ kind }) => kind === 'queue');
    expect(more).to.deep.equal([]);
    expect(queue).to.deep.include({ exclusive: false });
    const keys = plan.flatMap((one) => (one.kind === 'binding' ? [one.key] : []));
    expect(keys).to.deep.equal(['a.#', 'b']);
    expect(plan).to.deep.equal(
      driver.plan?.([pattern(exchange, 'a.#'), pattern(exchange, 'b')], { group: shared.name }),
    );
    const alone = driver.plan?.([pattern(exchange, '#')]).find(({ kind }) => kind === 'queue');
    expect(alone, 'without a group the queue is private').to.deep.include({ exclusive: true });
  });

  planning('tell the queue of what is kept, and none of what is not', async (kit) => {
    const driver = await kit.driver();
    const queues = (plan: readonly Declaration[] = []): number => plan.filter(({ kind }) => kind === 'queue').length;
    expect(queues(driver.plan?.(group(), { unrouted: 'keep' }))).to.equal(1);
    expect(queues(driver.plan?.(group(), { unrouted: 'drop' }))).to.equal(0);
  });

  const declaring = suite.cases({
    kinds: ['anycast', 'group', 'topic'],
    when: (features) => features.plan === true && features.declare === true,
  });

  declaring('compare, make and remove what a subscription declares', async (kit) => {
    const driver = await kit.driver();
    const plan = driver.plan?.([pattern(name('e'), '#')], { group: name('g') }) ?? [];
    expect(await compared(driver, plan)).to.not.include('same');
    for (let times = 0; times < 2; times++)
      for (const one of plan) expect(await driver.declare?.(one, 'create')).to.deep.equal({ state: 'same' });
    expect(await compared(driver, plan))
      .to.include('same')
      .and.to.not.include('absent');
    for (let times = 0; times < 2; times++)
      for (const one of [...plan].reverse())
        expect(await driver.declare?.(one, 'remove')).to.deep.equal({ state: 'absent' });
    expect(await compared(driver, plan)).to.not.include('same');
  });

  declaring('tell how what is there differs, leave it as it is, and disturb nobody', async (kit) => {
    const driver = await kit.driver();
    const [shared, bystander] = [group(), group()];
    const box = await kit.open(driver, bystander);
    const [queue] = driver.plan?.([shared]) ?? [];
    const [other] = driver.plan?.([shared], { retention: { maxLength: 7 } }) ?? [];
    if (queue?.kind !== 'queue' || other === undefined) throw new Error('no queue in the plan of a group');
    await driver.declare?.(queue, 'create');
    for (const verb of ['compare', 'create'] as const) {
      const comparison = await driver.declare?.(other, verb);
      expect(comparison?.state).to.equal('differs');
      expect(comparison).to.have.property('reason').that.includes('max-length');
    }
    expect(await driver.declare?.(queue, 'compare')).to.deep.equal({ state: 'same' });
    await kit.send(driver, bystander, 'still here');
    expect(await box.textsOf(1)).to.deep.equal(['still here']);
    await driver.declare?.(queue, 'remove');
  });

  declaring('make what messages find on their way before anyone listens', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const plan = driver.plan?.([to]) ?? [];
    for (const one of plan) await driver.declare?.(one, 'create');
    await kit.send(driver, to, 'early', { unrouted: 'fail' });
    expect(await (await kit.open(driver, to)).textsOf(1)).to.deep.equal(['early']);
    for (const one of [...plan].reverse()) await driver.declare?.(one, 'remove');
  });

  const refusals: Readonly<Record<'inspect' | 'plan' | 'declare', (driver: Driver) => Promise<unknown>>> = {
    inspect: async (driver) => await driver.inspect?.(group()),
    plan: async (driver) => driver.plan?.([group()]),
    declare: async (driver) =>
      await driver.declare?.({ kind: 'binding', exchange: 'e', queue: 'q', key: '' }, 'compare'),
  };
  for (const [feature, ask] of Object.entries(refusals) as [keyof typeof refusals, (typeof refusals)['plan']][])
    suite.cases({ when: (features) => features[feature] !== true })(
      `are refused or missing, where ${feature} is not declared`,
      async (kit) => {
        const driver = await kit.driver();
        if (driver[feature] !== undefined) expect(await outcomeOf(ask(driver))).to.equal('UNSUPPORTED');
      },
    );
}

async function compared(driver: Driver, plan: readonly Declaration[]): Promise<readonly Comparison['state'][]> {
  const found: Comparison['state'][] = [];
  for (const one of plan) found.push((await driver.declare?.(one, 'compare'))?.state ?? 'unknown');
  return found;
}
