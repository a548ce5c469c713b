import type { Notification } from '@posthorn/notify';
import { expect } from 'chai';
import { waitFor } from '../wait-for.ts';
import { deferred } from './deferred.ts';
import { Heard, NotifyLab } from './notify-lab.ts';
import { rejectionOf } from './rejection.ts';
import type { TransportHarness } from './transport-harness.ts';

/** Listeners that are iterated, and batches. */
export function describeIteration(transport: TransportHarness): void {
  it('a listener without endpoints is iterated, in order, until it is closed', async () => {
    await using lab = new NotifyLab(transport);
    const listener = await lab.listen(undefined, { priorities: ['info'] });
    const notifier = await lab.notifier();
    const events = Array.from({ length: 40 }, (_, n) => `event-${n}`);
    for (const event of events) await notifier.info({}, event, {});
    const seen: string[] = [];
    const all = deferred();
    const loop = (async () => {
      for await (const { eventType } of listener) if (seen.push(eventType) === events.length) all.resolve();
    })();
    await all.promise;
    await listener.close();
    await loop;
    expect(seen).to.deep.equal(events);
    const late = new Heard();
    await lab.listen([late.endpoint]);
    await notifier.info({}, 'fence', {});
    expect(await late.before('fence')).to.deep.equal([]);
  });

  for (const [how, leave] of [
    ['breaking off', () => false],
    ['throwing in', () => rejecting()],
  ] as const)
    it(`${how} an iteration gives the notification back, and what was not looked at too`, async () => {
      await using lab = new NotifyLab(transport);
      const listener = await lab.listen(undefined, { priorities: ['info'], retry: { minDelayMs: 20 } });
      const notifier = await lab.notifier();
      for (const event of ['done', 'left', 'not looked at']) await notifier.info({}, event, {});
      const loop = async (): Promise<void> => {
        for await (const { eventType } of listener) if (eventType === 'left' && !leave()) break;
      };
      await loop().catch(() => undefined);
      await listener.close();
      const next = new Heard();
      await lab.listen([next.endpoint]);
      expect((await next.first(2)).toSorted()).to.deep.equal(['left', 'not looked at']);
      await notifier.info({}, 'fence', {});
      expect((await next.before('fence')).toSorted()).to.deep.equal(['left', 'not looked at']);
    });

  it('a new loop goes on where the last one was left, the given back one again', async () => {
    await using lab = new NotifyLab(transport);
    const listener = await lab.listen(undefined, { priorities: ['info'], retry: { minDelayMs: 20 } });
    const notifier = await lab.notifier();
    for (const event of ['one', 'two']) await notifier.info({}, event, {});
    for await (const { eventType } of listener) {
      expect(eventType).to.equal('one');
      break;
    }
    const seen: string[] = [];
    for await (const { eventType } of listener) {
      seen.push(eventType);
      if (eventType === 'last') break;
      if (seen.length === 2) await notifier.info({}, 'last', {});
    }
    expect(seen).to.deep.equal(['two', 'one', 'last']);
  });

  it('several loops share the notifications, and all end with the listener', async () => {
    await using lab = new NotifyLab(transport);
    const listener = await lab.listen(undefined, { priorities: ['info'] });
    const seen: string[][] = [[], []];
    const meeting = deferred();
    const loops = seen.map(async (mine) => {
      for await (const { eventType } of listener) {
        mine.push(eventType);
        if (seen.every(({ length }) => length > 0)) meeting.resolve();
        await meeting.promise;
      }
    });
    const notifier = await lab.notifier();
    for (const event of ['a', 'b', 'c', 'd']) await notifier.info({}, event, {});
    await waitFor('all four', () => seen.flat().length === 4);
    await listener.close();
    await Promise.all(loops);
    expect(seen.flat().toSorted()).to.deep.equal(['a', 'b', 'c', 'd']);
  });

  it('a listener has endpoints or is iterated, not both', async () => {
    await using lab = new NotifyLab(transport);
    const listener = await lab.listen([new Heard().endpoint]);
    const iterate = async (): Promise<void> => {
      for await (const _ of listener) break;
    };
    expect(await rejectionOf(iterate())).to.include({ code: 'CONFIG' });
  });

  it('batches hold one priority each, and each endpoint gets the part that its filter accepts', async () => {
    await using lab = new NotifyLab(transport);
    const batches: string[] = [];
    const tell = (batch: readonly Notification[]): void =>
      void batches.push(batch.map(({ priority, eventType }) => `${priority} ${eventType}`).join(', '));
    await lab.listenInBatches(
      { info: tell, error: tell, filter: { eventType: 'kept' } },
      { size: 2, maxAgeMs: 60_000 },
      { pool: `${lab.topic}-pool` },
    );
    const notifier = await lab.notifier();
    for (const event of ['kept.1', 'dropped', 'kept.2', 'kept.3']) await notifier.info({}, event, {});
    for (const event of ['kept.1', 'kept.2']) await notifier.error({}, event, {});
    await waitFor('all', () => batches.length >= 3);
    expect(batches.toSorted()).to.deep.equal(['error kept.1, error kept.2', 'info kept.1', 'info kept.2, info kept.3']);
  });

  it('a batch that fails comes again as a whole, and its members are dead-lettered one by one', async () => {
    await using lab = new NotifyLab(transport);
    const pool = `${lab.topic}-pool`;
    const dead = await lab.deadLetters(pool);
    const batches: number[] = [];
    await lab.listenInBatches(
      {
        info(batch) {
          batches.push(batch.length);
          throw new Error('the database is full');
        },
      },
      { size: 3, maxAgeMs: 60_000 },
      { pool, retry: { limit: 2, minDelayMs: 20 } },
    );
    const notifier = await lab.notifier();
    for (const event of ['one', 'two', 'three']) await notifier.info({}, event, {});
    await waitFor('the dead letters', () => dead.length >= 3);
    expect(batches).to.deep.equal([3, 3]);
    expect(dead.map(({ headers }) => headers?.['ph-event']).sort()).to.deep.equal(['one', 'three', 'two']);
  });

  it('closing handles an unfinished batch without waiting for its age', async () => {
    await using lab = new NotifyLab(transport);
    const batches: number[] = [];
    const arrived = deferred();
    const listener = await lab.listenInBatches(
      { info: (batch) => void batches.push(batch.length) },
      { size: 10, maxAgeMs: 3_600_000 },
      {
        executor: {
          submit: (job) => {
            arrived.resolve();
            return job();
          },
        },
      },
    );
    await (await lab.notifier()).info({}, 'e', {});
    await arrived.promise;
    expect(await listener.close()).to.deep.equal({ abandoned: [] });
    expect(batches).to.deep.equal([1]);
  });
}

function rejecting(): never {
  throw new Error('thrown in the loop');
}
