import type { Pauses } from './pauses.ts';
import { seeded } from './random.ts';
import { Schedule } from './schedule.ts';
import { type Job, SharedProcessor } from './shared-processor.ts';

export interface Storm {
  readonly processes: number;
  /** Brokers of one cluster, all in the URL. The first is the one that is lost. */
  readonly hosts: number;
  /** Whether each process has the hosts in an order of its own, evenly, or all have the same. */
  readonly order: 'own' | 'same';
  /** Until the lost host answers again. */
  readonly downMs: number;
  /** Processes learn of the loss at any time within this. */
  readonly noticeMs: number;
  readonly pauses: Pauses;
  /** An attempt that takes longer is given up, and what the broker did for it is lost. */
  readonly connectTimeoutMs: number;
  readonly broker: BrokerModel;
  /** Not simulated any further. */
  readonly untilMs: number;
  readonly seed: number;
}

/** What a broker does for a process that connects, in milliseconds of one core. */
export interface BrokerModel {
  readonly cores: number;
  /** To take a connection from the kernel: one at a time, however much else there is to do. */
  readonly takeMs: number;
  /** Until it is open. */
  readonly handshakeMs: number;
  /** Then: queues, bindings and consumers. */
  readonly restoreMs: number;
  /** How many the kernel keeps until they are taken. It ignores more, and their kernels ask again, ever later. */
  readonly backlog: number;
}

export interface StormResult {
  /** Processes that were on the lost host. */
  readonly lost: number;
  /** From the loss until so many of them are connected and restored; undefined where the end came before. */
  readonly halfBackMs: number | undefined;
  readonly allBackMs: number | undefined;
  /** Attempts that running hosts saw within one second, at most. */
  readonly peakPerSecond: number;
  /** Attempts of a process, refused ones included. */
  readonly attemptsEach: number;
  /** Attempts that were given up because they took too long. */
  readonly givenUp: number;
}

/** When the kernel asks again for a connection that was ignored; then after twice as long, and so on. */
const RESEND_MS = 1_000;

/**
 * The storm after a broker was lost, event by event. The same seed gives the same storm.
 *
 * The network takes no time, a host that is down refuses at once, and clients have processors enough.
 */
export function simulate(storm: Storm): StormResult {
  return new Simulation(storm).run();
}

class Simulation {
  readonly #storm: Storm;
  readonly #random: () => number;
  readonly #timers = new Schedule<() => void>();
  readonly #hosts: readonly Host[];
  readonly #seen: number[] = [];
  readonly #back: number[] = [];
  #now = 0;
  #attempts = 0;
  #givenUp = 0;

  constructor(storm: Storm) {
    this.#storm = storm;
    this.#random = seeded(storm.seed);
    const { hosts, downMs, broker } = storm;
    this.#hosts = Array.from({ length: hosts }, (_, index) => new Host(broker, index === 0 ? downMs : 0));
  }

  run(): StormResult {
    const { processes, hosts, order, noticeMs, untilMs } = this.#storm;
    const lost = order === 'own' ? Math.ceil(processes / hosts) : processes;
    // All were on host 0; the next one in the URL is host 1, or, with orders of their own, any of the others.
    for (let index = 0; index < lost; index++) {
      const turn = order === 'own' ? index % Math.max(1, hosts - 1) : 0;
      this.#in(noticeMs * this.#random(), () => this.#wait(turn, 0));
    }
    while (this.#back.length < lost && this.#now < untilMs) this.#step();
    return {
      lost,
      halfBackMs: this.#back[Math.ceil(lost / 2) - 1],
      allBackMs: this.#back[lost - 1],
      peakPerSecond: densest(this.#seen, 1_000),
      attemptsEach: this.#attempts / lost,
      givenUp: this.#givenUp,
    };
  }

  #step(): void {
    const busiest = this.#hosts.reduce((one, other) => (other.processor.nextAt < one.processor.nextAt ? other : one));
    const jobAt = busiest.processor.nextAt;
    const timer = this.#timers.first;
    if (timer !== undefined && timer.at <= jobAt) {
      this.#timers.take();
      this.#now = timer.at;
      timer.item();
    } else {
      this.#now = jobAt;
      busiest.processor.endNext();
    }
  }

  /** As the driver does: pause, then the next host. */
  #wait(before: number, attempt: number): void {
    this.#in(this.#storm.pauses(attempt, this.#random), () => this.#connect(before + 1, attempt));
  }

  #connect(turn: number, attempt: number): void {
    const host = this.#hosts[turn % this.#hosts.length];
    if (host === undefined) return;
    this.#attempts++;
    if (this.#now < host.upAtMs) return this.#wait(turn, attempt + 1);
    this.#seen.push(this.#now);
    const call: Call = { abandoned: false, job: undefined };
    this.#knock(host, call, () => {
      call.open = true;
      this.#run(host, call, this.#storm.broker.restoreMs, () => this.#back.push(this.#now));
    });
    this.#in(this.#storm.connectTimeoutMs, () => {
      if (call.open) return;
      call.abandoned = true;
      if (call.job !== undefined) host.processor.cancel(this.#now, call.job);
      this.#givenUp++;
      this.#wait(turn, attempt + 1);
    });
  }

  #knock(host: Host, call: Call, open: () => void, resendMs = RESEND_MS): void {
    if (call.abandoned) return;
    if (host.backlog.length >= this.#storm.broker.backlog)
      return this.#in(resendMs, () => this.#knock(host, call, open, 2 * resendMs));
    host.backlog.push({ call, open });
    if (!host.accepting) this.#accept(host);
  }

  #accept(host: Host): void {
    const next = host.backlog.shift();
    host.accepting = next !== undefined;
    if (next === undefined) return;
    const { takeMs, handshakeMs } = this.#storm.broker;
    this.#in(takeMs, () => {
      if (!next.call.abandoned) this.#run(host, next.call, handshakeMs, next.open);
      this.#accept(host);
    });
  }

  #run(host: Host, call: Call, workMs: number, done: () => void): void {
    call.job = host.processor.start(this.#now, workMs, done);
  }

  #in(ms: number, then: () => void): void {
    this.#timers.add(this.#now + ms, then);
  }
}

interface Call {
  open?: boolean;
  abandoned: boolean;
  job: Job | undefined;
}

class Host {
  readonly processor: SharedProcessor;
  readonly upAtMs: number;
  readonly backlog: { readonly call: Call; readonly open: () => void }[] = [];
  accepting = false;

  constructor({ cores }: BrokerModel, upAtMs: number) {
    this.processor = new SharedProcessor(cores);
    this.upAtMs = upAtMs;
  }
}

/** The most of the times, which ascend, that lie within such a span. */
function densest(times: readonly number[], spanMs: number): number {
  let from = 0;
  return times.reduce((most, time, index) => {
    while (time - (times[from] ?? time) >= spanMs) from++;
    return Math.max(most, index - from + 1);
  }, 0);
}
