import { serial } from '@posthorn/core';
import { HANDLED, REQUEUE } from '@posthorn/notify';
import { expect } from 'chai';
import { waitFor } from '../wait-for.ts';
import { Heard, NotifyLab } from './notify-lab.ts';
import type { TransportHarness } from './transport-harness.ts';

/** Groups of listeners: shared inside, copied between. */
export function describePools(transport: TransportHarness): void {
  it('two pools each get every event once, of all priorities', async () => {
    await using lab = new NotifyLab(transport);
    const [metering, dashboard] = [new Heard(), new Heard()];
    await lab.listen([metering.endpoint], { pool: `${lab.topic}-metering`, executor: serial() });
    await lab.listen([dashboard.endpoint], { pool: `${lab.topic}-dashboard`, executor: serial() });
    const notifier = await lab.notifier();
    for (let n = 0; n < 10; n++) await notifier.notify(n % 2 === 0 ? 'info' : 'error', {}, `event-${n}`, {});
    await notifier.info({}, 'fence', {});
    const expected = Array.from({ length: 10 }, (_, n) => `event-${n}`);
    for (const heard of [metering, dashboard]) expect(await heard.before('fence')).to.deep.equal(expected);
  });

  it('the members of a pool share its events', async () => {
    await using lab = new NotifyLab(transport);
    const members = [new Heard(), new Heard(), new Heard()];
    for (const { endpoint } of members)
      await lab.listen([endpoint], { pool: `${lab.topic}-pool`, on: await lab.connect() });
    const notifier = await lab.notifier();
    const events = Array.from({ length: 30 }, (_, n) => `event-${n}`);
    for (const event of events) await notifier.info({}, event, {});
    await waitFor('all', () => members.flatMap(({ all }) => all).length >= 30);
    expect(members.flatMap((member) => member.events).toSorted()).to.deep.equal(events.toSorted());
    for (const { all } of members) expect(all).not.to.be.empty;
  });

  it('members come and go, and no event of their pool is lost or handled twice', async () => {
    await using lab = new NotifyLab(transport);
    const heard = new Heard();
    const pool = `${lab.topic}-pool`;
    const join = async () => await lab.listen([heard.endpoint], { pool, on: await lab.connect() });
    const members = [await join(), await join()];
    const notifier = await lab.notifier();
    const told = (async () => {
      for (let n = 0; n < 200; n++) await notifier.info({}, `event-${n}`, {});
    })();
    for (let round = 0; round < 5; round++) {
      await members.shift()?.close();
      members.push(await join());
    }
    await told;
    await heard.first(200);
    expect(new Set(heard.events).size).to.equal(200);
    expect(heard.all).to.have.length(200);
  });

  it('two pools and no default listener: nothing is kept for a default listener', async () => {
    await using lab = new NotifyLab(transport);
    const pools = [new Heard(), new Heard()];
    for (const [n, { endpoint }] of pools.entries()) await lab.listen([endpoint], { pool: `${lab.topic}-${n}` });
    const notifier = await lab.notifier();
    for (let n = 0; n < 5; n++) await notifier.info({}, `event-${n}`, {});
    for (const heard of pools) await heard.first(5);
    const late = new Heard();
    await lab.listen([late.endpoint], { executor: serial() });
    await notifier.info({}, 'fence', {});
    expect(await late.before('fence')).to.deep.equal([]);
  });

  it('once pools listen, the queue that kept events before them fills no further', async () => {
    await using lab = new NotifyLab(transport);
    const notifier = await lab.notifier();
    await notifier.info({}, 'before anybody listened', {});
    const pool = new Heard();
    await lab.listen([pool.endpoint], { pool: `${lab.topic}-pool` });
    for (let n = 0; n < 5; n++) await notifier.info({}, `event-${n}`, {});
    await pool.first(5);
    const late = new Heard();
    await lab.listen([late.endpoint], { executor: serial() });
    await notifier.info({}, 'fence', {});
    expect(await late.before('fence')).to.deep.equal(['before anybody listened']);
  });

  it('a retry in one pool is not seen by the other, nor by default listeners', async () => {
    await using lab = new NotifyLab(transport);
    const asked: string[] = [];
    const failing = new Heard(['info'], ({ eventType }) => {
      asked.push(eventType);
      return asked.filter((one) => one === eventType).length < 3 ? REQUEUE : HANDLED;
    });
    const others = [new Heard(), new Heard()];
    await lab.listen([failing.endpoint], { pool: `${lab.topic}-failing`, retry: { minDelayMs: 20 } });
    await lab.listen([others[0]?.endpoint ?? {}], { pool: `${lab.topic}-fine`, executor: serial() });
    await lab.listen([others[1]?.endpoint ?? {}], { executor: serial() });
    const notifier = await lab.notifier();
    await notifier.info({}, 'event', {});
    expect(await failing.first(3)).to.deep.equal(['event', 'event', 'event']);
    expect(new Set(failing.all.map(({ id }) => id)).size).to.equal(1);
    await notifier.info({}, 'fence', {});
    for (const heard of others) expect(await heard.before('fence')).to.deep.equal(['event']);
  });

  it('the same topic in two exchanges reaches the default listeners of each alone, also what was told before them', async () => {
    await using lab = new NotifyLab(transport);
    const exchanges = ['nova', 'cinder'].map((name) => `${name}-${lab.topic}`);
    const targets = exchanges.map((exchange) => [{ topic: 'notifications', exchange }]);
    const tell = async (event: string): Promise<void> => {
      for (const exchange of exchanges) {
        const notifier = await lab.notifier({ exchange, topics: ['notifications'] });
        for (let n = 0; n < 4; n++) await notifier.info({}, `${event} ${exchange}`, {});
      }
    };
    await tell('before');
    const heard = exchanges.map(() => new Heard());
    for (const [n, { endpoint }] of heard.entries()) await lab.listen([endpoint], { targets: targets[n] ?? [] });
    await tell('after');
    for (const [n, exchange] of exchanges.entries())
      expect(await heard[n]?.first(8)).to.deep.equal([
        ...Array<string>(4).fill(`before ${exchange}`),
        ...Array<string>(4).fill(`after ${exchange}`),
      ]);
  });

  it('the same topic in two exchanges reaches each pool from the exchange that it listens to', async () => {
    await using lab = new NotifyLab(transport);
    const exchanges = ['nova', 'cinder'].map((name) => `${name}-${lab.topic}`);
    const heard = exchanges.map(() => new Heard());
    for (const [n, exchange] of exchanges.entries())
      await lab.listen([heard[n]?.endpoint ?? {}], {
        pool: `${exchange}-pool`,
        targets: [{ topic: 'notifications', exchange }],
      });
    for (const exchange of exchanges) {
      const notifier = await lab.notifier({ exchange, topics: ['notifications'] });
      await notifier.info({}, exchange, {});
      await notifier.info({}, 'fence', {});
    }
    for (const [n, exchange] of exchanges.entries()) expect(await heard[n]?.before('fence')).to.deep.equal([exchange]);
  });
}
