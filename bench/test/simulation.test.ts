import { readFileSync } from 'node:fs';
import { newId } from '@posthorn/core';
import { expect } from 'chai';
import fc from 'fast-check';
import { answering, join, PARTS } from '../src/simulation/parts.ts';
import { fixed, oslo, posthorn } from '../src/simulation/pauses.ts';
import { seeded } from '../src/simulation/random.ts';
import { fleetRows, LOSSES, stormRows } from '../src/simulation/scale-tables.ts';
import { Schedule } from '../src/simulation/schedule.ts';
import { SharedProcessor } from '../src/simulation/shared-processor.ts';
import { slope } from '../src/simulation/slope.ts';
import { type Storm, simulate } from '../src/simulation/storm.ts';

const FOREVER = Number.POSITIVE_INFINITY;

function storm(changes: Partial<Omit<Storm, 'broker'>> & { readonly broker?: Partial<Storm['broker']> } = {}): Storm {
  return {
    processes: 1,
    hosts: 1,
    order: 'same',
    downMs: 0,
    noticeMs: 0,
    pauses: fixed(1_000),
    connectTimeoutMs: 10_000,
    untilMs: 3_600_000,
    seed: 7,
    ...changes,
    broker: { cores: 2, takeMs: 1, handshakeMs: 20, restoreMs: 300, backlog: 128, ...changes.broker },
  };
}

describe('the schedule of a simulation', () => {
  it('gives what is soonest first', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true })), (times) => {
        const schedule = new Schedule<number>();
        for (const time of times) schedule.add(time, time);
        const taken = times.map(() => schedule.take()?.at);
        expect(taken).to.deep.equal(times.toSorted((a, b) => a - b));
        expect(schedule.take()).to.equal(undefined);
      }),
    );
  });
});

describe('a processor that jobs share', () => {
  const finish = (cores: number, works: readonly number[], cancelled?: number): readonly number[] => {
    const processor = new SharedProcessor(cores);
    const ended: number[] = [];
    const jobs = works.map((work) => processor.start(0, work, () => ended.push(now)));
    const gone = cancelled === undefined ? undefined : jobs[cancelled];
    if (gone !== undefined) processor.cancel(1, gone);
    let now = processor.nextAt;
    for (; now < FOREVER; now = processor.nextAt) processor.endNext();
    return ended;
  };

  it('does as many jobs at full speed as it has cores', () => {
    expect(finish(2, [10, 20])).to.deep.equal([10, 20]);
  });

  it('slows all down when there are more', () => {
    expect(finish(1, [10, 10])).to.deep.equal([20, 20]);
    expect(finish(1, [10, 30])).to.deep.equal([20, 40]);
  });

  it('speeds the others up when one is cancelled', () => {
    expect(finish(1, [10, 10], 0)).to.deep.equal([10.5]);
  });
});

describe('a simulated storm', () => {
  it('takes a lone process its pause, the way out of the backlog, the handshake and the restoration', () => {
    expect(simulate(storm())).to.include({ lost: 1, allBackMs: 1_321, attemptsEach: 1, peakPerSecond: 1, givenUp: 0 });
  });

  it('counts the attempts that a host which is down refuses, and those alone that a running one saw', () => {
    expect(simulate(storm({ downMs: 4_500 }))).to.include({ allBackMs: 5_321, attemptsEach: 5, peakPerSecond: 1 });
  });

  it('is the same for the same seed, and another for another', () => {
    const run = (seed: number) => simulate(storm({ processes: 500, downMs: 5_000, pauses: posthorn(), seed }));
    expect(run(1)).to.deep.equal(run(1));
    expect(run(1)).to.not.deep.equal(run(2));
  });

  it('brings everybody back, a host in turn, when one of three is lost for good', () => {
    const lost = { processes: 900, hosts: 3, downMs: FOREVER, pauses: posthorn() };
    expect(simulate(storm({ ...lost, order: 'own' })).lost).to.equal(300);
    const same = simulate(storm({ ...lost, order: 'same' }));
    expect(same.lost).to.equal(900);
    expect(same.allBackMs).to.be.a('number');
  });

  it('lets what the kernel ignored ask again after a second', () => {
    const { allBackMs } = simulate(storm({ processes: 2, broker: { backlog: 0 }, untilMs: 60_000 }));
    expect(allBackMs).to.equal(undefined);
    // One is being taken, one waits in the backlog, and the third is ignored.
    const three = simulate(storm({ processes: 3, broker: { backlog: 1, handshakeMs: 0, restoreMs: 0 } }));
    expect(three.allBackMs).to.equal(2_001);
  });

  it('gives up what takes too long, and loses what was done for it', () => {
    // Each alone takes 6 s, two together 12 s.
    const slow = { cores: 1, handshakeMs: 6_000, restoreMs: 0 };
    const { givenUp, allBackMs } = simulate(storm({ processes: 2, broker: slow, untilMs: 300_000 }));
    expect(givenUp).to.be.above(1);
    expect(allBackMs).to.equal(undefined);
    expect(simulate(storm({ processes: 2, broker: slow, connectTimeoutMs: 20_000 })).givenUp).to.equal(0);
  });

  it('has a lower peak with our jitter than with the same pause for all', () => {
    const down = { processes: 2_000, downMs: 30_000, broker: { handshakeMs: 1, restoreMs: 0 } };
    const peak = (pauses: Storm['pauses']) => simulate(storm({ ...down, pauses })).peakPerSecond;
    expect(peak(fixed(1_000))).to.equal(2_000);
    expect(peak(posthorn())).to.be.below(400);
  });
});

describe('the pauses of a simulation', () => {
  it('are, for oslo.messaging, a second each time, and 1, 3, 5 … 31 more when all hosts have failed', () => {
    const pausesOf = (hosts: number, count: number) =>
      Array.from({ length: count }, (_, attempt) => oslo(hosts)(attempt, Math.random));
    expect(pausesOf(1, 4)).to.deep.equal([1_000, 2_000, 4_000, 6_000]);
    expect(pausesOf(2, 5)).to.deep.equal([1_000, 1_000, 2_000, 1_000, 4_000]);
    expect(pausesOf(1, 40).at(-1)).to.equal(32_000);
  });

  it('are drawn alike for the same seed, and lie from 0 to below 1', () => {
    const draw = (): readonly number[] => {
      const random = seeded(3);
      return Array.from({ length: 1_000 }, random);
    };
    expect(draw()).to.deep.equal(draw());
    expect(Math.min(...draw())).to.be.within(0, 0.01);
    expect(Math.max(...draw())).to.be.within(0.99, 0.999_999);
  });
});

describe('the measurement of a fleet', () => {
  it('tells what one more adds, however much is there before', () => {
    const points = [50, 100, 200].map((x) => ({ x, y: 7 + 3 * x }));
    expect(slope(points)).to.be.closeTo(3, 1e-9);
  });

  for (const part of PARTS)
    it(`can make a process that is ${part === 'connection' ? 'no more than a connection' : `a ${part}`}`, async () => {
      const url = `memory://${newId()}`;
      await using _answering = await answering(url);
      await using joined = await join(url, part);
      expect(joined.status.state).to.equal('connected');
    });
});

describe('docs/scale.md', () => {
  const page = readFileSync(new URL('../../docs/scale.md', import.meta.url), 'utf8').split('\n');

  /** The first columns; the last, of 100,000 processes, takes minutes. */
  const shows = (row: string, lines = page): void => {
    expect(
      lines.some((line) => line.startsWith(row.slice(0, -2))),
      row,
    ).to.equal(true);
  };

  it('shows what a fleet costs', () => {
    for (const row of fleetRows([1_000, 10_000, 100_000])) shows(row);
  });

  for (const loss of LOSSES)
    it(`shows the storm when ${loss.name}`, function () {
      this.timeout(60_000);
      const rows = [...stormRows(loss, [1_000, 10_000])];
      const at = page.indexOf(page.find((line) => line.includes(loss.name)) ?? '');
      expect(at, loss.name).to.be.above(0);
      const table = page.slice(at + 1, at + 2 + rows.length);
      for (const row of rows) shows(row, table);
    });
});
