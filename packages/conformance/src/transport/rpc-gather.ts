import { type Context, MessagingError } from '@posthorn/core';
import { type CallInfo, TooFewRepliesError } from '@posthorn/rpc';
import { expect } from 'chai';
import { outcomeOf } from '../kit.ts';
import { waitFor } from '../wait-for.ts';
import { Lab } from './lab.ts';
import { rejectionOf } from './rejection.ts';
import type { TransportHarness } from './transport-harness.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e'] as const;
const LONG_MS = 30_000;

/** What the five servers of a topic were asked, and which were told that nobody waits any more. */
interface Five {
  readonly asked: string[];
  readonly aborted: string[];
}

/** Five servers, of which those named never answer. */
async function serveFive(lab: Lab, silent: readonly string[] = []): Promise<Five> {
  const five: Five = { asked: [], aborted: [] };
  const status = (name: string) => ({
    status: (_context: Context, { load }: { readonly load: number }, { signal }: CallInfo) => {
      five.asked.push(name);
      if (!silent.includes(name)) return { name, load };
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          five.aborted.push(name);
          reject(signal.reason);
        });
      });
    },
  });
  await Promise.all(NAMES.map((name) => lab.serve(status(name), { server: name })));
  return five;
}

/** Calls to all servers of a topic, whose replies are collected. */
export function describeGather(transport: TransportHarness): void {
  describe('scatter-gather', () => {
    it('5 of 5: resolves with each result and the name of its server, once as many came as are enough', async () => {
      await using lab = new Lab(transport);
      await serveFive(lab);
      const began = performance.now();
      const replies = await (await lab.client()).gather({}, 'status', { load: 7 }, { max: 5, timeoutMs: LONG_MS });
      expect(performance.now() - began).to.be.below(LONG_MS / 2);
      expect([...replies].sort((one, other) => one.server.localeCompare(other.server))).to.deep.equal(
        NAMES.map((name) => ({ server: name, value: { name, load: 7 } })),
      );
    });

    it('3 of 5: resolves at the deadline with those that came', async () => {
      await using lab = new Lab(transport);
      await serveFive(lab, ['b', 'd']);
      const client = await lab.client();
      const began = performance.now();
      const replies = await client.gather({}, 'status', { load: 1 }, { min: 3, timeoutMs: 1_500 });
      expect(performance.now() - began).to.be.within(1_490, 10_000);
      expect(replies.map(({ server }) => server).sort()).to.deep.equal(['a', 'c', 'e']);
    });

    it('3 of 5: fails at the deadline where 4 were needed, tells how many came, and has them', async () => {
      await using lab = new Lab(transport);
      const { aborted } = await serveFive(lab, ['b', 'd']);
      const client = await lab.client();
      const error = await rejectionOf(client.gather({}, 'status', { load: 1 }, { min: 4, timeoutMs: 1_500 }));
      expect(error).to.be.instanceOf(TooFewRepliesError).with.property('code', 'TIMEOUT');
      expect(error.message).to.include(`${lab.topic}: 3 of at least 4 replies came within 1500 ms`);
      const { replies } = error as TooFewRepliesError;
      expect(replies.map(({ server }) => server).sort()).to.deep.equal(['a', 'c', 'e']);
      await waitFor('the deadline to reach the silent ones', () => aborted.length === 2);
    });

    it('none: fails where nobody answers, and where nobody serves', async () => {
      await using lab = new Lab(transport);
      const client = await lab.client();
      const nobody = outcomeOf(client.gather({}, 'status', { load: 1 }, { timeoutMs: 1_000 }));
      expect(await nobody).to.be.oneOf(['UNROUTABLE', 'TIMEOUT']);
      await serveFive(lab, NAMES);
      const error = await rejectionOf(client.gather({}, 'status', { load: 1 }, { timeoutMs: 500 }));
      expect(error.message).to.include('0 of at least 1 replies');
    });

    it('none: is no failure where none were needed', async () => {
      await using lab = new Lab(transport);
      const client = await lab.client();
      expect(await client.gather({}, 'status', { load: 1 }, { min: 0, timeoutMs: 500 })).to.deep.equal([]);
    });

    it('a failure is a reply, under the name of its server', async () => {
      await using lab = new Lab(transport);
      await lab.serve({ status: () => 'fine' }, { server: 'good' });
      const fail = (): never => {
        throw new RangeError('out of disk');
      };
      await lab.serve({ status: fail }, { server: 'broken' });
      await lab.serve({}, { server: 'old' });
      const replies = await (await lab.client()).gather({}, 'status', {}, { max: 3, timeoutMs: LONG_MS });
      const told = replies.map(({ server, value, error }) => [
        server,
        error instanceof MessagingError ? `${error.code}: ${error.message}` : value,
      ]);
      expect(Object.fromEntries(told)).to.deep.equal({
        good: 'fine',
        broken: 'REMOTE: out of disk',
        old: 'NO_SUCH_METHOD: Endpoint does not support RPC method status',
      });
    });

    it('what comes after enough replies is not waited for, and its method is told', async () => {
      await using lab = new Lab(transport);
      const { asked, aborted } = await serveFive(lab, ['b', 'd']);
      const client = await lab.client();
      const replies = await client.gather({}, 'status', { load: 1 }, { max: 3, timeoutMs: LONG_MS });
      expect(replies).to.have.length(3);
      // One that was not asked before the cancel came never runs.
      await waitFor('the others to be told', () => aborted.length === asked.length - 3);
    });

    it('an abort rejects with the reason and aborts the signals of the methods', async () => {
      await using lab = new Lab(transport);
      const { asked, aborted } = await serveFive(lab, NAMES);
      const giveUp = new AbortController();
      const options = { timeoutMs: LONG_MS, signal: giveUp.signal };
      const gathering = rejectionOf((await lab.client()).gather({}, 'status', { load: 1 }, options));
      await waitFor('all to be asked', () => asked.length === 5);
      const reason = new Error('the user left');
      giveUp.abort(reason);
      expect(await gathering).to.equal(reason);
      await waitFor('all to be told', () => aborted.length === 5);
    });

    it('bounds that cannot be met are refused', async () => {
      await using lab = new Lab(transport);
      const client = await lab.client();
      for (const bounds of [{ min: -1 }, { min: 1.5 }, { max: 0 }, { max: Number.NaN }, { min: 3, max: 2 }])
        expect(await outcomeOf(client.gather({}, 'm', {}, { ...bounds, timeoutMs: 100 }))).to.equal('CONFIG');
    });
  });
}
