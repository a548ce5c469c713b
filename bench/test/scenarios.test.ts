import { expect } from 'chai';
import { findRabbit, isSkip, type RabbitBroker } from '../../integration/src/rabbit-broker.ts';
import { skip } from '../../integration/src/skip.ts';
import type { About, Row, Scenario, Settings } from '../src/scenario.ts';
import { scenarios } from '../src/scenarios.ts';
import { type Parts, Side } from '../src/side.ts';
import { Sides } from '../src/sides.ts';

/** Small enough to be quick; the figures mean nothing. */
const SMALL = { seconds: 0.2, messages: 40, slices: 1, own: {} };

interface Seen {
  readonly rows: readonly Row[];
  readonly abouts: readonly About[];
  readonly progress: readonly (readonly [done: number, total: number])[];
}

describe('the scenarios of the bench', function () {
  this.timeout(60_000);
  let broker: RabbitBroker;

  before(async function () {
    this.timeout(180_000);
    const found = await findRabbit();
    if (isSkip(found)) skip(this, 'the scenarios of the bench', found.skip);
    broker = found;
  });

  const onRabbit = (name: string, settings: Partial<Settings> = {}): Promise<Seen> =>
    run(name, { ...SMALL, url: broker.url, ...settings });

  for (const name of ['publish', 'cast', 'notify', 'consume', 'server-overhead'])
    it(`${name} is measured beside its twin`, async () => {
      const { rows, abouts } = await onRabbit(name, { inFlight: [20] });

      expect(rows).to.have.length(name === 'notify' || name === 'consume' ? 2 : 1);
      for (const row of rows) {
        expect(row).to.include({ scenario: name, transport: 'rabbit' });
        expectAbove0(
          row,
          'rate',
          'twinRate',
          'ratio',
          'ratioLow',
          'ratioHigh',
          'cpuUsPerMessage',
          'twinCpuUsPerMessage',
        );
      }
      expect(abouts).to.have.length(1);
      expect(abouts[0]?.broker).to.match(/^RabbitMQ \d/);
    });

  it('wires compares the wire of oslo.messaging with the native one', async () => {
    const { rows } = await onRabbit('wires', { inFlight: [20] });

    expectAbove0(rows[0], 'rate', 'twinRate', 'ratio', 'bytesPerCall', 'twinBytesPerCall');
  });

  it('fanout counts what all subscribers receive', async () => {
    const { rows } = await onRabbit('fanout', { own: { subscribers: '1,4' } });

    expect(rows.map(({ subscribers }) => subscribers)).to.deep.equal([1, 4]);
    for (const row of rows) expectAbove0(row, 'rate', 'twinRate', 'ratio');
  });

  it('roundtrips finds one round trip in a call and none in a cast that is not awaited', async () => {
    const own = { 'delay-ms': '200', 'cast-delay-ms': '100' };
    const { rows } = await onRabbit('roundtrips', { own });

    const [near, far, casts] = rows;
    expect(near).to.include({ what: 'call', delayMs: 0, syncFrames: 0 });
    expect(near?.['frames']).to.be.within(12, 13);
    expect(far).to.include({ what: 'call', delayMs: 200, syncFrames: 0, transitMs: 800 });
    expect(far?.['p50Ms']).to.be.within(800, 1_600);
    // Were each of the casts awaited before the next, it would take 40 times 200 ms.
    expect(casts?.['writtenMs']).to.be.below(4_000);
    expect(casts?.['confirmedMs']).to.be.within(200, 5_000);
  });

  it('scale counts connections, and what a pending call holds', async () => {
    const own = { clients: '20', topics: '20', processes: '2', pending: '200' };
    const { rows } = await onRabbit('scale', { seconds: 0.6, inFlight: [10], own });

    const of = (what: string): readonly Row[] => rows.filter((row) => row['what'] === what);
    expect(rows.map(({ what, count }) => `${what} ${count}`)).to.deep.equal([
      'in flight 10',
      'by default 10',
      'clients 20',
      'topics 20',
      'pending 200',
      'processes 2',
    ]);
    for (const row of rows.filter(({ what }) => what !== 'pending')) expectAbove0(row, 'rate', 'ofPeak');
    for (const row of of('pending')) expect(row['twinHeapBytes']).to.be.within(100, 10_000);
    if (process.platform !== 'linux') return;
    for (const row of rows.filter(({ what }) => what !== 'pending'))
      expect(row['connections'], String(row['what'])).to.equal(row['processes']);
  });

  it('connect times the steps of a process up to its first answer', async () => {
    const { rows } = await onRabbit('connect');

    const [row] = rows;
    expectAbove0(row, 'importMs', 'connectMs', 'firstCallMs', 'twinImportMs', 'twinConnectMs', 'twinFirstCallMs');
    const of = (key: string): number => Number(row?.[key]);
    expect(of('totalMs')).to.be.above(of('importMs') + of('connectMs') + of('firstCallMs'));
  });

  it('memory is measured beside a bare loop', async () => {
    const { rows } = await run('memory', { ...SMALL, url: 'memory://', inFlight: [1, 20] });

    expect(rows.map(({ inFlight }) => inFlight)).to.deep.equal([1, 20]);
    for (const row of rows) expectAbove0(row, 'rate', 'twinRate', 'ratio', 'cpuUsPerCall');
  });

  it('tell how far they are, up to the end', async () => {
    const { progress } = await run('memory', { ...SMALL, url: 'memory://', inFlight: [1, 2], slices: 2 });

    expect(progress).to.deep.equal(Array.from({ length: 8 }, (_, index) => [index + 1, 8]));
  });

  it('leave nothing on the broker', async function () {
    const { api, url } = broker;
    if (api === undefined) return skip(this, 'what the bench leaves', 'the broker has no management API');
    const parts: Parts = { sender: { role: 'publisher' }, receiver: { role: 'worker' } };
    const topics: string[] = [];
    {
      await using sides = await Sides.start(
        Side.start('posthorn', url, parts),
        Side.start('amqplib', url, parts),
        Side.start('posthorn', url, { sender: { role: 'notifier' }, receiver: { role: 'listener' } }),
      );
      for (const { sender, topic } of sides.all) {
        await sender.run({ inFlight: 1, calls: 1 });
        topics.push(topic);
      }
    }

    const left = [...(await api.queues()), ...(await api.exchanges())].map(({ name }) => name);
    expect(left.filter((name) => topics.some((topic) => name.includes(topic)))).to.deep.equal([]);
  });
});

async function run(name: string, settings: Settings): Promise<Seen> {
  const rows: Row[] = [];
  const abouts: About[] = [];
  const progress: [done: number, total: number][] = [];
  await named(name).run(settings, {
    begin: (about) => abouts.push(about),
    row: (row) => rows.push(row),
    progress: (done, total) => progress.push([done, total]),
  });
  return { rows, abouts, progress };
}

function named(name: string): Scenario {
  const found = scenarios.find((scenario) => scenario.name === name);
  if (found === undefined) throw new Error(`no scenario ${name}`);
  return found;
}

function expectAbove0(row: Row | undefined, ...keys: readonly string[]): void {
  for (const key of keys) expect(row?.[key], key).to.be.above(0);
}
