import { randomUUID } from 'node:crypto';
import type { Load } from './closed-loop.ts';
import type { Slice } from './figures.ts';
import type { Setup } from './peer.ts';
import { type Kind, PeerProcess } from './peer-process.ts';
import { isMemory, placeOf } from './place.ts';
import { brokerCpu } from './processes.ts';
import { sweep } from './sweep.ts';

type PartSetup = Omit<Setup, 'url' | 'topic'>;

export interface Parts {
  readonly sender: PartSetup;
  /** A process of its own. Absent where the sender is all there is. */
  readonly receiver?: PartSetup;
  /** How many copies of each message are received. Default 1. */
  readonly copies?: number;
  /** Whose code the sender runs. Default: the side's own. */
  readonly fuel?: Kind;
}

/** Without a sign of the last messages for so long, they are lost. */
const LOST_MS = 60_000;

/** The processes of one side of a comparison: those who send, and those who receive. */
export class Side implements AsyncDisposable {
  readonly sender: PeerProcess;
  readonly receiver: PeerProcess | undefined;
  readonly #url: string;
  /** Unique to this side. */
  readonly topic: string;
  readonly #copies: number;
  readonly #brokerCpu: (() => number | undefined) | undefined;
  #expected = 0;

  private constructor(
    sender: PeerProcess,
    receiver: PeerProcess | undefined,
    url: string,
    topic: string,
    copies: number,
  ) {
    this.sender = sender;
    this.receiver = receiver;
    this.#url = url;
    this.topic = topic;
    this.#copies = copies;
    const { host, port } = placeOf(url);
    this.#brokerCpu = isMemory(url) ? undefined : brokerCpu(host, port);
  }

  static async start(kind: Kind, url: string, { sender, receiver, copies = 1, fuel = kind }: Parts): Promise<Side> {
    const topic = `bench-${randomUUID()}`;
    const [sending, receiving] = await Promise.allSettled([
      PeerProcess.start(fuel, { ...sender, url, topic }),
      receiver && PeerProcess.start(kind, { ...receiver, url, topic }),
    ]);
    if (sending.status === 'fulfilled' && receiving.status === 'fulfilled')
      return new Side(sending.value, receiving.value, url, topic, copies);
    for (const end of [sending, receiving]) if (end.status === 'fulfilled') await end.value?.stop();
    await sweep(url, topic);
    throw [sending, receiving].find((end) => end.status === 'rejected')?.reason;
  }

  get broker(): string | undefined {
    return this.sender.broker ?? this.receiver?.broker;
  }

  /** Operations of the sender, each of which is over when its promise is. */
  loop(load: Load): Promise<Slice> {
    return this.#slice(async () => {
      const { calls, ...rest } = await this.sender.run(load);
      return { operations: calls, ...rest };
    });
  }

  /** Messages, until the receivers have handled them all. */
  flow(load: Load): Promise<Slice> {
    return this.#slice(async () => {
      const start = performance.now();
      const { calls, p50Ms, p99Ms } = await this.sender.run(load);
      this.#expected += calls * this.#copies;
      await this.#arrival();
      return { operations: calls * this.#copies, elapsedMs: performance.now() - start, p50Ms, p99Ms };
    });
  }

  /** Messages that wait in the queue already, from the first that the receiver handles to the last. */
  async drain(messages: number): Promise<Slice> {
    await this.sender.run({ inFlight: 1_000, calls: messages });
    const receiver = this.receiver;
    if (receiver === undefined) throw new Error('nobody is there to receive');
    return await this.#slice(
      async () => ({ operations: messages, elapsedMs: await inTime(receiver.drain(messages), 'the queue') }),
      [receiver],
    );
  }

  async #arrival(): Promise<void> {
    const receiver = this.receiver;
    if (receiver !== undefined) await inTime(receiver.handled(this.#expected), `${this.#expected} messages`);
  }

  async #slice(
    measure: () => Promise<Omit<Slice, 'cpuUs'>>,
    processes: readonly (PeerProcess | undefined)[] = [this.sender, this.receiver],
  ): Promise<Slice> {
    const cpu = async (): Promise<number> => {
      const each = await Promise.all(processes.map(async (process) => (await process?.cpu()) ?? 0));
      return each.reduce((total, us) => total + us, 0);
    };
    const before = await cpu();
    const brokerBefore = this.#brokerCpu?.();
    const measured = await measure();
    const brokerAfter = this.#brokerCpu?.();
    const cpuUs = (await cpu()) - before;
    const brokerCpuUs =
      brokerBefore === undefined || brokerAfter === undefined ? undefined : brokerAfter - brokerBefore;
    return { ...measured, cpuUs, brokerCpuUs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sender.stop();
    await this.receiver?.stop();
    await sweep(this.#url, this.topic);
  }
}

async function inTime<T>(awaited: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const lost = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not arrive within ${LOST_MS / 1_000} s`)), LOST_MS);
  });
  try {
    return await Promise.race([awaited, lost]);
  } finally {
    clearTimeout(timer);
  }
}

/** The plain library that a URL's scheme stands for; none for memory. */
export function twinKind(url: string): 'amqplib' | 'rhea' | undefined {
  switch (placeOf(url).scheme) {
    case 'rabbit':
      return 'amqplib';
    case 'amqp1':
      return 'rhea';
    default:
      return undefined;
  }
}
