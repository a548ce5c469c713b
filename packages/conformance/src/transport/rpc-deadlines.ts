import { setTimeout as pause } from 'node:timers/promises';
import { type Context, type Executor, newId, serial, type Transport } from '@posthorn/core';
import type { CallInfo } from '@posthorn/rpc';
import { expect } from 'chai';
import { lifetime, outcomeOf } from '../kit.ts';
import { waitFor } from '../wait-for.ts';
import { deferred } from './deferred.ts';
import { Lab } from './lab.ts';
import { rejectionOf } from './rejection.ts';
import type { TransportHarness } from './transport-harness.ts';

/** A method that runs until its signal is aborted, and tells of both. */
function hanging(): {
  readonly endpoint: object;
  readonly started: Promise<CallInfo>;
  readonly aborted: Promise<unknown>;
} {
  const started = deferred<CallInfo>();
  const aborted = deferred<unknown>();
  const endpoint = {
    hang: (_context: Context, _args: object, info: CallInfo) =>
      new Promise((resolve) => {
        info.signal.addEventListener('abort', () => {
          aborted.resolve(info.signal.reason);
          resolve('too late');
        });
        started.resolve(info);
      }),
  };
  return { endpoint, started: started.promise, aborted: aborted.promise };
}

/** One job at a time, and how many were submitted. */
function counting(): { readonly executor: Executor; submitted: number } {
  const inner = serial();
  const counter = {
    submitted: 0,
    executor: {
      submit<T>(job: () => Promise<T>): Promise<T> {
        counter.submitted++;
        return inner.submit(job);
      },
    },
  };
  return counter;
}

/** `next` resolves when the servers of the topic are sent a cancel. */
async function watchCancels(on: Transport, topic: string): Promise<{ readonly next: Promise<void> }> {
  const seen = deferred();
  await on.subscribe([{ kind: 'multicast', exchange: 'posthorn', topic }], (delivery) => {
    void delivery.settle('accept');
    if (delivery.message.headers?.['ph-cancel'] !== undefined) seen.resolve();
  });
  return { next: seen.promise };
}

/** The time that a call has, on both sides of it. */
export function describeDeadlines(transport: TransportHarness): void {
  describe('deadlines', () => {
    it('a request that expired in the queue is never executed', async () => {
      await using lab = new Lab(transport);
      const ran: unknown[] = [];
      const endpoint = { note: (_context: Context, { n }: { readonly n: number }) => ran.push(n) };
      await (await lab.serve(endpoint)).close();
      const client = await lab.client();
      expect(await outcomeOf(client.call({}, 'note', { n: 1 }, { timeoutMs: 200 }))).to.equal('TIMEOUT');
      // Brokers count from when they have it, and discard by timers.
      await lifetime(500);
      await client.cast({}, 'note', { n: 2 });
      await lab.serve(endpoint);
      await client.call({}, 'note', { n: 3 });
      expect(ran).to.deep.equal([2, 3]);
    });

    it('a request that expired behind another one in the server is never executed', async () => {
      await using lab = new Lab(transport);
      const gate = deferred();
      const ran: unknown[] = [];
      const counter = counting();
      await lab.serve(
        {
          async note(_context: Context, { n }: { readonly n: number }) {
            ran.push(n);
            if (n === 1) await gate.promise;
          },
        },
        { executor: counter.executor },
      );
      const client = await lab.client();
      const first = client.call({}, 'note', { n: 1 });
      await waitFor('the first to run', () => ran.length === 1);
      const second = outcomeOf(client.call({}, 'note', { n: 2 }, { timeoutMs: 1_000 }));
      await waitFor('the second to wait', () => counter.submitted === 2);
      const arrived = performance.now();
      expect(await second).to.equal('TIMEOUT');
      // The server counts from the arrival, which is a little later than the client's start.
      await waitFor('the time to be over for the server too', () => performance.now() > arrived + 1_010);
      gate.resolve();
      await first;
      await client.call({}, 'note', { n: 3 });
      expect(ran).to.deep.equal([1, 3]);
      expect(lab.logged('info').map(({ fields }) => fields['why'])).to.include.oneOf(['expired', 'cancelled']);
    });

    it('an abort rejects with the reason and aborts the signal of the method', async () => {
      await using lab = new Lab(transport);
      const { endpoint, started, aborted } = hanging();
      await lab.serve(endpoint);
      const giveUp = new AbortController();
      const calling = rejectionOf((await lab.client()).call({}, 'hang', {}, { signal: giveUp.signal }));
      await started;
      const reason = new Error('the user left');
      giveUp.abort(reason);
      expect(await calling).to.equal(reason);
      expect(await aborted).to.have.property('message', 'the caller gave up');
    });

    it('a time-out aborts the signal of the method', async () => {
      await using lab = new Lab(transport);
      const { endpoint, aborted } = hanging();
      await lab.serve(endpoint);
      const calling = outcomeOf((await lab.client()).call({}, 'hang', {}, { timeoutMs: 1_000 }));
      expect(await calling).to.equal('TIMEOUT');
      expect(await aborted)
        .to.have.property('code')
        .that.is.oneOf(['TIMEOUT', 'CLOSED']);
    });

    it('a call that is aborted before it is made sends nothing', async () => {
      await using lab = new Lab(transport);
      let ran = 0;
      await lab.serve({ work: () => ++ran });
      const client = await lab.client();
      const reason = new Error('never mind');
      const signal = AbortSignal.abort(reason);
      expect(await rejectionOf(client.call({}, 'work', {}, { signal }))).to.equal(reason);
      expect(await client.call({}, 'work')).to.equal(1);
    });

    it('a cancelled request that still waits in the server is never executed', async () => {
      await using lab = new Lab(transport);
      const gate = deferred();
      const ran: unknown[] = [];
      const counter = counting();
      await lab.serve(
        {
          async note(_context: Context, { n }: { readonly n: number }) {
            ran.push(n);
            if (n === 1) await gate.promise;
          },
        },
        { executor: counter.executor },
      );
      const client = await lab.client();
      const cancels = await watchCancels(await lab.connect(), lab.topic);
      const first = client.call({}, 'note', { n: 1 });
      await waitFor('the first to run', () => ran.length === 1);
      const giveUp = new AbortController();
      const second = outcomeOf(client.call({}, 'note', { n: 2 }, { signal: giveUp.signal }));
      await waitFor('the second to wait', () => counter.submitted === 2);
      giveUp.abort(new Error('enough'));
      await second;
      await cancels.next;
      // It travels the same way as the cancel, after it: where this has arrived, the cancel has too.
      await client.fanout({}, 'note', { n: 3 });
      await waitFor('the fanout to arrive', () => counter.submitted === 3);
      gate.resolve();
      await first;
      await waitFor('the fanout to run', () => ran.length >= 2);
      expect(ran).to.deep.equal([1, 3]);
      expect(lab.logged('info').map(({ fields }) => fields['why'])).to.include('cancelled');
    });

    it('a method is told its deadline, and one that was cast has none', async () => {
      await using lab = new Lab(transport);
      const seen: (number | undefined)[] = [];
      await lab.serve({
        note: (_context: Context, _args: object, { deadline }: CallInfo) =>
          void seen.push(deadline === undefined ? undefined : deadline - performance.now()),
      });
      const client = await lab.client();
      await client.call({}, 'note', {}, { timeoutMs: 5_000 });
      await client.cast({}, 'note', {}, { timeoutMs: 5_000 });
      await waitFor('the cast', () => seen.length >= 2);
      expect(seen[0]).to.be.within(1_000, 5_001);
      expect(seen[1]).to.equal(undefined);
    });

    it('a nested call made with the context of its method inherits the deadline', async () => {
      await using lab = new Lab(transport);
      const topic = `back-${newId()}`;
      const back = {
        left: (_context: Context, _args: object, { deadline = 0 }: CallInfo) => deadline - performance.now(),
      };
      await lab.serve(back, { target: { topic, server: 'back' } });
      const backs = await lab.client({ on: await lab.serving(), target: { topic } });
      const front = {
        inherit: (context: Context) => backs.call(context, 'left'),
        fresh: (context: Context) => backs.call({ ...context }, 'left'),
      };
      await lab.serve(front);
      const client = await lab.client({ timeoutMs: 6_000 });
      expect(await client.call({}, 'inherit')).to.be.within(1_000, 6_001);
      expect(await client.call({}, 'fresh')).to.be.within(50_000, 60_001);
    });

    it('an abort reaches the nested call, and its method', async () => {
      await using lab = new Lab(transport);
      const topic = `back-${newId()}`;
      const { endpoint, started, aborted } = hanging();
      await lab.serve(endpoint, { target: { topic, server: 'back' } });
      const backs = await lab.client({ on: await lab.serving(), target: { topic } });
      const nested = deferred<Error>();
      await lab.serve({
        ask: async (context: Context) => nested.resolve(await rejectionOf(backs.call(context, 'hang'))),
      });
      const giveUp = new AbortController();
      const calling = outcomeOf((await lab.client()).call({}, 'ask', {}, { signal: giveUp.signal }));
      await started;
      giveUp.abort(new Error('enough'));
      await calling;
      expect(await nested.promise).to.have.property('message', 'the caller gave up');
      expect(await aborted).to.be.instanceOf(Error);
    });

    it('a time-out that no timer can hold is refused', async () => {
      await using lab = new Lab(transport);
      const client = await lab.client();
      for (const timeoutMs of [2 ** 31, Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(await outcomeOf(client.call({}, 'work', {}, { timeoutMs }))).to.equal('CONFIG');
        expect(() => client.prepare({ timeoutMs }))
          .to.throw()
          .with.property('code', 'CONFIG');
      }
    });
  });

  describe('call monitoring', () => {
    it('N-20: a method that runs for longer than the monitor is kept alive by its server', async () => {
      await using lab = new Lab(transport);
      await lab.serve({ work: () => pause(1_400, 'done') });
      const client = await lab.client({ monitorMs: 600, timeoutMs: 60_000 });
      expect(await client.call({}, 'work')).to.equal('done');
    });

    it('N-20: a caller that stalls does not take that for silence of the server', async () => {
      await using lab = new Lab(transport);
      const started = deferred();
      const work = (): Promise<string> => {
        started.resolve();
        return pause(1_300, 'done');
      };
      await lab.serve({ work });
      const client = await lab.client({ monitorMs: 600, timeoutMs: 60_000 });
      const calling = client.call({}, 'work');
      await started.promise;
      // Blocks the event loop: nothing is read, and then all timers are due at once.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 900);
      expect(await calling).to.equal('done');
    });

    it('N-20: a server that dies in the middle of a call ends it after one silent monitor interval', async () => {
      await using lab = new Lab(transport);
      const doomed = await lab.connect();
      const started = deferred();
      const gate = deferred();
      const work = (): Promise<void> => {
        started.resolve();
        return gate.promise;
      };
      await lab.serve({ work }, { on: doomed });
      const client = await lab.client({ monitorMs: 1_000, timeoutMs: 60_000 });
      const calling = rejectionOf(client.call({}, 'work'));
      await started.promise;
      await doomed.close({ timeoutMs: 1 });
      const died = performance.now();
      const error = await calling;
      expect(error).to.have.property('code', 'TIMEOUT');
      expect(error.message).to.include('no sign of life');
      expect(performance.now() - died).to.be.below(3_000);
      gate.resolve();
    });

    it('N-20: a server that is silent from the start ends the call after one monitor interval', async () => {
      await using lab = new Lab(transport);
      const serving = await lab.serving();
      await serving.subscribe([{ kind: 'anycast', exchange: 'posthorn', topic: lab.topic }], (delivery) => {
        void delivery.settle('accept');
      });
      const client = await lab.client({ monitorMs: 300, timeoutMs: 60_000 });
      const began = performance.now();
      expect(await outcomeOf(client.call({}, 'work'))).to.equal('TIMEOUT');
      expect(performance.now() - began).to.be.within(290, 3_000);
    });

    it('N-20: signs of life do not carry a call past its own time-out', async () => {
      await using lab = new Lab(transport);
      const { endpoint } = hanging();
      await lab.serve(endpoint);
      const client = await lab.client({ monitorMs: 1_200, timeoutMs: 1_500 });
      const began = performance.now();
      const error = await rejectionOf(client.call({}, 'hang'));
      expect(error.message).to.not.include('no sign of life');
      expect(performance.now() - began).to.be.within(1_490, 10_000);
    });
  });
}
