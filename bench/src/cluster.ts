import { randomUUID } from 'node:crypto';
import type { Slice } from './figures.ts';
import { type Kind, PeerProcess } from './peer-process.ts';
import { placeOf } from './place.ts';
import { brokerCpu } from './processes.ts';
import { sweep } from './sweep.ts';

/** Processes that start at a time: Node's own start takes most of a core. */
const STARTING = 8;

/** Processes of one topic, each a client and a server. */
export class Cluster implements AsyncDisposable {
  readonly #members: readonly PeerProcess[];
  readonly #sweep: () => Promise<void>;
  readonly #brokerCpu: (() => number | undefined) | undefined;

  private constructor(members: readonly PeerProcess[], url: string, topic: string) {
    this.#members = members;
    this.#sweep = () => sweep(url, topic);
    const { host, port } = placeOf(url);
    this.#brokerCpu = brokerCpu(host, port);
  }

  static async start(kind: Kind, url: string, count: number): Promise<Cluster> {
    const topic = `bench-${randomUUID()}`;
    const members: PeerProcess[] = [];
    while (members.length < count) {
      const size = Math.min(STARTING, count - members.length);
      const begun = Array.from({ length: size }, () => PeerProcess.start(kind, { role: 'loopback', url, topic }));
      const started = await Promise.allSettled(begun);
      members.push(...started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])));
      const failed = started.find((one) => one.status === 'rejected');
      if (failed === undefined) continue;
      await Promise.all(members.map((member) => member.stop()));
      throw failed.reason;
    }
    return new Cluster(members, url, topic);
  }

  get pids(): readonly (number | undefined)[] {
    return this.#members.map(({ pid }) => pid);
  }

  /** So many calls by each. */
  async warmUp(inFlight: number, calls: number): Promise<void> {
    await Promise.all(this.#members.map((member) => member.run({ inFlight, calls })));
  }

  /** Of all together. */
  async slice(inFlight: number, ms: number): Promise<Slice> {
    const before = await this.#cpu();
    const brokerBefore = this.#brokerCpu?.();
    const loops = await Promise.all(this.#members.map((member) => member.run({ inFlight, ms })));
    const brokerAfter = this.#brokerCpu?.();
    return {
      operations: loops.reduce((total, loop) => total + loop.calls, 0),
      elapsedMs: Math.max(...loops.map(({ elapsedMs }) => elapsedMs)),
      cpuUs: (await this.#cpu()) - before,
      brokerCpuUs: brokerBefore === undefined || brokerAfter === undefined ? undefined : brokerAfter - brokerBefore,
    };
  }

  async #cpu(): Promise<number> {
    const each = await Promise.all(this.#members.map((member) => member.cpu()));
    return each.reduce((total, us) => total + us, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#members.map((member) => member.stop()));
    await this.#sweep();
  }
}
