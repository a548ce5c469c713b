import { expect } from 'chai';
import fc from 'fast-check';
import type { Unrouted } from '../src/driver.ts';
import {
  type Address,
  type Delivery,
  type Driver,
  describe as named,
  type Outcome,
  type Source,
} from '../src/index.ts';
import { bodyOf, memoryDriver, settled, text } from './support.ts';

/** One copy of a message in one queue. */
interface Copy {
  readonly body: string;
  readonly place: number;
  times: number;
}

interface Queue {
  readonly name: string;
  /** In the order in which they are to be delivered. */
  waiting: Copy[];
  sent: number;
  /** Which topics it collects, besides what is sent to its name. */
  readonly patterns: Set<string>;
}

interface Reader {
  readonly queue: Queue;
  readonly prefetch: number;
  readonly isPrivate: boolean;
  state: 'open' | 'paused' | 'stopped' | 'closed';
  /** What it was given and has not settled, and the copies behind that. */
  readonly held: Map<Delivery, Copy>;
  readonly all: Delivery[];
}

/** What is sent where, as plainly as it can be said: a list for each queue. Who takes turns is left open. */
class Model {
  readonly queues: Map<string, Queue> = new Map();
  readonly readers: Reader[] = [];
  bodies = 0;

  queue(name: string): Queue {
    const queue = this.queues.get(name) ?? { name, waiting: [], sent: 0, patterns: new Set() };
    this.queues.set(name, queue);
    return queue;
  }

  /** The queues that a message goes to. */
  route(to: Address): Queue[] {
    return [...this.queues.values()].filter(({ name, patterns }) => {
      if (to.kind === 'topic') return to.exchange === 't' && [...patterns].some((pattern) => matches(pattern, to.key));
      return to.kind === 'multicast' ? patterns.has(named(to)) : name === named(to);
    });
  }

  push(queue: Queue, body: string): void {
    queue.waiting.push({ body, place: queue.sent++, times: 0 });
  }

  /** Back to its old place, to be delivered again. */
  giveBack({ waiting }: Queue, copy: Copy): void {
    copy.times++;
    waiting.push(copy);
    waiting.sort((one, other) => one.place - other.place);
  }

  /** Checks one delivery that took place, and takes note of it. */
  delivered(reader: Reader, delivery: Delivery): void {
    const copy = reader.queue.waiting.shift();
    expect(bodyOf(delivery), 'the oldest message comes first').to.equal(copy?.body);
    if (copy === undefined) return;
    expect(delivery.deliveryCount).to.equal(copy.times);
    expect(delivery.redelivered).to.equal(copy.times > 0);
    expect(reader.state, 'the state of who gets it').to.equal('open');
    reader.held.set(delivery, copy);
    reader.all.push(delivery);
    expect(reader.held.size, 'unsettled').to.be.at.most(reader.prefetch);
  }

  /** Once all is quiet no message waits for a reader that has room. */
  rested(): void {
    for (const { state, queue, held, prefetch } of this.readers)
      if (state === 'open' && held.size < prefetch) expect(queue.waiting, `left in ${queue.name}`).to.deep.equal([]);
  }
}

interface Real {
  readonly driver: Driver;
  readonly subscriptions: Awaited<ReturnType<Driver['subscribe']>>[];
  /** What was delivered since the last look: by the number of the reader. */
  readonly news: { readonly reader: number; readonly delivery: Delivery }[];
}

type Command = fc.AsyncCommand<Model, Real>;

function command(title: string, run: (model: Model, real: Real) => Promise<void>, check = (_: Model) => true): Command {
  return {
    check: (model) => check(model),
    toString: () => title,
    async run(model, real) {
      await run(model, real);
      await settled();
      for (const { reader, delivery } of real.news.splice(0)) model.delivered(at(model.readers, reader), delivery);
      model.rested();
    },
  };
}

function send(to: Address, unrouted: Unrouted): Command {
  return command(`send to ${named(to)}, ${unrouted}`, async (model, { driver }) => {
    const body = `m${model.bodies++}`;
    const outcome = await driver.send(to, text(body), { unrouted }).then(
      () => 'resolved',
      (error: { readonly code: string }) => error.code,
    );
    const queues = model.route(to);
    if (unrouted === 'keep' && to.kind === 'multicast') return void expect(outcome).to.equal('UNSUPPORTED');
    const isLost = queues.length === 0 && unrouted === 'fail';
    expect(outcome).to.equal(isLost ? 'UNROUTABLE' : 'resolved');
    if (queues.length === 0 && unrouted === 'keep')
      queues.push(model.queue(to.kind === 'topic' ? `group ${to.key}` : named(to)));
    for (const queue of queues) model.push(queue, body);
  });
}

function subscribe(from: readonly Source[], group: string | undefined, prefetch: number): Command {
  const title = `subscribe to ${from.map(named).join(' + ')} ${group ?? ''} prefetch ${prefetch}`;
  return command(title, async (model, real) => {
    const number = model.readers.length;
    const receive = (delivery: Delivery): void => void real.news.push({ reader: number, delivery });
    real.subscriptions.push(await real.driver.subscribe(from, receive, { prefetch, ...(group && { group }) }));
    const [first] = from;
    const isPrivate = first?.kind === 'multicast' || (first?.kind === 'topic' && group === undefined);
    const own = first === undefined || isPrivate ? `private ${number}` : named(first);
    const queue = model.queue(group === undefined ? own : `group ${group}`);
    for (const source of from) {
      if (source.kind === 'topic') queue.patterns.add(source.pattern);
      if (source.kind === 'multicast') queue.patterns.add(named(source));
    }
    model.readers.push({ queue, prefetch, isPrivate, state: 'open', held: new Map(), all: [] });
  });
}

function settle(nth: number, which: number, outcome: Outcome): Command {
  const title = `settle #${which} of reader ${nth}: ${outcome}`;
  return command(
    title,
    async (model) => {
      const reader = at(model.readers, nth);
      const delivery = at(reader.all, which);
      const copy = reader.held.get(delivery);
      expect(await delivery.settle(outcome)).to.equal(copy !== undefined);
      reader.held.delete(delivery);
      if (copy !== undefined && outcome === 'release') model.giveBack(reader.queue, copy);
    },
    ({ readers }) => readers.length > 0 && at(readers, nth).all.length > 0,
  );
}

function turn(nth: number, verb: 'pause' | 'resume' | 'stop' | 'close'): Command {
  return command(
    `${verb} reader ${nth}`,
    async (model, { subscriptions }) => {
      await at(subscriptions, nth)[verb]();
      const reader = at(model.readers, nth);
      if (reader.state === 'closed') return;
      if (verb === 'close') return close(model, reader);
      if (reader.state !== 'stopped')
        reader.state = ({ pause: 'paused', resume: 'open', stop: 'stopped' } as const)[verb];
    },
    ({ readers }) => readers.length > 0,
  );
}

function close(model: Model, reader: Reader): void {
  reader.state = 'closed';
  for (const copy of reader.held.values()) model.giveBack(reader.queue, copy);
  reader.held.clear();
  if (reader.isPrivate) model.queues.delete(reader.queue.name);
}

/** Any number chooses one of those that are there. */
function at<T>(list: readonly T[], number: number): T {
  return list[number % list.length] as T;
}

/** The rule of topics in another way: a regular expression over words that each end with a dot. */
function matches(pattern: string, key: string): boolean {
  const words = pattern.split('.').map((word) => ({ '*': '[^.]+\\.', '#': '(?:[^.]+\\.)*' })[word] ?? `${word}\\.`);
  return new RegExp(`^${words.join('')}$`).test(`${key}.`);
}

const topic = fc.constantFrom('t', 'u');
const group = fc.constantFrom('a', 'g');
const address: fc.Arbitrary<Address> = fc.oneof(
  fc.record({ kind: fc.constant('anycast' as const), exchange: fc.constant('e'), topic }),
  fc.record({ kind: fc.constant('multicast' as const), exchange: fc.constant('e'), topic }),
  fc.record({ kind: fc.constant('topic' as const), exchange: topic, key: fc.constantFrom('a', 'a.b', 'b') }),
  fc.record({ kind: fc.constant('group' as const), name: group }),
  fc.record({ kind: fc.constant('mailbox' as const), name: group }),
);
const patterns = fc.array(fc.constantFrom('a', 'a.*', '#', '*.b', '#.b'), { minLength: 1, maxLength: 2 });
const prefetch = fc.integer({ min: 1, max: 3 });
const reader = fc.nat(20);

const commands = [
  fc.tuple(address, fc.constantFrom<Unrouted[]>('drop', 'drop', 'fail', 'keep')).map((args) => send(...args)),
  fc
    .tuple(address, prefetch)
    .filter(([{ kind }]) => kind !== 'topic')
    .map(([source, limit]) => subscribe([source as Source], undefined, limit)),
  fc.tuple(patterns, fc.option(group, { nil: undefined }), prefetch).map(([all, name, limit]) =>
    subscribe(
      all.map((pattern) => ({ kind: 'topic', exchange: 't', pattern })),
      name,
      limit,
    ),
  ),
  fc.tuple(reader, fc.nat(5), fc.constantFrom<Outcome[]>('accept', 'release', 'reject')).map((args) => settle(...args)),
  fc.tuple(reader, fc.constantFrom('pause', 'resume', 'resume', 'stop', 'close')).map((args) => turn(...args)),
];

describe('the memory broker, beside a model of it', () => {
  it('routes, queues, delivers, settles and gives back as the model says, whatever comes in whatever order', async function () {
    this.timeout(60_000);
    await fc.assert(
      fc.asyncProperty(fc.commands(commands, { maxCommands: 60, size: 'max' }), async (all) => {
        const driver = await memoryDriver();
        try {
          await fc.asyncModelRun(() => ({ model: new Model(), real: { driver, subscriptions: [], news: [] } }), all);
        } finally {
          await driver.close();
        }
      }),
      { numRuns: 200 },
    );
  });
});
