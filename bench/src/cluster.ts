import { randomUUID } from 'node:crypto';
import { type Kind, PeerProcess } from './peer-process.ts';
import { sweep } from './sweep.ts';

/** Processes that start at a time: Node's own start takes most of a core. */
const STARTING = 8;

/** Processes of one topic, each a client and a server. */
export class Cluster implements AsyncDisposable {
  readonly #members: readonly PeerProcess[];
  readonly #sweep: () => Promise<void>;

  private constructor(members: readonly PeerProcess[], clean: () => Promise<void>) {
    this.#members = members;
    this.#sweep = clean;
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
    return new Cluster(members, () => sweep(url, topic));
  }

  get pids(): readonly (number | undefined)[] {
    return this.#members.map(({ pid }) => pid);
  }

  /** So many calls by each. */
  async warmUp(inFlight: number, calls: number): Promise<void> {
    await Promise.all(this.#members.map((member) => member.run({ inFlight, calls })));
  }

  /** Calls a second, of all together. */
  async rate(inFlight: number, ms: number): Promise<number> {
    const loops = await Promise.all(this.#members.map((member) => member.run({ inFlight, ms })));
    const calls = loops.reduce((total, loop) => total + loop.calls, 0);
    return (calls / Math.max(...loops.map(({ elapsedMs }) => elapsedMs))) * 1_000;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#members.map((member) => member.stop()));
    await this.#sweep();
  }
}
