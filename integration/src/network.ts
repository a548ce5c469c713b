import { MemoryFaults, parseTransportUrl, silent, type Transport } from '@posthorn/core';
import { connect } from 'posthorn';
import { TcpProxy } from './tcp-proxy.ts';

const DEFAULT_PORT = 5_672;
const DEFAULT_TLS_PORT = 5_671;

/** The way to a broker of one part of a system, which can be cut: a proxy, or faults where all of it is in memory. */
export class Network implements AsyncDisposable {
  /** What the part is to connect to. */
  readonly url: string;
  readonly #way: TcpProxy | MemoryFaults;

  static async open(url: string): Promise<Network> {
    const { scheme, hosts } = parseTransportUrl(url);
    const [first] = hosts;
    if (scheme === 'memory' || first === undefined) return new Network(url, new MemoryFaults());
    const port = first.port ?? (scheme.endsWith('s') ? DEFAULT_TLS_PORT : DEFAULT_PORT);
    const proxy = await TcpProxy.open({ host: first.host, port });
    // Whoever is cut off is soon back.
    const through = new URL(url);
    through.host = `127.0.0.1:${proxy.port}`;
    through.searchParams.set('reconnectMinMs', '5');
    through.searchParams.set('reconnectMaxMs', '50');
    return new Network(through.href, proxy);
  }

  private constructor(url: string, way: TcpProxy | MemoryFaults) {
    this.url = url;
    this.#way = way;
  }

  connect(): Promise<Transport> {
    const memory = this.#way instanceof MemoryFaults ? { memory: { faults: this.#way } } : {};
    return connect(this.url, { logger: silent, ...memory });
  }

  /** How many connections there were so far; undefined in memory, where there are none to count. */
  get connections(): number | undefined {
    return this.#way instanceof TcpProxy ? this.#way.connections.total : undefined;
  }

  /** Nothing passes any more, and both ends are told so. */
  cut(): void {
    if (this.#way instanceof MemoryFaults) return this.#way.disconnect();
    this.#way.refuse();
    this.#way.reset();
  }

  async heal(): Promise<void> {
    if (this.#way instanceof MemoryFaults) this.#way.reconnect();
    else await this.#way.accept();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#way instanceof TcpProxy) await this.#way.close();
  }
}
