import { describeDriver, type Harness } from '@posthorn/conformance';
import { type Delivery, type Driver, type DriverContext, memory, newId } from '@posthorn/core';
import { expect } from 'chai';
import Mocha from 'mocha';

interface Report {
  readonly passed: string[];
  readonly failed: string[];
  readonly skipped: string[];
}

/** Runs the suite, or the cases whose titles hold the text, apart from the run that we are in. */
async function run(harness: Harness, only: string): Promise<Report> {
  const mocha = new Mocha({ reporter: class {} as never, timeout: 10_000 });
  const names = ['describe', 'it', 'before', 'after', 'beforeEach', 'afterEach', 'context', 'specify', 'run'] as const;
  const globals = globalThis as unknown as Record<string, unknown>;
  const saved = Object.fromEntries(['xdescribe', 'xcontext', 'xit', 'xspecify', ...names].map((n) => [n, globals[n]]));
  mocha.suite.emit('pre-require', globalThis, '', mocha);
  describeDriver('a driver', harness);
  Object.assign(globals, saved);
  mocha.fgrep(only);
  const report: Report = { passed: [], failed: [], skipped: [] };
  await new Promise<void>((resolve) => {
    const runner = mocha.run(() => resolve());
    runner.on('pass', ({ title }) => report.passed.push(title));
    runner.on('fail', ({ title }, error) => report.failed.push(`${title}: ${error.message}`));
    runner.on('pending', ({ title }) => report.skipped.push(title));
  });
  mocha.dispose();
  return report;
}

type Sabotage = (driver: Driver) => Partial<Driver>;

/** A memory driver with something wrong. */
function harness(sabotage: Sabotage = () => ({}), knownGaps?: readonly string[]): Harness {
  const name = newId();
  return {
    async connect(context: DriverContext) {
      const driver = await memory(context, { name });
      const rest: Driver = {
        name: driver.name,
        features: driver.features,
        send: (...args) => driver.send(...args),
        subscribe: (...args) => driver.subscribe(...args),
        close: (options) => driver.close(options),
        [Symbol.asyncDispose]: () => driver.close(),
      };
      return { ...rest, ...sabotage(driver) };
    },
    ...(knownGaps && { knownGaps }),
  };
}

/** Changes each delivery on its way to the receiver. */
function delivering(driver: Driver, change: (delivery: Delivery) => Delivery): Partial<Driver> {
  return { subscribe: (from, receive, options) => driver.subscribe(from, (one) => receive(change(one)), options) };
}

const MUTANTS: readonly (readonly [string, string, Sabotage])[] = [
  [
    'sends each message twice',
    'delivers 1,000 concurrent messages once each, with confirmation',
    (driver) => ({
      send: async (...args) => {
        await driver.send(...args);
        await driver.send(...args);
      },
    }),
  ],
  [
    'never says that a delivery is a second one',
    'delivers what was released again, marked as redelivered',
    (driver) => delivering(driver, (one) => ({ ...one, redelivered: false })),
  ],
  [
    'ignores the prefetch',
    'hands out no more than the prefetch of each consumer',
    (driver) => ({ subscribe: (from, receive) => driver.subscribe(from, receive, { prefetch: 1_000 }) }),
  ],
  [
    'takes a lifetime that it does not keep to',
    'refuses a message with a lifetime, where it cannot keep to it',
    (driver) => ({ features: { ...driver.features, ttl: false } }),
  ],
  [
    'takes a kind of address that it does not declare',
    'refuses mailbox addresses, which it does not know',
    ({ features }) => ({ features: { ...features, kinds: features.kinds.filter((kind) => kind !== 'mailbox') } }),
  ],
  [
    'loses a property',
    'carries every property of a message',
    (driver) => delivering(driver, ({ message: { replyTo, ...message }, ...one }) => ({ ...one, message })),
  ],
  [
    'closes with another promise each time',
    'closes with the same promise each time',
    (driver) => ({ close: async (options) => await driver.close(options) }),
  ],
  [
    'claims to have settled what it cannot',
    'cannot settle once the subscription was closed, says so, and counts it',
    (driver) => delivering(driver, (one) => ({ ...one, settle: async (how) => (await one.settle(how)) || true })),
  ],
  [
    'forgets to refuse what nobody receives',
    'refuses a confirmed message to a anycast address',
    (driver) => ({ send: (to, message, { unrouted, ...rest } = {}) => driver.send(to, message, rest) }),
  ],
];

describe('the conformance suite', () => {
  for (const [what, title, sabotage] of MUTANTS) {
    it(`fails a driver that ${what}`, async function () {
      this.timeout(30_000);
      const { failed } = await run(harness(sabotage), title);
      expect(failed.join('\n')).to.include(title);
    });
  }

  const title = 'closes with the same promise each time';
  const broken: Sabotage = (driver) => ({ close: async (options) => await driver.close(options) });

  it('passes a sound driver', async () => {
    expect(await run(harness(), title)).to.deep.equal({ passed: [title], failed: [], skipped: [] });
  });

  it('skips a known gap while it is open', async () => {
    expect(await run(harness(broken, [title]), title)).to.deep.equal({ passed: [], failed: [], skipped: [title] });
  });

  it('fails for a known gap that was closed', async () => {
    const { failed } = await run(harness(undefined, [title]), title);
    expect(failed).to.deep.equal([`${title}: this known gap is closed: take it off the list`]);
  });

  it('fails for a known gap that is no case', async () => {
    const { failed } = await run(harness(undefined, ['a case of long ago']), title);
    expect(failed.join()).to.include('the known gap "a case of long ago" is not a case of this driver');
  });

  it('skips by name what the harness cannot do', async () => {
    const { skipped } = await run(harness(), 'tells of the loss and of the new connection');
    expect(skipped).to.deep.equal(['tells of the loss and of the new connection']);
  });
});
