import { expect } from 'chai';
import { besides, compared } from '../src/compared.ts';
import type { Slice } from '../src/figures.ts';
import { verdicts } from '../src/goals.ts';
import { plot } from '../src/plot.ts';
import type { Row } from '../src/scenario.ts';
import { scenarios } from '../src/scenarios.ts';
import { filled } from '../src/tables.ts';
import { inTurns } from '../src/turns.ts';

const slice = (operations: number, more: Partial<Slice> = {}): Slice => ({
  operations,
  elapsedMs: 1_000,
  cpuUs: operations * 10,
  ...more,
});

describe('the figures of the bench', () => {
  it('are those of the slice in the middle, and the ratio is that of the rates', () => {
    const ours = [slice(50), slice(90), slice(100)];
    const theirs = [slice(100), slice(5), slice(120)];

    expect(compared('Call', ours, theirs)).to.include({ rate: 90, twinRate: 100, ratio: 0.9, cpuUsPerCall: 10 });
  });

  it('have the ratio of the worst and of the best turn beside them', () => {
    const figures = besides('Message', [slice(50), slice(90)], [slice(100), slice(100)]);

    expect(figures).to.include({ ratioLow: 0.5, ratioHigh: 0.9, brokerCpuUsPerMessage: null });
  });

  it('have what the broker needed over all slices', () => {
    const ours = [slice(100, { brokerCpuUs: 0 }), slice(100, { brokerCpuUs: 10_000 })];

    expect(besides('Call', ours, undefined)).to.include({ brokerCpuUsPerCall: 50, twinBrokerCpuUsPerCall: null });
  });

  it('have null where there is nothing to compare with', () => {
    expect(compared('Call', [slice(1)], undefined)).to.include({ twinRate: null, ratio: null, p50Ms: null });
  });
});

describe('inTurns', () => {
  it('takes the slices in turns, every other turn backwards', async () => {
    const order: string[] = [];
    const take = (name: string, operations: number) => async () => {
      order.push(name);
      return slice(operations);
    };

    const slices = await inTurns([take('a', 1), take('b', 2)], 3);

    expect(order.join('')).to.equal('abbaab');
    expect(slices.map((of) => of.map(({ operations }) => operations))).to.deep.equal([
      [1, 1, 1],
      [2, 2, 2],
    ]);
  });
});

describe('the tables of a page', () => {
  const row: Row = {
    scenario: 'publish',
    transport: 'rabbit',
    inFlight: 100,
    rate: 1_234,
    twinRate: 2_468,
    ratio: 0.5,
  };
  const page = (inside: string): string =>
    `Before.\n<!-- figures: publish rabbit -->\n${inside}<!-- end of figures -->\nAfter.\n`;

  it('are made from results, without the columns that have none', () => {
    const host = { node: 'v20.0.0', cpus: 2, cpu: 'a chip', memoryGiB: 24, load: 0.1, broker: 'RabbitMQ 4.0.5' };

    expect(filled(page('old\n'), [{ ...row, host }], scenarios)).to.equal(
      page(
        [
          '| unconfirmed | messages/s | twin | ratio |',
          '| --- | --- | --- | --- |',
          '| 100 | 1234 | 2468 | 0.50 |',
          '',
          '*Node v20.0.0, 2 × a chip, 24 GiB, RabbitMQ 4.0.5, load 0.1 before.*\n',
        ].join('\n'),
      ),
    );
  });

  it('stay as they are where there is no result', () => {
    expect(filled(page('old\n'), [{ ...row, transport: 'amqp1' }], scenarios)).to.equal(page('old\n'));
  });
});

describe('the goals', () => {
  const calls = { scenario: 'rpc', transport: 'rabbit', cpuUsPerCall: 14, twinCpuUsPerCall: 10 };
  const rows: readonly Row[] = [
    { ...calls, inFlight: 1, ratio: 0.5, p50Ms: 0.24, twinP50Ms: 0.2 },
    { ...calls, inFlight: 10, ratio: 1.1 },
    { ...calls, inFlight: 100, ratio: 0.89 },
    { scenario: 'scale', transport: 'rabbit', what: 'processes', count: 200, processes: 200, connections: 201 },
  ];

  it('are met by the worst of the rows that they are about, or missed', () => {
    const told = verdicts(rows).map(({ what, bound, worst, met }) => [what, bound, worst, met]);

    expect(told).to.deep.equal([
      ['calls: of the twin, 10 to 1,000 in flight', 'at least 0.9', 0.89, 'no'],
      ['calls: p50 of the twin’s, 1 in flight', 'at most 1.1', 0.24 / 0.2, 'no'],
      ['calls: CPU of the twin’s', 'at most 1.5', 1.4, 'yes'],
      ['connections of a process, up to 200 processes', 'at most 1', 1.005, 'no'],
    ]);
  });

  it('are not told where nothing was measured', () => {
    expect(verdicts([])).to.deep.equal([]);
  });
});

describe('the plot', () => {
  it('has a point for each number in flight, for us and for the twin', () => {
    const row = {
      scenario: 'rpc',
      transport: 'rabbit',
      rate: 100,
      twinRate: 120,
      p50Ms: 0.2,
      p99Ms: 2,
      twinP50Ms: 0.1,
    };
    const svg = plot([
      { ...row, inFlight: 1 },
      { ...row, inFlight: 100, rate: 5_000, p50Ms: 3 },
    ]);

    expect(svg).to.match(/^<svg [\s\S]*<\/svg>\n$/);
    expect(svg.match(/<circle/g)).to.have.length(6);
    expect(svg.match(/<polyline/g)).to.have.length(3);
    expect(svg).to.not.include('NaN');
  });

  it('is drawn for a transport without a twin, too', () => {
    const svg = plot([
      { scenario: 'rpc', transport: 'memory', inFlight: 1, rate: 100, twinRate: null, p50Ms: 1, p99Ms: 1 },
    ]);

    expect(svg.match(/<polyline/g)).to.have.length(2);
    expect(svg).to.not.include('NaN');
  });
});
