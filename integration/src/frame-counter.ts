import { TcpProxy } from './tcp-proxy.ts';

/**
 * A proxy that counts AMQP 0-9-1 frames by direction and name: what an operation costs on the wire.
 * `{ 'client->broker basic.publish': 1, 'client->broker header': 1, 'client->broker body': 1, … }`
 */
export class FrameTap implements AsyncDisposable {
  /** The proxy underneath, for its faults. */
  readonly proxy: TcpProxy;
  readonly #counts = new Map<string, number>();

  private constructor(proxy: TcpProxy) {
    this.proxy = proxy;
    proxy.onFrame((frame, direction) => {
      const key = `${direction} ${frame.name}`;
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    });
  }

  /** Opens a tap in front of a broker. */
  static async open(target: { host: string; port: number }): Promise<FrameTap> {
    return new FrameTap(await TcpProxy.open(target));
  }

  /** Where clients connect to. */
  get port(): number {
    return this.proxy.port;
  }

  /** Frames seen since the last reset, sorted by key; what did not occur is missing. Counted when read, not when sent. */
  counts(): Record<string, number> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Starts counting from nothing, e.g. after the warm-up. */
  reset(): void {
    this.#counts.clear();
  }

  close(): Promise<void> {
    return this.proxy.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
