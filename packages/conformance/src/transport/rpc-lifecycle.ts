import { type Context, concurrent, type Executor, serial } from '@posthorn/core';
import { type CallInfo, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { outcomeOf } from '../kit.ts';
import { waitFor } from '../wait-for.ts';
import { deferred } from './deferred.ts';
import { Lab } from './lab.ts';
import type { TransportHarness } from './transport-harness.ts';

/** Two jobs at a time, in the reverse order of submission. */
function ownExecutor(): Executor {
  const waiting: (() => Promise<void>)[] = [];
  let running = 0;
  const next = async (): Promise<void> => {
    const job = running < 2 ? waiting.pop() : undefined;
    if (job === undefined) return;
    running++;
    await job();
    running--;
    await next();
  };
  return {
    submit: <T>(job: () => Promise<T>) =>
      new Promise<T>((resolve, reject) => {
        waiting.push(() => job().then(resolve, reject));
        setImmediate(() => void next());
      }),
  };
}

const executors = [
  { name: 'serial', make: serial, atOnce: 1 },
  { name: 'concurrent', make: () => concurrent(4), atOnce: 4 },
  { name: "the user's own", make: ownExecutor, atOnce: 2 },
] as const;

/** Keeps jobs until the test runs them. */
function parking(): { readonly executor: Executor; readonly parked: (() => void)[] } {
  const parked: (() => void)[] = [];
  return {
    parked,
    executor: {
      submit: (job) => new Promise((resolve, reject) => parked.push(() => job().then(resolve, reject))),
    },
  };
}

const counted = (): { readonly endpoint: object; count: number } => {
  const counter = { count: 0, endpoint: { count: () => ++counter.count } };
  return counter;
};

/** How servers start, run their work, and end. */
export function describeLifecycle(transport: TransportHarness): void {
  describe('executors', () => {
    for (const { name, make, atOnce } of executors)
      it(`R-02: the ${name} executor decides how many methods run at once`, async () => {
        await using lab = new Lab(transport);
        let running = 0;
        let most = 0;
        const turn = deferred();
        const endpoint = {
          async work(_context: Context, { n }: { readonly n: number }) {
            most = Math.max(most, ++running);
            await turn.promise;
            running--;
            return n;
          },
        };
        await lab.serve(endpoint, { executor: make() });
        const client = await lab.client();
        const calls = Array.from({ length: 12 }, (_, n) => client.call({}, 'work', { n }));
        await waitFor('the executor to be full', () => running === atOnce);
        turn.resolve();
        expect(await Promise.all(calls)).to.deep.equal(Array.from({ length: 12 }, (_, n) => n));
        expect(most).to.equal(atOnce);
      });

    it('R-01: the server pauses and resumes around an executor that has nothing but submit', async () => {
      await using lab = new Lab(transport);
      const [mine, other] = [counted(), counted()];
      const executor: Executor = { submit: (job) => job() };
      const server = await lab.serve(mine.endpoint, { executor, server: 'mine' });
      const client = await lab.client();
      await client.call({}, 'count');
      await server.pause();
      const standIn = await lab.serve(other.endpoint, { server: 'other' });
      for (let n = 0; n < 6; n++) await client.call({}, 'count');
      expect([mine.count, other.count]).to.deep.equal([1, 6]);
      await standIn.close();
      const waiting = client.call({}, 'count');
      await server.resume();
      expect(await waiting).to.equal(2);
    });

    it('R-01: the server takes no more than its prefetch while the executor starts nothing', async () => {
      await using lab = new Lab(transport);
      await (await lab.serve(counted().endpoint)).close();
      const client = await lab.client();
      for (let n = 0; n < 10; n++) await client.cast({}, 'count');
      const mine = counted();
      const { executor, parked } = parking();
      await lab.serve(mine.endpoint, { executor, prefetch: 2 });
      await waitFor('the prefetch to be full', () => parked.length >= 2);
      expect(parked).to.have.length(2);
      parked.shift()?.();
      await waitFor('one more to be taken', () => parked.length >= 2);
      expect(parked).to.have.length(2);
      await waitFor('all to run in the end', () => {
        for (const start of parked.splice(0)) start();
        return mine.count === 10;
      });
    });

    it('R-01: what the executor has not started when the server closes goes to another server', async () => {
      await using lab = new Lab(transport);
      const [mine, other] = [counted(), counted()];
      const { executor, parked } = parking();
      const server = await lab.serve(mine.endpoint, { executor, server: 'mine' });
      const client = await lab.client();
      const calls = Array.from({ length: 5 }, () => client.call({}, 'count'));
      await waitFor('the calls to wait in the server', () => parked.length === 5);
      await lab.serve(other.endpoint, { server: 'other', on: await lab.connect() });
      await server.close();
      expect((await Promise.all(calls)).map(Number).sort()).to.deep.equal([1, 2, 3, 4, 5]);
      for (const start of parked) start();
      expect([mine.count, other.count]).to.deep.equal([0, 5]);
    });
  });

  describe('at most once', () => {
    it('R-18: a request delivered twice runs once, with two servers of the topic in the process', async () => {
      await using lab = new Lab(transport);
      const mine = counted();
      for (const server of ['one', 'two']) await lab.serve(mine.endpoint, { server });
      const calling = await lab.calling();
      const twin = {
        body: Buffer.from('{}'),
        contentType: 'application/json',
        type: 'count',
        messageId: `twin-${lab.topic}`,
      };
      for (let n = 0; n < 4; n++)
        await calling.send({ kind: 'anycast', exchange: 'posthorn', topic: lab.topic }, twin, { confirm: true });
      await waitFor('the copies to be skipped', () => lab.logged('info').filter(isDuplicate).length === 3);
      expect(mine.count).to.equal(1);
    });

    it('a fanout runs in each of two servers that share a process', async () => {
      await using lab = new Lab(transport);
      const [one, two] = [counted(), counted()];
      await lab.serve(one.endpoint, { server: 'one' });
      await lab.serve(two.endpoint, { server: 'two' });
      const client = await lab.client();
      await client.fanout({}, 'count');
      await waitFor('both to have run', () => one.count + two.count >= 2);
      expect([one.count, two.count]).to.deep.equal([1, 1]);
    });
  });

  describe('closing', () => {
    it('immunity 13: close with 100 methods running delivers every reply', async () => {
      await using lab = new Lab(transport);
      let running = 0;
      const gate = deferred();
      const endpoint = {
        async work(_context: Context, { n }: { readonly n: number }) {
          running++;
          await gate.promise;
          return n;
        },
      };
      const serving = await lab.serving();
      await lab.serve(endpoint, { executor: concurrent(100), prefetch: 100 });
      const client = await lab.client();
      const calls = Array.from({ length: 100 }, (_, n) => client.call({}, 'work', { n }));
      await waitFor('100 methods to run', () => running === 100);
      const closing = serving.close();
      gate.resolve();
      expect(await Promise.all(calls)).to.deep.equal(Array.from({ length: 100 }, (_, n) => n));
      expect(await closing).to.deep.equal({ abandoned: [] });
    });

    it('close with a time limit returns on time and names the methods that it abandoned', async () => {
      await using lab = new Lab(transport);
      const started = deferred();
      const aborted = deferred<unknown>();
      const server = await lab.serve({
        hang: (_context: Context, _args: object, { signal }: CallInfo) =>
          new Promise((resolve) => {
            signal.addEventListener('abort', () => {
              aborted.resolve(signal.reason);
              resolve(null);
            });
            started.resolve();
          }),
      });
      const client = await lab.client();
      await client.cast({}, 'hang');
      await started.promise;
      const began = performance.now();
      expect(await server.close({ timeoutMs: 200 })).to.deep.equal({ abandoned: ['hang'] });
      expect(performance.now() - began).to.be.within(190, 10_000);
      expect(await aborted.promise).to.have.property('code', 'CLOSED');
      expect(lab.logged('warn').map(({ message }) => message)).to.include('closed with work running');
    });

    it('close gives up waiting when its signal is aborted', async () => {
      await using lab = new Lab(transport);
      const started = deferred();
      const gate = deferred();
      const server = await lab.serve({
        async stuck() {
          started.resolve();
          await gate.promise;
        },
      });
      await (await lab.client()).cast({}, 'stuck');
      await started.promise;
      const giveUp = new AbortController();
      const closing = server.close({ signal: giveUp.signal });
      giveUp.abort();
      expect(await closing).to.deep.equal({ abandoned: ['stuck'] });
      gate.resolve();
    });

    it('await using closes a server, which is then no longer there by name', async () => {
      await using lab = new Lab(transport);
      const client = (await lab.client()).prepare({ server: 'here' });
      {
        await using server = await lab.serve(counted().endpoint, { server: 'here' });
        expect(server).to.be.instanceOf(RPCServer);
        expect(await client.call({}, 'count')).to.equal(1);
      }
      expect(await outcomeOf(client.call({}, 'count'))).to.equal('UNROUTABLE');
    });

    it('await using closes a transport: pending calls and new ones fail with CLOSED', async () => {
      await using lab = new Lab(transport);
      const started = deferred();
      const gate = deferred();
      await lab.serve({
        async wait() {
          started.resolve();
          await gate.promise;
        },
      });
      let pending: Promise<unknown> = Promise.resolve();
      let later: (() => Promise<unknown>) | undefined;
      {
        await using calling = await lab.connect();
        const client = await lab.client({ on: calling });
        pending = outcomeOf(client.call({}, 'wait'));
        later = () => outcomeOf(client.call({}, 'wait'));
        await started.promise;
      }
      expect(await pending).to.equal('CLOSED');
      expect(await later()).to.equal('CLOSED');
      gate.resolve();
    });

    it('O-04: a method that closes its transport is answered first', async () => {
      await using lab = new Lab(transport);
      const serving = await lab.serving();
      const closed = deferred<unknown>();
      const stop = (): string => {
        closed.resolve(serving.close());
        return 'stopping';
      };
      await lab.serve({ target: { namespace: 'control', version: '2.0' }, stop });
      const client = await lab.client({ target: { namespace: 'control', version: '2.0' } });
      expect(await client.call({}, 'stop')).to.equal('stopping');
      expect(await closed.promise).to.deep.equal({ abandoned: [] });
      expect(serving.status.state).to.equal('closed');
    });

    it('a server that was closed does not start again', async () => {
      await using lab = new Lab(transport);
      const server = await lab.serve(counted().endpoint);
      await server.close();
      expect(await outcomeOf(server.start())).to.equal('CLOSED');
    });
  });

  describe('K-02: promises', () => {
    it('K-02, immunity 8: an ignored promise that rejects is no unhandled rejection', async () => {
      await using lab = new Lab(transport);
      const client = await lab.client({ unrouted: 'fail' });
      const unhandled: unknown[] = [];
      const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
      // Mocha forgets unhandled rejections unless somebody listens.
      process.on('unhandledRejection', onUnhandled);
      try {
        // Nobody serves the topic: each of these rejects, and nobody looks.
        void client.call({}, 'work');
        void client.cast({}, 'work');
        // The same once more fails after them, and Node tells of unhandled rejections a turn later.
        expect(await outcomeOf(client.call({}, 'work'))).to.equal('UNROUTABLE');
        expect(await outcomeOf(client.cast({}, 'work'))).to.equal('UNROUTABLE');
        await new Promise((resolve) => setImmediate(resolve));
      } finally {
        process.off('unhandledRejection', onUnhandled);
      }
      expect(unhandled).to.deep.equal([]);
    });

    it('K-02: a failed operation leaves other work on the transport intact', async () => {
      await using lab = new Lab(transport);
      const mine = counted();
      await lab.serve(mine.endpoint);
      const calling = await lab.calling();
      const client = await lab.client();
      const failing = [
        outcomeOf(calling.subscribe([], () => undefined)),
        outcomeOf(client.prepare({ topic: `nobody-${lab.topic}` }).call({}, 'count')),
        outcomeOf(client.prepare({ server: 'nobody' }).call({}, 'count')),
      ];
      const calls = Array.from({ length: 20 }, () => client.call({}, 'count'));
      expect(await Promise.all(failing)).to.deep.equal(['CONFIG', 'UNROUTABLE', 'UNROUTABLE']);
      expect(new Set(await Promise.all(calls)).size).to.equal(20);
    });

    it('K-02: a message that nobody receives is a typed error', async () => {
      await using lab = new Lab(transport);
      const calling = await lab.calling();
      const to = { kind: 'anycast', exchange: 'posthorn', topic: lab.topic } as const;
      const error = outcomeOf(calling.send(to, { body: new Uint8Array(0) }, { unrouted: 'fail', confirm: true }));
      expect(await error).to.equal('UNROUTABLE');
    });
  });
}

const isDuplicate = ({ fields }: { readonly fields: Readonly<Record<string, unknown>> }): boolean =>
  fields['why'] === 'delivered before';
