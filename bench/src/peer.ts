import { closedLoop, type Load, type Loop } from './closed-loop.ts';
import { heapPerCall } from './heap.ts';

/**
 * What a peer does. A `caller` calls `server`s, a `caster` casts to `sink`s, a `notifier` notifies `listener`s, a
 * `publisher` publishes to `subscriber`s, each of which gets everything, or to `worker`s, which share it; `loopback` is
 * caller and server on one connection.
 */
export type Role =
  | 'caller'
  | 'server'
  | 'loopback'
  | 'caster'
  | 'sink'
  | 'notifier'
  | 'listener'
  | 'publisher'
  | 'subscriber'
  | 'worker';

export interface Setup {
  readonly role: Role;
  readonly url: string;
  /** Unique to this run. */
  readonly topic: string;
  /** Of plain libraries: with no more than `noDelay`, or as they are by default. Without it, with all that helps. */
  readonly untuned?: 'noDelay' | 'defaults';
  /** Listeners: as many notifications at a time. */
  readonly batch?: number;
  /** As many clients, topics or subscribers on the one connection. Default 1. */
  readonly many?: number;
  /** Publishers: the queue holds so many messages, the oldest go first. */
  readonly keep?: number;
  /** Servers and workers: what is taken and not yet settled, at most. Default: as `RPCServer` has it. */
  readonly prefetch?: number;
  /** Servers: the queue is there, and nobody answers. */
  readonly mute?: boolean;
  /** Sinks and workers: receive only while draining, from a queue that is there from the start. */
  readonly onDemand?: boolean;
}

export interface Peer {
  /** What the broker calls itself, where it tells: `RabbitMQ 4.1.0`. */
  readonly broker?: string | undefined;
  /** One operation: resolves when its result is there, or the broker has confirmed it. */
  readonly operate?: () => unknown;
  /** The whole loop, where the operations are not made in this process. */
  run?(load: Load): Promise<Loop>;
  /** What receivers have handled. */
  readonly tally?: Tally;
  /** Receives until so many messages were handled, then stops. Resolves with the time from the first to the last. */
  drain?(count: number): Promise<number>;
  close(): Promise<unknown>;
}

/** Counts what was handled. */
export class Tally {
  total = 0;
  firstAt = 0;
  lastAt = 0;
  #goal = Number.POSITIVE_INFINITY;
  #reached: () => void = () => undefined;

  add(count = 1): void {
    if (this.firstAt === 0) this.firstAt = performance.now();
    this.total += count;
    if (this.total < this.#goal) return;
    this.lastAt = performance.now();
    this.#goal = Number.POSITIVE_INFINITY;
    this.#reached();
  }

  /** Resolves when so many have been counted in all. */
  async reached(total: number): Promise<void> {
    if (this.total >= total) return;
    await new Promise<void>((resolve) => {
      this.#goal = total;
      this.#reached = resolve;
    });
  }

  /** From the first of the coming messages to the last of so many. */
  async time(count: number): Promise<number> {
    this.firstAt = 0;
    await this.reached(this.total + count);
    return this.lastAt - this.firstAt;
  }
}

export type Task =
  | { readonly task: 'start'; readonly setup: Setup }
  | { readonly task: 'run'; readonly load: Load }
  /** Until so many messages have been handled since the start. */
  | { readonly task: 'handled'; readonly total: number }
  | { readonly task: 'drain'; readonly count: number }
  | { readonly task: 'heap'; readonly calls: number }
  | { readonly task: 'cpu' }
  | { readonly task: 'stop' };

export type Answer =
  | { readonly task: 'start'; readonly broker?: string | undefined }
  | { readonly task: 'run'; readonly loop: Loop }
  | { readonly task: 'handled'; readonly total: number }
  | { readonly task: 'drain'; readonly elapsedMs: number }
  | { readonly task: 'heap'; readonly bytesPerCall: number }
  | { readonly task: 'cpu'; readonly us: number }
  | { readonly task: 'stop' }
  | { readonly task: 'failed'; readonly error: string };

/** The main loop of a peer process: does what its parent says, and ends with it. */
export function obey(start: (setup: Setup) => Promise<Peer>): void {
  let peer: Peer | undefined;
  const can = <What extends 'operate' | 'tally' | 'drain'>(what: What): NonNullable<Peer[What]> => {
    const found = peer?.[what];
    if (found === undefined) throw new Error(`this peer cannot ${what}`);
    return found as NonNullable<Peer[What]>;
  };
  const perform = async (task: Task): Promise<Answer> => {
    switch (task.task) {
      case 'start':
        peer = await start(task.setup);
        return { task: 'start', broker: peer.broker };
      case 'run':
        return { task: 'run', loop: await (peer?.run?.(task.load) ?? closedLoop(can('operate'), task.load)) };
      case 'handled': {
        const tally = can('tally');
        await tally.reached(task.total);
        return { task: 'handled', total: tally.total };
      }
      case 'drain':
        return { task: 'drain', elapsedMs: await can('drain')(task.count) };
      case 'heap':
        return { task: 'heap', bytesPerCall: await heapPerCall(can('operate'), task.calls) };
      case 'cpu': {
        const { user, system } = process.cpuUsage();
        return { task: 'cpu', us: user + system };
      }
      case 'stop':
        await peer?.close();
        return { task: 'stop' };
    }
  };
  process.on('disconnect', () => process.exit());
  process.on('message', (task: Task) => {
    void perform(task)
      .catch((error: unknown): Answer => ({ task: 'failed', error: String(error) }))
      .then((answer) => process.send?.(answer));
  });
}
