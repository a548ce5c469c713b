import { expect } from 'chai';
import { waitFor } from '../wait-for.ts';
import { Heard, NotifyLab } from './notify-lab.ts';
import type { TransportHarness } from './transport-harness.ts';

const numbered = (count: number): string[] => Array.from({ length: count }, (_, n) => `event-${n}`);

/** oslo.messaging's functional NotifyTestCase, by its names. Compression is a matter of that wire, see its own tests. */
export function describeNotifyTestCase(transport: TransportHarness): void {
  it('oslo 14, test_simple: priority, event type, payload and publisher arrive', async () => {
    await using lab = new NotifyLab(transport);
    const heard = new Heard();
    await lab.listen([heard.endpoint]);
    await (await lab.notifier({ publisherId: 'abc' })).info({}, 'test', 'Hello World!');
    await heard.first(1);
    expect(heard.all[0]).to.include({
      priority: 'info',
      eventType: 'test',
      payload: 'Hello World!',
      publisherId: 'abc',
    });
  });

  it('oslo 15, test_multiple_topics: one listener hears both', async () => {
    await using lab = new NotifyLab(transport);
    const [a, b] = [`${lab.topic}-a`, `${lab.topic}-b`];
    const heard = new Heard();
    await lab.listen([heard.endpoint], { targets: [{ topic: a }, { topic: b }] });
    await (await lab.notifier({ topics: [a], publisherId: 'pub-1' })).info({}, 'hi', {});
    await (await lab.notifier({ topics: [b], publisherId: 'pub-2' })).info({}, 'ho', {});
    expect((await heard.first(2)).toSorted()).to.deep.equal(['hi', 'ho']);
  });

  it('oslo 16, test_multiple_servers: two listeners of a topic share, each gets some, nothing twice', async () => {
    await using lab = new NotifyLab(transport);
    const both = [new Heard(), new Heard()];
    for (const { endpoint } of both) await lab.listen([endpoint], { on: await lab.connect() });
    const notifier = await lab.notifier();
    for (const event of numbered(20)) await notifier.info({}, event, {});
    await waitFor('all', () => both.flatMap(({ all }) => all).length >= 20);
    expect(both.flatMap(({ events }) => events).toSorted()).to.deep.equal(numbered(20).toSorted());
    for (const { all } of both) expect(all).not.to.be.empty;
  });

  it('oslo 17, test_independent_topics: each listener hears its own alone', async () => {
    await using lab = new NotifyLab(transport);
    const sides = [1, 2].map((n) => ({ topic: `${lab.topic}-${n}`, heard: new Heard() }));
    for (const { topic, heard } of sides) await lab.listen([heard.endpoint], { targets: [{ topic }] });
    for (const { topic } of sides) {
      const notifier = await lab.notifier({ topics: [topic] });
      for (let n = 0; n < 8; n++) await notifier.info({}, `${topic}-${n}`, {});
      await notifier.info({}, 'fence', {});
    }
    for (const { topic, heard } of sides)
      expect(await heard.before('fence')).to.deep.equal(Array.from({ length: 8 }, (_, n) => `${topic}-${n}`));
  });

  it('oslo 18, test_all_categories: every category reaches its method', async () => {
    await using lab = new NotifyLab(transport);
    const categories = ['debug', 'audit', 'info', 'warn', 'error', 'critical'] as const;
    const heard = new Heard(categories);
    await lab.listen([heard.endpoint]);
    const notifier = await lab.notifier();
    for (const category of categories) await notifier[category]({}, `type_${category}`, `${category} data`);
    await heard.first(categories.length);
    const told = heard.all.map(({ priority, eventType, payload }) => [priority, eventType, payload]);
    expect(told).to.have.deep.members(categories.map((one) => [one, `type_${one}`, `${one} data`]));
  });

  it('oslo 19, test_simple_batch: 205 events come as 100, 100 and, when these have waited, 5', async () => {
    await using lab = new NotifyLab(transport);
    const batches: string[][] = [];
    await lab.listenInBatches(
      { info: (notifications) => void batches.push(notifications.map(({ eventType }) => eventType)) },
      { size: 100, maxAgeMs: 2_000 },
    );
    const notifier = await lab.notifier();
    await Promise.all(numbered(205).map((event) => notifier.info({}, event, {})));
    await waitFor('all batches', () => batches.flat().length >= 205);
    expect(batches.map(({ length }) => length)).to.deep.equal([100, 100, 5]);
    expect(batches.flat()).to.deep.equal(numbered(205));
  });
}
