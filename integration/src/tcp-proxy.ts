import { connect, createServer, type Server, type Socket } from 'node:net';
import { type AmqpFrame, AmqpFrameReader } from './amqp-frames.ts';
import { listen, listenOnFreePort } from './free-port.ts';
import { type LaneGate, ProxyLane } from './proxy-lane.ts';
import { waitFor } from './wait-for.ts';

export type Direction = 'client->broker' | 'broker->client';

/** Sees every chunk before it is forwarded; `connection` counts accepted connections from 1. */
export type DataHook = (chunk: Buffer, direction: Direction, connection: number) => void;

/** Sees every AMQP 0-9-1 frame once its last byte arrived, before that byte is forwarded. */
export type FrameHook = (frame: AmqpFrame, direction: Direction, connection: number) => void;

/** Says whether this frame is the one at which to cut. */
export type FramePredicate = (frame: AmqpFrame, direction: Direction, connection: number) => boolean;

interface CutRule {
  readonly matches: FramePredicate;
  readonly withhold: boolean;
  readonly done: (frame: AmqpFrame | undefined) => void;
}

/** The two sockets and two lanes of one proxied connection. */
interface Link {
  readonly number: number;
  readonly client: Socket;
  readonly broker: Socket;
  readonly lanes: readonly ProxyLane[];
}

/**
 * A TCP proxy on 127.0.0.1 that misbehaves on demand. Clients are given `port` in place of the broker's; any protocol
 * passes, AMQP 0-9-1 frames are recognised (not inside of TLS).
 */
export class TcpProxy implements AsyncDisposable {
  readonly #target: { readonly host: string; readonly port: number };
  readonly #gate: LaneGate = { latencyMs: 0, frozen: false };
  readonly #links = new Set<Link>();
  readonly #dataHooks = new Set<DataHook>();
  readonly #frameHooks = new Set<FrameHook>();
  readonly #cutRules = new Set<CutRule>();
  #server: Server | undefined;
  #port = 0;
  #total = 0;

  private constructor(target: { host: string; port: number }) {
    this.#target = target;
  }

  /** Opens a proxy in front of `target`, on a free port. */
  static async open(target: { host: string; port: number }): Promise<TcpProxy> {
    const proxy = new TcpProxy({ host: target.host, port: target.port });
    proxy.#server = proxy.#newServer();
    proxy.#port = await listenOnFreePort(proxy.#server);
    return proxy;
  }

  /** Where it listens; stays the same through refuse() and accept(). */
  get port(): number {
    return this.#port;
  }

  /** How many connections there are now, and how many were accepted since the proxy was opened. */
  get connections(): { readonly now: number; readonly total: number } {
    return { now: this.#links.size, total: this.#total };
  }

  /** Milliseconds every byte is held back, in each direction: a round trip takes twice as long. */
  get latencyMs(): number {
    return this.#gate.latencyMs;
  }

  set latencyMs(latencyMs: number) {
    this.#gate.latencyMs = latencyMs;
  }

  /** From now on nothing passes, in neither direction, and nothing is closed: a dead network. New connections open. */
  freeze(): void {
    this.#gate.frozen = true;
    this.#pumpAll();
  }

  /** Lets everything pass again, first what was held back. */
  thaw(): void {
    this.#gate.frozen = false;
    this.#pumpAll();
  }

  /** Aborts all connections: both ends read ECONNRESET. */
  reset(): void {
    for (const link of this.#links) {
      link.client.resetAndDestroy();
      link.broker.resetAndDestroy();
    }
  }

  /** Closes all connections at once, without a word of the protocol. */
  cut(): void {
    for (const link of this.#links) close(link);
  }

  /** Refuses new connections (ECONNREFUSED); those that are open stay. */
  refuse(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  /** Accepts connections again, on the same port. */
  async accept(): Promise<void> {
    if (this.#server) return;
    const server = this.#newServer();
    this.#server = server;
    await waitFor(`port ${this.#port} to be free`, async () => {
      await listen(server, this.#port);
      return true;
    });
  }

  /** Calls `hook` for every chunk from now on; returns the function that ends this. */
  onData(hook: DataHook): () => void {
    this.#dataHooks.add(hook);
    return () => void this.#dataHooks.delete(hook);
  }

  /** Calls `hook` for every frame from now on; returns the function that ends this. */
  onFrame(hook: FrameHook): () => void {
    this.#frameHooks.add(hook);
    return () => void this.#frameHooks.delete(hook);
  }

  /**
   * Cuts one connection, once: at the first frame from now on for which `matches` says true. The frame itself is the
   * last that arrives or, with `withhold`, the first that does not. Resolves with that frame when it is seen, with
   * undefined when the proxy is closed first.
   *
   * To lose a confirm after its publish was taken: `cutWhen((frame, way) => way === 'broker->client' && frame.name ===
   * 'basic.ack', { withhold: true })`.
   */
  cutWhen(matches: FramePredicate, { withhold = false }: { withhold?: boolean } = {}): Promise<AmqpFrame | undefined> {
    return new Promise((done) => this.#cutRules.add({ matches, withhold, done }));
  }

  /** Closes the proxy and all connections through it. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const closed = server && new Promise((resolve) => server.close(resolve));
    this.cut();
    for (const rule of this.#cutRules) rule.done(undefined);
    this.#cutRules.clear();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #newServer(): Server {
    // Half-open: the FIN of one end is one more thing to forward, not the end of both directions.
    return createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#link(client));
  }

  #link(client: Socket): void {
    const broker = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const up = new ProxyLane(client, broker, this.#gate, () => close(link));
    const down = new ProxyLane(broker, client, this.#gate, () => close(link));
    this.#total += 1;
    const link: Link = { number: this.#total, client, broker, lanes: [up, down] };
    this.#links.add(link);
    this.#listen(client, up, 'client->broker', link);
    this.#listen(broker, down, 'broker->client', link);
    for (const socket of [client, broker]) {
      socket.on('close', () => {
        if (client.destroyed && broker.destroyed) this.#links.delete(link);
      });
    }
  }

  #listen(from: Socket, lane: ProxyLane, direction: Direction, link: Link): void {
    const reader = new AmqpFrameReader();
    from.on('data', (chunk: Buffer) => {
      for (const hook of this.#dataHooks) hook(chunk, direction, link.number);
      for (const frame of reader.read(chunk)) {
        for (const hook of this.#frameHooks) hook(frame, direction, link.number);
        const rule = this.#ruleFor(frame, direction, link.number);
        if (!rule) continue;
        this.#cutRules.delete(rule);
        lane.send(chunk.subarray(0, rule.withhold ? Math.max(0, frame.start) : frame.end));
        lane.cut();
        rule.done(frame);
        return;
      }
      lane.send(chunk);
    });
    lane.pump();
  }

  #ruleFor(frame: AmqpFrame, direction: Direction, connection: number): CutRule | undefined {
    for (const rule of this.#cutRules) if (rule.matches(frame, direction, connection)) return rule;
    return undefined;
  }

  #pumpAll(): void {
    for (const { lanes } of this.#links) for (const lane of lanes) lane.pump();
  }
}

function close({ client, broker, lanes }: Link): void {
  for (const lane of lanes) lane.discard();
  client.destroy();
  broker.destroy();
}
