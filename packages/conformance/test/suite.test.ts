import { describeDriver, describeTransport, type Harness } from '@posthorn/conformance';
import {
  type Delivery,
  type Driver,
  type DriverContext,
  memory,
  newId,
  Transport,
  type TransportOptions,
} from '@posthorn/core';
import { expect } from 'chai';
import Mocha from 'mocha';

interface Report {
  readonly passed: string[];
  readonly failed: string[];
  readonly skipped: string[];
}

/** Runs what is defined, or the cases whose titles hold the text, apart from the run that we are in. */
async function runOnly(only: string, define: () => void): Promise<Report> {
  const mocha = new Mocha({ reporter: class {} as never, timeout: 10_000 });
  const names = ['describe', 'it', 'before', 'after', 'beforeEach', 'afterEach', 'context', 'specify', 'run'] as const;
  const globals = globalThis as unknown as Record<string, unknown>;
  const saved = Object.fromEntries(['xdescribe', 'xcontext', 'xit', 'xspecify', ...names].map((n) => [n, globals[n]]));
  mocha.suite.emit('pre-require', globalThis, '', mocha);
  try {
    define();
  } finally {
    Object.assign(globals, saved);
  }
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

const run = (harness: Harness, only: string): Promise<Report> =>
  runOnly(only, () => describeDriver('a driver', harness));

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
function delivering(driver: Driver, change: (delivery: Delivery) => Partial<Delivery>): Partial<Driver> {
  const changed = (one: Delivery): Delivery => ({ ...one, settle: (outcome) => one.settle(outcome), ...change(one) });
  return { subscribe: (from, receive, options) => driver.subscribe(from, (one) => receive(changed(one)), options) };
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
    (driver) => delivering(driver, () => ({ redelivered: false })),
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
    (driver) => delivering(driver, ({ message: { replyTo, ...message } }) => ({ message })),
  ],
  [
    'closes with another promise each time',
    'closes with the same promise each time',
    (driver) => ({ close: async (options) => await driver.close(options) }),
  ],
  [
    'claims to have settled what it cannot',
    'cannot settle once the subscription was closed, says so, and counts it',
    (driver) => delivering(driver, (one) => ({ settle: async (how) => (await one.settle(how)) || true })),
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

describe('the scenarios for transports', () => {
  const rpc = 'O-06: 300 calls are dealt out evenly to three servers';
  const notified = 'oslo 14, test_simple: priority, event type, payload and publisher arrive';
  const refused = 'refuses a listener, where there are no topics or nothing is kept';

  const runScenarios = (only: string, sabotage?: Sabotage, knownGaps?: readonly string[]): Promise<Report> => {
    const { connect } = harness(sabotage);
    const open = (options?: TransportOptions): Promise<Transport> => Transport.open(connect, options);
    return runOnly(only, () => describeTransport('a driver', { connect: open, ...(knownGaps && { knownGaps }) }));
  };
  const topicless: Sabotage = ({ features }) => ({
    features: { ...features, kinds: features.kinds.filter((kind) => kind !== 'topic') },
  });

  it('pass over a sound driver, calls and notifications', async () => {
    expect(await runScenarios(rpc)).to.deep.equal({ passed: [rpc], failed: [], skipped: [] });
    expect(await runScenarios(notified)).to.deep.equal({ passed: [notified], failed: [], skipped: [] });
    expect(await runScenarios(refused)).to.deep.equal({ passed: [], failed: [], skipped: [] });
  });

  it('fail over a driver that sends each message to the first consumer alone', async () => {
    let first: Promise<unknown> | undefined;
    const greedy: Sabotage = (driver) => ({
      subscribe: (from, receive, options) => {
        const subscribing = driver.subscribe(from, receive, options);
        if (from[0]?.kind !== 'anycast') return subscribing;
        if (first !== undefined) void subscribing.then((subscription) => subscription.pause());
        first ??= subscribing;
        return subscribing;
      },
    });
    expect((await runScenarios(rpc, greedy)).failed.join()).to.include(rpc);
  });

  it('are about notifications only where the driver has topics, and else want them refused', async () => {
    expect(await runScenarios(notified, topicless)).to.deep.equal({ passed: [], failed: [], skipped: [] });
    expect((await runScenarios(refused, topicless)).failed.join()).to.include("expected 'resolved'");
  });

  it('fail for a known gap that was closed, and for one that is no scenario', async () => {
    const { failed } = await runScenarios(rpc, undefined, [rpc]);
    expect(failed).to.deep.equal([`${rpc}: this known gap is closed: take it off the list`]);
    const unknown = await runScenarios(rpc, undefined, ['of long ago']).catch((error: unknown) => String(error));
    expect(unknown).to.include('the known gap "of long ago" is not a scenario');
  });
});
