import { expect } from 'chai';
import fc from 'fast-check';
import { concurrent, type Executor, keyed, serial } from '../src/executor.ts';
import { rejection, settled } from './support.ts';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Jobs that end when told to. */
function jobs(): {
  readonly started: number[];
  readonly end: (n: number) => void;
  readonly job: (n: number) => () => Promise<number>;
} {
  const started: number[] = [];
  const ends = new Map<number, () => void>();
  return {
    started,
    end: (n) => ends.get(n)?.(),
    job: (n) => () => {
      started.push(n);
      return new Promise((resolve) => ends.set(n, () => resolve(n)));
    },
  };
}

describe('an executor', () => {
  it('R-02: is given a job, its key, and nothing of the transport', () => {
    // Checked by the compiler: the one method takes a function without parameters, and a text.
    const onlySubmit: Same<keyof Executor, 'submit'> = true;
    const onlyAJob: Same<
      Parameters<Executor['submit']>,
      [job: () => Promise<unknown>, key?: string | undefined]
    > = true;
    expect([onlySubmit, onlyAJob]).to.deep.equal([true, true]);
  });

  it('R-02: serial runs one job at a time, in order', async () => {
    const { started, end, job } = jobs();
    const executor = serial();
    const results = [1, 2, 3].map((n) => executor.submit(job(n)));
    await settled();
    expect(started).to.deep.equal([1]);
    end(1);
    await settled();
    expect(started).to.deep.equal([1, 2]);
    end(2);
    await settled();
    end(3);
    expect(await Promise.all(results)).to.deep.equal([1, 2, 3]);
  });

  it('R-02: concurrent runs up to its limit, and the next when any has ended', async () => {
    const { started, end, job } = jobs();
    const executor = concurrent(2);
    const results = [1, 2, 3, 4].map((n) => executor.submit(job(n)));
    expect(started).to.deep.equal([1, 2]);
    end(2);
    await settled();
    expect(started).to.deep.equal([1, 2, 3]);
    for (const n of [1, 3]) end(n);
    await settled();
    end(4);
    expect(await Promise.all(results)).to.deep.equal([1, 2, 3, 4]);
  });

  it('keyed runs the jobs of one key in order, and those of others meanwhile', async () => {
    const { started, end, job } = jobs();
    const executor = keyed(2);
    const results = [
      executor.submit(job(1), 'a'),
      executor.submit(job(2), 'a'),
      executor.submit(job(3), 'b'),
      executor.submit(job(4)),
    ];
    await settled();
    expect(started).to.deep.equal([1, 3]);
    end(3);
    await settled();
    expect(started).to.deep.equal([1, 3, 4]);
    end(1);
    await settled();
    expect(started).to.deep.equal([1, 3, 4, 2]);
    for (const n of [2, 4]) end(n);
    expect(await Promise.all(results)).to.deep.equal([1, 2, 3, 4]);
  });

  it('keyed goes on with the next job of a key when one has failed', async () => {
    const executor = keyed(1);
    const failing = executor.submit(() => Promise.reject(new Error('broken')), 'a');
    const next = executor.submit(async () => 'fine', 'a');
    expect((await rejection(failing)).message).to.equal('broken');
    expect(await next).to.equal('fine');
  });

  it('passes a failure on, and goes on with the next job', async () => {
    const executor = serial();
    const failing = executor.submit(() => Promise.reject(new Error('broken')));
    const next = executor.submit(async () => 'fine');
    expect((await rejection(failing)).message).to.equal('broken');
    expect(await next).to.equal('fine');
  });

  it('never exceeds its limit, and runs every job once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(3), { maxLength: 15 }), async (limit, turns) => {
        const executor = concurrent(limit);
        let running = 0;
        let most = 0;
        const results = turns.map((count, index) =>
          executor.submit(async () => {
            most = Math.max(most, ++running);
            for (let turn = 0; turn < count; turn++) await Promise.resolve();
            running--;
            return index;
          }),
        );
        expect(await Promise.all(results)).to.deep.equal(turns.map((_, index) => index));
        expect(most).to.be.at.most(limit);
      }),
    );
  });

  for (const limit of [0, -1, 1.5, Number.NaN])
    it(`refuses a limit of ${limit}`, () => {
      expect(() => concurrent(limit)).to.throw(RangeError);
    });
});
