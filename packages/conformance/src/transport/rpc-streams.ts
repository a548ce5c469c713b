import { type Context, MessagingError, newId } from '@posthorn/core';
import type { CallInfo, CallStream } from '@posthorn/rpc';
import { expect } from 'chai';
import { outcomeOf } from '../kit.ts';
import { waitFor } from '../wait-for.ts';
import { deferred } from './deferred.ts';
import { Lab } from './lab.ts';
import { rejectionOf } from './rejection.ts';
import type { TransportHarness } from './transport-harness.ts';

/** A counter that counts for ever, what it counted, and what became of it. */
function counter() {
  const ended = deferred();
  const aborted = deferred<unknown>();
  const state = { made: 0 };
  return {
    state,
    /** Its `finally` ran. */
    ended: ended.promise,
    /** Its signal was aborted. */
    aborted: aborted.promise,
    endpoint: {
      async *count(_context: Context, _args: object, { signal }: CallInfo): AsyncGenerator<number, void> {
        signal.addEventListener('abort', () => aborted.resolve(signal.reason));
        try {
          for (;;) yield ++state.made;
        } finally {
          ended.resolve();
        }
      },
    },
  };
}

/** A streaming method that first yields, then runs until its signal is aborted. */
function hanging(parts: readonly string[]) {
  const aborted = deferred<unknown>();
  const started = deferred();
  return {
    started: started.promise,
    aborted: aborted.promise,
    endpoint: {
      async *hang(_context: Context, _args: object, { signal }: CallInfo): AsyncGenerator<string, string> {
        started.resolve();
        yield* parts;
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        aborted.resolve(signal.reason);
        return 'too late';
      },
    },
  };
}

async function readAll(stream: CallStream<unknown, unknown>): Promise<unknown[]> {
  const parts: unknown[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

/** Calls that tell of their progress. */
export function describeStreams(transport: TransportHarness): void {
  describe('streams', () => {
    it('what a method yields is read in order, and what it returns is the result', async () => {
      await using lab = new Lab(transport);
      await lab.serve({
        async *count(_context: Context, { to }: { readonly to: number }) {
          for (let n = 1; n <= to; n++) yield { n };
          return { counted: to };
        },
      });
      const client = await lab.client();
      for (const to of [0, 1, 500]) {
        const stream = client.stream({}, 'count', { to });
        expect(await readAll(stream)).to.deep.equal(Array.from({ length: to }, (_, index) => ({ n: index + 1 })));
        expect(await stream.result).to.deep.equal({ counted: to });
      }
    });

    it('progress arrives before the result, while the method runs', async () => {
      await using lab = new Lab(transport);
      const gate = deferred();
      let isDone = false;
      await lab.serve({
        async *install() {
          yield 'half';
          await gate.promise;
          isDone = true;
          return 'done';
        },
      });
      const stream = (await lab.client()).stream({}, 'install');
      const reader = stream[Symbol.asyncIterator]();
      expect(await reader.next()).to.deep.equal({ done: false, value: 'half' });
      expect(isDone).to.equal(false);
      gate.resolve();
      expect(await stream.result).to.equal('done');
      expect(await reader.next()).to.deep.equal({ done: true, value: undefined });
    });

    it('a slow reader slows the producer', async () => {
      await using lab = new Lab(transport);
      const { state, endpoint } = counter();
      await lab.serve({ ...endpoint, ping: () => 'pong' });
      const client = await lab.client();
      const stream = client.stream({}, 'count', {}, { window: 4 });
      const reader = stream[Symbol.asyncIterator]();
      // Four on their way or here, and one that waits to be sent.
      const standsAt = async (made: number): Promise<void> => {
        await waitFor(`${made} to be made`, () => state.made >= made);
        for (let round = 0; round < 20; round++) await client.call({}, 'ping');
        expect(state.made).to.equal(made);
      };
      await standsAt(5);
      expect((await reader.next()).value).to.equal(1);
      expect((await reader.next()).value).to.equal(2);
      await standsAt(7);
      for (let n = 3; n <= 40; n++) expect((await reader.next()).value).to.equal(n);
      await standsAt(45);
      await reader.return?.();
    });

    it('leaving the loop aborts the signal of the method, ends its generator, and the result is CLOSED', async () => {
      await using lab = new Lab(transport);
      const { endpoint, aborted, ended } = counter();
      await lab.serve(endpoint);
      const stream = (await lab.client()).stream({}, 'count');
      for await (const n of stream) if (n === 3) break;
      expect(await aborted).to.have.property('message', 'the caller gave up');
      await ended;
      expect(await outcomeOf(stream.result)).to.equal('CLOSED');
      expect(await readAll(stream)).to.deep.equal([]);
    });

    it('leaving before there was any progress aborts the signal of the method', async () => {
      await using lab = new Lab(transport);
      const { endpoint, started, aborted } = hanging([]);
      await lab.serve(endpoint);
      {
        await using _stream = (await lab.client()).stream({}, 'hang');
        await started;
      }
      expect(await aborted).to.have.property('message', 'the caller gave up');
    });

    it('an abort throws the reason into the loop and aborts the signal of the method', async () => {
      await using lab = new Lab(transport);
      const { endpoint, aborted, ended } = counter();
      await lab.serve(endpoint);
      const giveUp = new AbortController();
      const reason = new Error('the user left');
      const stream = (await lab.client()).stream({}, 'count', {}, { signal: giveUp.signal });
      const read: unknown[] = [];
      const reading = async (): Promise<void> => {
        for await (const n of stream) {
          read.push(n);
          if (n === 5) giveUp.abort(reason);
        }
      };
      expect(await rejectionOf(reading())).to.equal(reason);
      expect(await rejectionOf(stream.result)).to.equal(reason);
      expect(read).to.deep.equal([1, 2, 3, 4, 5]);
      expect(await aborted).to.have.property('message', 'the caller gave up');
      await ended;
    });

    it('the deadline aborts the signal of the method, and what came before is still read', async () => {
      await using lab = new Lab(transport);
      const { endpoint, aborted } = hanging(['one', 'two']);
      await lab.serve(endpoint);
      const stream = (await lab.client()).stream({}, 'hang', {}, { timeoutMs: 1_500 });
      expect(await outcomeOf(stream.result)).to.equal('TIMEOUT');
      const reader = stream[Symbol.asyncIterator]();
      expect((await reader.next()).value).to.equal('one');
      expect((await reader.next()).value).to.equal('two');
      expect(await outcomeOf(reader.next())).to.equal('TIMEOUT');
      expect(await reader.next()).to.deep.equal({ done: true, value: undefined });
      expect(await aborted)
        .to.have.property('code')
        .that.is.oneOf(['TIMEOUT', 'CLOSED']);
    });

    it('progress that nobody reads runs into the deadline, which says so', async () => {
      await using lab = new Lab(transport);
      const { endpoint, ended } = counter();
      await lab.serve(endpoint);
      const stream = (await lab.client()).stream({}, 'count', {}, { timeoutMs: 1_500 });
      expect((await rejectionOf(stream.result)).message).to.include('whose progress was not read, timed out');
      await ended;
    });

    it('a caller that is gone aborts the signal of a method that waits for it', async () => {
      await using lab = new Lab(transport);
      const { state, endpoint, aborted, ended } = counter();
      await lab.serve(endpoint);
      const doomed = await lab.connect();
      // Where nobody tells that the reply address is gone, it is the deadline that does it.
      const client = await lab.client({ on: doomed, monitorMs: 1_500, timeoutMs: 5_000 });
      const stream = client.stream({}, 'count', {}, { window: 4 });
      await waitFor('the producer to wait', () => state.made === 5);
      await doomed.close();
      expect(await outcomeOf(stream.result)).to.equal('CLOSED');
      await aborted;
      await ended;
      expect(state.made).to.equal(5);
    });

    it('a failure comes after the progress, and both the loop and the result throw it', async () => {
      await using lab = new Lab(transport);
      await lab.serve({
        async *break() {
          yield* ['one', 'two'];
          throw new RangeError('out of disk');
        },
      });
      const stream = (await lab.client()).stream({}, 'break');
      const read: unknown[] = [];
      const reading = async (): Promise<void> => {
        for await (const part of stream) read.push(part);
      };
      const error = await rejectionOf(reading());
      expect(error).to.include({ code: 'REMOTE', message: 'out of disk' });
      expect(await rejectionOf(stream.result)).to.equal(error);
      expect(read).to.deep.equal(['one', 'two']);
    });

    it('progress that cannot be sent fails the call and ends the generator', async () => {
      await using lab = new Lab(transport);
      const ended = deferred();
      await lab.serve({
        async *tell() {
          try {
            yield 1n;
          } finally {
            ended.resolve();
          }
        },
      });
      const stream = (await lab.client()).stream({}, 'tell');
      expect((await rejectionOf(stream.result)).message).to.include('a big integer');
      await ended.promise;
    });

    it('a streaming method that is called gives its result alone, and one that has no end meets its deadline', async () => {
      await using lab = new Lab(transport);
      const { endpoint, ended } = counter();
      await lab.serve({
        ...endpoint,
        async *install() {
          for (let n = 0; n < 100; n++) yield n;
          return 'done';
        },
      });
      const client = await lab.client();
      expect(await client.call({}, 'install')).to.equal('done');
      expect(await outcomeOf(client.call({}, 'count', {}, { timeoutMs: 1_000 }))).to.equal('TIMEOUT');
      await ended;
    });

    it('a method without progress can be streamed, and so can one that does not exist', async () => {
      await using lab = new Lab(transport);
      await lab.serve({ plain: () => 'done' });
      const client = await lab.client();
      const stream = client.stream({}, 'plain');
      expect(await readAll(stream)).to.deep.equal([]);
      expect(await stream.result).to.equal('done');
      const missing = client.stream({}, 'missing');
      expect(await outcomeOf(readAll(missing))).to.equal('NO_SUCH_METHOD');
      const nowhere = (await lab.client({ target: { topic: newId() } })).stream({}, 'plain', {}, { timeoutMs: 500 });
      expect(await outcomeOf(readAll(nowhere))).to.be.oneOf(['UNROUTABLE', 'TIMEOUT']);
    });

    it('100 streams at once do not mix', async () => {
      await using lab = new Lab(transport);
      await lab.serve({
        async *echo(_context: Context, { id }: { readonly id: number }) {
          for (let n = 0; n < 20; n++) yield `${id}.${n}`;
          return id;
        },
      });
      const client = await lab.client();
      const ids = Array.from({ length: 100 }, (_, id) => id);
      const outcomes = ids.map(async (id) => {
        const stream = client.stream({}, 'echo', { id }, { window: 3 });
        return [await readAll(stream), await stream.result];
      });
      const expected = ids.map((id) => [Array.from({ length: 20 }, (_, n) => `${id}.${n}`), id]);
      expect(await Promise.all(outcomes)).to.deep.equal(expected);
    });

    it('N-20: signs of life carry a stream over a pause that is longer than the monitor', async () => {
      await using lab = new Lab(transport);
      const gate = deferred();
      await lab.serve({
        async *install() {
          yield 'begun';
          await gate.promise;
          yield 'almost';
          return 'done';
        },
      });
      const stream = (await lab.client({ monitorMs: 600 })).stream({}, 'install');
      const reader = stream[Symbol.asyncIterator]();
      await reader.next();
      const begun = performance.now();
      await waitFor('two monitors to pass', () => performance.now() > begun + 1_300);
      gate.resolve();
      expect((await reader.next()).value).to.equal('almost');
      expect(await stream.result).to.equal('done');
    });

    it('a server that closes in spite of a stream ends it, and its reader is told', async () => {
      await using lab = new Lab(transport);
      const { state, endpoint, aborted, ended } = counter();
      const server = await lab.serve(endpoint);
      const stream = (await lab.client()).stream({}, 'count', {}, { window: 2 });
      await waitFor('the producer to wait', () => state.made === 3);
      expect(await server.close({ timeoutMs: 100 })).to.deep.equal({ abandoned: ['count'] });
      expect(await aborted)
        .to.be.instanceOf(MessagingError)
        .with.property('code', 'CLOSED');
      await ended;
      expect((await rejectionOf(stream.result)).message).to.include('is closed');
    });

    it('a window of nothing is refused, and so is a stream from all servers at once', async () => {
      await using lab = new Lab(transport);
      const client = await lab.client();
      for (const window of [0, -1, 1.5, Number.NaN, 1_000_000])
        expect(await outcomeOf(client.stream({}, 'm', {}, { window }).result)).to.equal('CONFIG');
      const all = client.prepare({ fanout: true });
      expect(await outcomeOf(readAll(all.stream({}, 'm')))).to.equal('INVALID_TARGET');
    });
  });
}
