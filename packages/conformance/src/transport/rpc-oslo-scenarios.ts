import { setTimeout as pause } from 'node:timers/promises';
import { type Context, newId } from '@posthorn/core';
import { expect } from 'chai';
import { outcomeOf } from '../kit.ts';
import { waitFor } from '../wait-for.ts';
import { Lab } from './lab.ts';
import { rejectionOf } from './rejection.ts';
import type { TransportHarness } from './transport-harness.ts';

/** The endpoint of oslo.messaging's functional tests: a text and a number that remember. */
class Ledger {
  text = '';
  number = 0;
  readonly seen: number[] = [];

  append(_context: Context, { text }: { readonly text: string }): string {
    this.text += text;
    return this.text;
  }

  add(_context: Context, { increment }: { readonly increment: number }): number {
    this.number += increment;
    this.seen.push(increment);
    return this.number;
  }

  subtract(_context: Context, { increment }: { readonly increment: number }): number {
    this.number -= increment;
    return this.number;
  }
}

interface LedgerApi {
  append(args: { readonly text: string }): string;
  add(args: { readonly increment: number }): number;
  subtract(args: { readonly increment: number }): number;
}

async function group(lab: Lab, exchange?: string): Promise<readonly [Ledger, Ledger, Ledger]> {
  const ledgers = [new Ledger(), new Ledger(), new Ledger()] as const;
  const target = exchange === undefined ? {} : { exchange };
  for (const [index, ledger] of ledgers.entries())
    await lab.serve(ledger, { target: { ...target, topic: lab.topic, server: `server-${index}` } });
  return ledgers;
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
const sorted = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);

/** The functional scenarios that every driver of oslo.messaging passes, for call and cast. */
export function describeOsloScenarios(transport: TransportHarness): void {
  describe("oslo.messaging's scenarios for calls", () => {
    it('test_specific_server: calls to one server meet its state alone', async () => {
      await using lab = new Lab(transport);
      const [first, second, third] = await group(lab);
      const client = (await lab.client<LedgerApi>()).prepare({ server: 'server-1' });
      expect(await client.call({}, 'append', { text: 'open' })).to.equal('open');
      expect(await client.call({}, 'append', { text: 'stack' })).to.equal('openstack');
      expect(await client.call({}, 'add', { increment: 12 })).to.equal(12);
      expect(await client.call({}, 'subtract', { increment: 3 })).to.equal(9);
      expect(second).to.include({ text: 'openstack', number: 9 });
      for (const untouched of [first, third]) expect(untouched).to.include({ text: '', number: 0 });
    });

    it('test_server_in_group: calls to a topic are shared out, in order, none lost and none doubled', async () => {
      await using lab = new Lab(transport);
      const ledgers = await group(lab);
      const client = await lab.client<LedgerApi>();
      for (const increment of range(14)) await client.call({}, 'add', { increment });
      for (const { seen } of ledgers) {
        expect(seen).to.not.be.empty;
        expect(seen).to.deep.equal(sorted(seen));
      }
      expect(sorted(ledgers.flatMap(({ seen }) => seen))).to.deep.equal(range(14));
    });

    it('test_different_exchanges: a topic in one exchange is not the topic of another', async () => {
      await using lab = new Lab(transport);
      const [a, b] = [`a-${newId()}`, `b-${newId()}`];
      const inDefault = await group(lab);
      const inA = await group(lab, a);
      const inB = await group(lab, b);
      const client = await lab.client<LedgerApi>();
      await client.prepare({ server: 'server-1' }).call({}, 'append', { text: 'default' });
      for (const increment of range(6)) await client.prepare({ exchange: a }).call({}, 'add', { increment });
      expect(inDefault.map(({ text }) => text)).to.deep.equal(['', 'default', '']);
      expect(sorted(inA.flatMap(({ seen }) => seen))).to.deep.equal(range(6));
      expect(inA.map(({ text }) => text)).to.deep.equal(['', '', '']);
      for (const untouched of [...inB, ...inDefault]) expect(untouched.seen).to.be.empty;
      for (const untouched of inB) expect(untouched.text).to.equal('');
    });

    it('test_timeout: a call to a topic that nobody serves fails with UNROUTABLE at once', async () => {
      await using lab = new Lab(transport);
      const client = await lab.client({ timeoutMs: 60_000 });
      const began = performance.now();
      const error = await rejectionOf(client.call({}, 'anything'));
      expect(error).to.have.property('code', 'UNROUTABLE');
      expect(error.message).to.include(lab.topic);
      expect(performance.now() - began).to.be.below(10_000);
    });

    it('test_exception: an error that both sides register arrives as its class', async () => {
      await using lab = new Lab(transport);
      class ValueError extends Error {}
      const errors = { ValueError };
      await lab.serve(
        {
          check(): never {
            throw new ValueError('not a number');
          },
        },
        { errors },
      );
      const error = await rejectionOf((await lab.client({ errors })).call({}, 'check'));
      expect(error).to.be.instanceOf(ValueError);
      expect(error.message).to.equal('not a number');
    });

    it('test_timeout_with_concurrently_queues: one call times out while ten others on the client succeed', async () => {
      await using lab = new Lab(transport);
      await lab.serve({
        quick: (_context: Context, { n }: { readonly n: number }) => n,
        long: (_context: Context, _args: object, { signal }: { readonly signal: AbortSignal }) =>
          pause(10_000, null, { signal }).catch(() => null),
      });
      const client = await lab.client();
      const long = outcomeOf(client.call({}, 'long', {}, { timeoutMs: 300 }));
      const quick = await Promise.all(range(10).map((n) => client.call({}, 'quick', { n })));
      expect(quick).to.deep.equal(range(10));
      expect(await long).to.equal('TIMEOUT');
    });

    it('test_mandatory_call: a queue without a consumer lets the call wait until its deadline', async () => {
      await using lab = new Lab(transport);
      await (await lab.serve(new Ledger())).close();
      const client = await lab.client({ timeoutMs: 300 });
      const began = performance.now();
      expect(await outcomeOf(client.call({}, 'add', { increment: 1 }))).to.equal('TIMEOUT');
      expect(performance.now() - began).to.be.within(290, 10_000);
    });

    it('test_monitor_long_call: signs of life carry a call past the monitor, not past its time-out', async () => {
      await using lab = new Lab(transport);
      await lab.serve({ work: () => pause(1_400, 'done') });
      const client = await lab.client();
      const [late, done] = await Promise.all([
        outcomeOf(client.prepare({ timeoutMs: 200 }).call({}, 'work')),
        client.prepare({ timeoutMs: 60_000, monitorMs: 600 }).call({}, 'work'),
      ]);
      expect(late).to.equal('TIMEOUT');
      expect(done).to.equal('done');
    });

    it('test_endpoint_version_namespace: only the namespace and versions of an endpoint are served', async () => {
      await using lab = new Lab(transport);
      await lab.serve({
        target: { namespace: 'Name1', version: '7.5' },
        echo: (_context: Context, args: object) => args,
      });
      const client = await lab.client({ target: { namespace: 'Name1', version: '7.5' } });
      expect(await client.call({}, 'echo', { line: 'here' })).to.deep.equal({ line: 'here' });
      expect(await outcomeOf(client.prepare({ version: '7.6' }).call({}, 'echo'))).to.equal('UNSUPPORTED_VERSION');
      expect(await outcomeOf(client.prepare({ namespace: 'Name2' }).call({}, 'echo'))).to.equal('UNSUPPORTED_VERSION');
    });

    it('test_bad_endpoint: a method named target is refused when the server is made', async () => {
      await using lab = new Lab(transport);
      const error = await rejectionOf(lab.serve({ target: () => 'a method' }));
      expect(error).to.have.property('code', 'CONFIG');
      expect(error.message).to.include('endpoints.0.target');
    });
  });

  describe("oslo.messaging's scenarios for casts", () => {
    it('test_specific_server: casts to one server reach it alone, in whatever order', async () => {
      await using lab = new Lab(transport);
      const [first, second, third] = await group(lab);
      const client = (await lab.client<LedgerApi>()).prepare({ server: 'server-1' });
      await client.cast({}, 'append', { text: 'stack' });
      await client.cast({}, 'append', { text: 'open' });
      await client.cast({}, 'add', { increment: 12 });
      await client.cast({}, 'subtract', { increment: 3 });
      await waitFor('all casts to be handled', () => second.text.length === 9 && second.number === 9);
      expect(second.text).to.be.oneOf(['openstack', 'stackopen']);
      for (const untouched of [first, third]) expect(untouched).to.include({ text: '', number: 0 });
    });

    it('test_server_in_group: 20 casts are shared out among three servers', async () => {
      await using lab = new Lab(transport);
      const ledgers = await group(lab);
      const client = await lab.client<LedgerApi>();
      await Promise.all(range(20).map((increment) => client.cast({}, 'add', { increment })));
      const handled = (): number[] => ledgers.flatMap(({ seen }) => seen);
      await waitFor('20 casts to be handled', () => handled().length >= 20);
      expect(sorted(handled())).to.deep.equal(range(20));
      for (const { seen } of ledgers) expect(seen.length).to.be.within(1, 19);
    });

    it('test_fanout: every server gets every cast', async () => {
      await using lab = new Lab(transport);
      const ledgers = await group(lab);
      const client = await lab.client<LedgerApi>();
      for (const increment of range(4)) await client.fanout({}, 'add', { increment });
      for (const ledger of ledgers) {
        await waitFor('four casts at each server', () => ledger.seen.length >= 4);
        expect(sorted(ledger.seen)).to.deep.equal(range(4));
      }
    });
  });
}
