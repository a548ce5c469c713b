import { randomUUID } from 'node:crypto';
import type { Slice } from './figures.ts';
import { PeerProcess } from './peer-process.ts';

/** A client and a server, each a process, that talk through a broker. Over memory they share one. */
export class Pair implements AsyncDisposable {
  readonly client: PeerProcess;
  readonly #server: PeerProcess | undefined;

  private constructor(client: PeerProcess, server: PeerProcess | undefined) {
    this.client = client;
    this.#server = server;
  }

  static async start(kind: 'posthorn' | 'twin', url: string): Promise<Pair> {
    const topic = `bench-${kind}-${randomUUID()}`;
    if (isMemory(url)) return new Pair(await PeerProcess.start(kind, { role: 'both', url, topic }), undefined);
    const server = await PeerProcess.start(kind, { role: 'server', url, topic });
    try {
      return new Pair(await PeerProcess.start(kind, { role: 'client', url, topic }), server);
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  async slice(inFlight: number, ms: number): Promise<Slice> {
    const before = await this.#cpu();
    const { calls, elapsedMs, p50Ms, p99Ms } = await this.client.run({ inFlight, ms });
    const cpuUs = (await this.#cpu()) - before;
    return { rate: (calls / elapsedMs) * 1_000, p50Ms, p99Ms, cpuUsPerCall: cpuUs / calls };
  }

  async #cpu(): Promise<number> {
    return (await this.client.cpu()) + ((await this.#server?.cpu()) ?? 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.stop();
    await this.#server?.stop();
  }
}

export function isMemory(url: string): boolean {
  return /^memory:/i.test(url);
}
