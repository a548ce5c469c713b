import { expect } from 'chai';
import { JobStream } from '../src/job-stream.ts';

describe('a job stream', () => {
  it('settles an item when the next one is asked for', async () => {
    const stream = new JobStream<string>();
    const ends: unknown[] = [];
    const [a, b] = ['a', 'b'].map((eventType) => stream.add(eventType));
    void a?.then((end) => ends.push(end));
    const iterator = stream[Symbol.asyncIterator]();
    expect((await iterator.next()).value).to.equal('a');
    expect(ends).to.deep.equal([]);
    expect((await iterator.next()).value).to.equal('b');
    expect(ends).to.deep.equal(['accept']);
    await iterator.return?.();
    expect(await b).to.deep.equal({ outcome: 'release', reason: 'its loop was left' });
  });

  it('gives each loop its own: leaving one does not settle what another holds', async () => {
    const stream = new JobStream<string>();
    const [a, b] = ['a', 'b'].map((eventType) => stream.add(eventType));
    const [one, two] = [stream[Symbol.asyncIterator](), stream[Symbol.asyncIterator]()];
    await one.next();
    await two.next();
    await one.return?.();
    expect(await a).to.deep.equal({ outcome: 'release', reason: 'its loop was left' });
    stream.end();
    expect((await two.next()).done).to.equal(true);
    expect(await b).to.equal('accept');
  });

  it('wakes every loop that waits', async () => {
    const stream = new JobStream<string>();
    const waiting = [stream[Symbol.asyncIterator](), stream[Symbol.asyncIterator]()].map((loop) => loop.next());
    stream.end();
    expect((await Promise.all(waiting)).map(({ done }) => done)).to.deep.equal([true, true]);
  });

  it('gives back what nobody looked at when it ends, and what comes later', async () => {
    const stream = new JobStream<string>();
    const unseen = stream.add('a');
    stream.end();
    expect(await unseen).to.equal('release');
    expect(await stream.add('b')).to.equal('release');
  });
});
