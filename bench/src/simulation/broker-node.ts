import { setTimeout as pause } from 'node:timers/promises';
import { brokerCpu } from '../processes.ts';

/** What a node holds: counts, and bytes that are allocated (by Erlang) and resident (of the process). */
export interface Holdings {
  readonly connections: number;
  readonly channels: number;
  readonly queues: number;
  readonly consumers: number;
  readonly bindings: number;
  /** Of Erlang, which allows 1,048,576 of them. */
  readonly processes: number;
  /** Sockets among them. */
  readonly fileHandles: number;
  readonly allocatedBytes: number;
  readonly residentBytes: number;
}

/** What the node says of itself is up to 5 s old. */
const STALE_MS = 6_000;
const STEP_MS = 2_000;
const PATIENCE = 10;
/** Erlang collects as it likes: a node at rest wobbles by as much. */
const REST = 0.005;

/** A RabbitMQ node on this machine, by its AMQP port and its management API (`http://user:password@host:port/api`). */
export class BrokerNode {
  readonly #api: URL;
  readonly #authorization: string;
  readonly #cpuUs: () => number | undefined;

  constructor(port: number, api: string) {
    const cpuUs = brokerCpu('127.0.0.1', port);
    if (cpuUs === undefined) throw new Error(`no broker of this machine that can be looked into listens on ${port}`);
    this.#cpuUs = cpuUs;
    this.#api = new URL(api);
    const { username, password } = this.#api;
    this.#authorization = `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`;
    this.#api.username = this.#api.password = '';
  }

  /** Processor time that it used so far. */
  cpuUs(): number {
    return this.#cpuUs() ?? Number.NaN;
  }

  /** What it holds once it has come to rest with that many connections. */
  async atRest(connections: number): Promise<Holdings> {
    let before = Number.NaN;
    await pause(STALE_MS);
    for (let left = PATIENCE; ; left--) {
      const holdings = await this.#holdings();
      const { allocatedBytes } = holdings;
      const isAtRest = holdings.connections === connections && Math.abs(allocatedBytes / before - 1) < REST;
      if (isAtRest || left === 0) return holdings;
      before = allocatedBytes;
      await pause(STEP_MS);
    }
  }

  async #holdings(): Promise<Holdings> {
    const { node, object_totals: totals } = (await this.#get('overview')) as Overview;
    const { proc_used, fd_used } = (await this.#get(`nodes/${node}`)) as NodeFigures;
    const { memory } = (await this.#get(`nodes/${node}/memory`)) as { readonly memory: Memory };
    const bindings = (await this.#get('bindings')) as readonly { readonly source: string }[];
    return {
      connections: totals.connections,
      channels: totals.channels,
      queues: totals.queues,
      consumers: totals.consumers,
      // Every queue is bound to the default exchange, which costs nothing.
      bindings: bindings.filter(({ source }) => source !== '').length,
      processes: proc_used,
      fileHandles: fd_used,
      allocatedBytes: memory.total.erlang,
      residentBytes: memory.total.rss,
    };
  }

  async #get(path: string): Promise<unknown> {
    const response = await fetch(`${this.#api.href.replace(/\/$/, '')}/${path}`, {
      headers: { authorization: this.#authorization },
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok) throw new Error(`GET /${path} of the management API: ${response.status}`);
    return await response.json();
  }
}

interface Overview {
  readonly node: string;
  readonly object_totals: Readonly<Record<'connections' | 'channels' | 'queues' | 'consumers', number>>;
}

interface NodeFigures {
  readonly proc_used: number;
  readonly fd_used: number;
}

interface Memory {
  readonly total: { readonly erlang: number; readonly rss: number };
}
