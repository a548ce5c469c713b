import { NotificationListener } from '@posthorn/notify';
import { expect } from 'chai';
import { outcomeOf } from '../kit.ts';
import { remove, skip } from '../suite.ts';
import { describeNotifications } from './notifications.ts';
import { describeRPC } from './rpc.ts';
import type { TransportHarness } from './transport-harness.ts';

/**
 * Defines what the patterns promise on every transport, for mocha with chai: calls and casts, and notifications where the
 * driver knows topics, groups and keeping. Where it does not, they must be refused with `UNSUPPORTED`.
 *
 * ```ts
 * describeTransport('memory', {
 *   connect: (options) => Transport.open((context) => memory(context, { name: 'scenarios' }), options),
 * });
 * ```
 *
 * It comes after `describeDriver`: what fails there fails here as well, and is harder to understand.
 */
export function describeTransport(name: string, harness: TransportHarness): void {
  const gaps = new Set(harness.knownGaps);

  describe(`RPC over ${name}`, function () {
    describeRPC(harness);
    heed(gaps, this);
  });

  describe(`notifications over ${name}`, function () {
    describeNotifications(harness);
    const scenarios = testsOf(this);
    heed(gaps, this);

    const inverse = it('refuses a listener, where there are no topics or nothing is kept', async () => {
      await using transport = await harness.connect();
      const listener = new NotificationListener(transport, {
        targets: [{ topic: 't' }],
        endpoints: [{ info: () => undefined }],
      });
      expect(await outcomeOf(listener.start())).to.equal('UNSUPPORTED');
    });

    before(async () => {
      await using transport = await harness.connect();
      const { kinds, keep } = transport.features;
      const canNotify = keep && (['topic', 'group'] as const).every((kind) => kinds.includes(kind));
      for (const test of canNotify ? [inverse] : scenarios) remove(test);
    });
  });

  const [unknown] = gaps;
  if (unknown !== undefined) throw new Error(`the known gap "${unknown}" is not a scenario`);
}

/** Skips the known gaps while they are open, and fails once one is closed. Takes those that it finds from the set. */
function heed(gaps: Set<string>, suite: Mocha.Suite): void {
  for (const test of testsOf(suite)) {
    const run = test.fn as Mocha.AsyncFunc | undefined;
    if (run === undefined || !gaps.delete(test.title)) continue;
    test.fn = async function (this: Mocha.Context): Promise<void> {
      const failure = await run.call(this).then(
        () => undefined,
        (error: unknown) => String(error),
      );
      if (failure === undefined) throw new Error('this known gap is closed: take it off the list');
      skip(this, `known gap: ${failure}`);
    };
  }
}

function testsOf(suite: Mocha.Suite): Mocha.Test[] {
  const tests: Mocha.Test[] = [];
  suite.eachTest((test) => tests.push(test));
  return tests;
}
