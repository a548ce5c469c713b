import { BadUsage } from '../bad-usage.ts';
import { Cluster } from '../cluster.ts';
import { besides, compared, comparedColumns, maybe } from '../compared.ts';
import { middle, rounded, type Slice } from '../figures.ts';
import { numbers } from '../numbers.ts';
import type { Setup } from '../peer.ts';
import type { Kind } from '../peer-process.ts';
import { placeOf } from '../place.ts';
import { connectionsOf, residentOf } from '../processes.ts';
import type { Cell, Scenario, Settings, Watcher } from '../scenario.ts';
import { type Parts, Side, twinKind } from '../side.ts';
import { Sides } from '../sides.ts';
import { inTurns } from '../turns.ts';

/** What grows. */
const WHAT = ['in-flight', 'clients', 'topics', 'pending', 'processes'] as const;
type What = (typeof WHAT)[number];

const IN_FLIGHT = [100, 1_000, 10_000];
/** What servers want where thousands are in flight. */
const MANY_PREFETCHED = { prefetch: 512 } as const;
const CLIENTS = [1, 1_000];
const TOPICS = [1, 5_000];
const PROCESSES = [1, 10, 50, 200];
const PENDING = 10_000;
/** Where it is not the number in flight that grows. */
const USUAL_IN_FLIGHT = 100;
const TOPIC_IN_FLIGHT = 1_000;
/** Of all processes together. */
const CLUSTER_IN_FLIGHT = 1_000;
/** Compiled code makes more of a difference than anything that is measured here. */
const WARM_UP_SLICES = 3;
/** Of all processes together, which compile their code each for itself. */
const WARM_UP_CALLS = 100_000;
const MIB = 2 ** 20;
/** A slice, for each of many processes. */
const LEAST_MS = 20;

/** What it costs when work grows: more in flight, more clients, more topics, more processes. */
export const scale: Scenario = {
  name: 'scale',
  about: 'more in flight, more clients and topics on one connection, heap of a pending call, up to 200 processes',
  schemes: ['rabbit'],
  options: {
    what: WHAT.join(','),
    clients: CLIENTS.join(','),
    topics: TOPICS.join(','),
    processes: PROCESSES.join(','),
    pending: String(PENDING),
  },
  columns: [
    ...comparedColumns('Call', { key: 'what', title: 'what'.padEnd(10) }, { key: 'count', title: 'how many' }),
    { key: 'ofFirst', title: 'of first', digits: 2 },
    { key: 'ofPeak', title: 'of peak', digits: 2 },
    { key: 'processes', title: 'processes' },
    { key: 'connections', title: 'connections' },
    { key: 'residentMiB', title: 'MiB each', digits: 0 },
    { key: 'twinResidentMiB', title: 'twin', digits: 0 },
    { key: 'heapBytes', title: 'heap bytes each', digits: 0 },
    { key: 'twinHeapBytes', title: 'twin', digits: 0 },
  ],
  notes: [
    `In flight: servers prefetch ${MANY_PREFETCHED.prefetch}; by default: 64.`,
    `Clients: calls, ${USUAL_IN_FLIGHT} in flight. Topics: messages, ${TOPIC_IN_FLIGHT} unconfirmed. Processes: each a client and a server of one topic; ${CLUSTER_IN_FLIGHT} calls in`,
    'flight in all; the twin’s after ours. Pending: what a call holds of the heap while it waits. Of first, of peak: the rate.',
  ],
  async run(settings, watcher) {
    const what = (settings.own['what'] ?? WHAT.join(',')).split(',');
    const unknown = what.find((one) => !WHAT.some((known) => known === one));
    if (unknown !== undefined) throw new BadUsage(`--what ${unknown}: expected some of ${WHAT.join(', ')}`);
    const growth = new Growth(
      settings,
      watcher,
      WHAT.filter((one) => what.includes(one)),
    );
    await growth.run();
  },
};

interface Measured {
  readonly slices: readonly Slice[];
  readonly connections: number | null;
  readonly resident: number | undefined;
}

class Growth {
  readonly #settings: Settings;
  readonly #watcher: Watcher;
  readonly #library: 'amqplib' | 'rhea' | undefined;
  readonly #what: readonly What[];
  readonly #steps: number;
  readonly #ms: number;
  #step = 0;

  constructor(settings: Settings, watcher: Watcher, what: readonly What[]) {
    const { url, inFlight = IN_FLIGHT, slices, seconds } = settings;
    this.#settings = settings;
    this.#watcher = watcher;
    this.#library = twinKind(url);
    this.#what = what;
    const sides: Readonly<Record<What, number>> = {
      'in-flight': 2 * inFlight.length * (this.#library ? 2 : 1),
      clients: this.#own('clients').length,
      topics: this.#own('topics').length,
      pending: 0,
      processes: this.#own('processes').length * (this.#library ? 2 : 1),
    };
    this.#steps =
      Math.max(
        1,
        what.reduce((total, one) => total + sides[one], 0),
      ) * slices;
    this.#ms = (seconds * 1_000) / this.#steps;
  }

  async run(): Promise<void> {
    const { url } = this.#settings;
    this.#watcher.begin?.({
      broker: this.#library === 'amqplib' ? `RabbitMQ at ${placeOf(url).host}` : `a broker at ${placeOf(url).host}`,
      lines: ['calls in a closed loop; client and server are two processes'],
    });
    const measure: Readonly<Record<What, () => Promise<void>>> = {
      'in-flight': () => this.#inFlight(),
      clients: () => this.#clients(),
      topics: () => this.#topics(),
      pending: () => this.#pending(),
      processes: () => this.#processes(),
    };
    for (const one of this.#what) await measure[one]();
  }

  async #inFlight(): Promise<void> {
    await this.#atLevels('in flight', MANY_PREFETCHED);
    await this.#atLevels('by default', {});
  }

  async #atLevels(what: string, of: Pick<Setup, 'prefetch'>): Promise<void> {
    const { url, inFlight: levels = IN_FLIGHT, slices } = this.#settings;
    const parts: Parts = { sender: { role: 'caller' }, receiver: { role: 'server', ...of } };
    await using sides = await Sides.start(
      Side.start('posthorn', url, parts),
      this.#library && Side.start(this.#library, url, parts),
    );
    for (const side of sides.all) await side.loop({ inFlight: USUAL_IN_FLIGHT, ms: WARM_UP_SLICES * this.#ms });
    const measured: (readonly (readonly Slice[])[])[] = [];
    for (const inFlight of levels) {
      const takers = sides.all.map((side) => () => side.loop({ inFlight, ms: this.#ms }));
      measured.push(await inTurns(takers, slices, () => this.#tick()));
    }
    const rates = measured.map(([ours = []]) => middle(ours).rate);
    for (const [index, [ours = [], theirs]] of measured.entries())
      this.#row(what, levels[index] ?? 0, rates, index, {
        ...compared('Call', ours, theirs),
        ...besides('Call', ours, theirs),
        processes: 2,
        connections: this.#connections(sides.all[0]),
      });
  }

  /** Clients on one transport. */
  #clients(): Promise<void> {
    return this.#onOne('clients', this.#own('clients'), (many) => ({
      parts: { sender: { role: 'caller', many }, receiver: { role: 'server' } },
      take: (side) => side.loop({ inFlight: USUAL_IN_FLIGHT, ms: this.#ms }),
    }));
  }

  /** Keys that one publisher publishes under, and one subscriber gets. */
  #topics(): Promise<void> {
    return this.#onOne('topics', this.#own('topics'), (many) => ({
      parts: { sender: { role: 'publisher', many }, receiver: { role: 'worker' } },
      take: (side) => side.flow({ inFlight: TOPIC_IN_FLIGHT, ms: this.#ms }),
    }));
  }

  /** The heap that calls hold which nobody answers. */
  async #pending(): Promise<void> {
    const { url } = this.#settings;
    const [calls = PENDING] = this.#own('pending');
    const parts: Parts = { sender: { role: 'caller' }, receiver: { role: 'server', mute: true } };
    const held = async (kind: 'posthorn' | 'amqplib' | 'rhea'): Promise<number> => {
      await using side = await Side.start(kind, url, parts);
      return await side.sender.heapPerCall(calls);
    };
    const heapBytes = rounded(await held('posthorn'), 0);
    const twinHeapBytes = this.#library ? rounded(await held(this.#library), 0) : null;
    this.#row('pending', calls, [], 0, { heapBytes, twinHeapBytes });
  }

  async #processes(): Promise<void> {
    const rates: number[] = [];
    for (const [index, count] of this.#own('processes').entries()) {
      const ours = await this.#cluster('posthorn', count);
      const theirs = this.#library && (await this.#cluster(this.#library, count));
      rates.push(middle(ours.slices).rate);
      this.#row('processes', count, rates, index, {
        ...compared('Call', ours.slices, theirs?.slices),
        ...besides('Call', ours.slices, theirs?.slices),
        processes: count,
        connections: ours.connections,
        residentMiB: maybe(ours.resident && ours.resident / MIB, 1),
        twinResidentMiB: maybe(theirs?.resident && theirs.resident / MIB, 1),
      });
    }
  }

  /** One side after the other: both at once may be more processes than the memory has room for. */
  async #cluster(kind: Kind, count: number): Promise<Measured> {
    const { url, slices, messages = WARM_UP_CALLS } = this.#settings;
    await using cluster = await Cluster.start(kind, url, count);
    const inFlight = Math.ceil(CLUSTER_IN_FLIGHT / count);
    await cluster.warmUp(inFlight, Math.ceil(messages / count));
    const ms = Math.max(this.#ms, count * LEAST_MS);
    const taken: Slice[] = [];
    for (let left = slices; left > 0; left--) {
      taken.push(await cluster.slice(inFlight, ms));
      this.#tick();
    }
    const connections = connectionsOf(cluster.pids, placeOf(url).port) ?? null;
    return { slices: taken, connections, resident: residentOf(cluster.pids) };
  }

  /** The same load on one connection, spread over few and over many, in turns. */
  async #onOne(
    what: string,
    counts: readonly number[],
    plan: (count: number) => { readonly parts: Parts; readonly take: (side: Side) => Promise<Slice> },
  ): Promise<void> {
    const { url, slices } = this.#settings;
    const plans = counts.map(plan);
    await using sides = await Sides.start(...plans.map(({ parts }) => Side.start('posthorn', url, parts)));
    const takers = plans.flatMap(({ take }, index) => {
      const side = sides.all[index];
      return side === undefined ? [] : [() => take(side)];
    });
    await inTurns(takers, WARM_UP_SLICES);
    const measured = await inTurns(takers, slices, () => this.#tick());
    const rates = measured.map((slices) => middle(slices).rate);
    for (const [index, ours] of measured.entries())
      this.#row(what, counts[index] ?? 0, rates, index, {
        ...compared('Call', ours, undefined),
        ...besides('Call', ours, undefined),
        processes: 2,
        connections: this.#connections(sides.all[index]),
      });
  }

  #connections(side: Side | undefined): number | null {
    return connectionsOf([side?.sender.pid, side?.receiver?.pid], placeOf(this.#settings.url).port) ?? null;
  }

  #row(
    what: string,
    count: number,
    rates: readonly number[],
    index: number,
    cells: Readonly<Record<string, Cell>>,
  ): void {
    const [first] = rates;
    const rate = rates[index];
    this.#watcher.row({
      scenario: 'scale',
      transport: placeOf(this.#settings.url).scheme,
      what,
      count,
      ...cells,
      ofFirst: maybe(rate && first && rate / first, 3),
      ofPeak: maybe(rate && rate / Math.max(...rates), 3),
    });
  }

  #own(name: string): readonly number[] {
    return numbers(`--${name}`, this.#settings.own[name] ?? scale.options?.[name] ?? '');
  }

  #tick(): void {
    this.#watcher.progress?.(++this.#step, this.#steps, 'scale');
  }
}
