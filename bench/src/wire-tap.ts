import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { FrameReader } from './frame-reader.ts';

export type Way = 'to broker' | 'from broker';

/**
 * A proxy before a broker that counts what passes, AMQP 0-9-1 or 1.0, and can hold it back: a longer wire. Heartbeats
 * are not counted.
 */
export class WireTap implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #counts = new Map<string, number>();
  readonly #watchers = new Set<() => void>();
  /** How long everything is held back, in each direction. */
  latencyMs = 0;
  frames = 0;
  bytes = 0;
  /** Connections that were opened. */
  connections = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(host: string, port: number): Promise<WireTap> {
    const server = createServer({ noDelay: true });
    const tap = new WireTap(server);
    server.on('connection', (client) => {
      const broker = connect({ host, port, noDelay: true });
      tap.connections++;
      tap.#forward(client, broker, 'to broker');
      tap.#forward(broker, client, 'from broker');
    });
    // A whole cluster may start at once.
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1_024 });
    await once(server, 'listening');
    return tap;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Frames of that name which passed that way: `publish`, `transfer`. */
  count(way: Way, name: string): number {
    return this.#counts.get(`${way} ${name}`) ?? 0;
  }

  /** All counts so far, by way and name. */
  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  /** Resolves when so many have passed, counted from the opening of the tap. */
  passed(way: Way, name: string, count: number): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.count(way, name) < count) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #forward(from: Socket, to: Socket, way: Way): void {
    this.#sockets.add(from);
    const lane = new Lane(to, () => this.latencyMs);
    const reader = new FrameReader((name) => {
      this.frames++;
      const key = `${way} ${name}`;
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    });
    from.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      reader.read(chunk);
      for (const look of this.#watchers) look();
      lane.carry(chunk);
    });
    from.on('end', () => lane.carry(undefined));
    from.on('error', () => to.destroy());
    from.on('close', () => this.#sockets.delete(from));
  }
}

/** One direction of a connection: everything arrives late, and in order, also when the wire gets shorter meanwhile. */
class Lane {
  readonly #to: Socket;
  readonly #latencyMs: () => number;
  readonly #held: { readonly chunk: Buffer | undefined; readonly dueAt: number }[] = [];

  constructor(to: Socket, latencyMs: () => number) {
    this.#to = to;
    this.#latencyMs = latencyMs;
  }

  /** Undefined is the end. */
  carry(chunk: Buffer | undefined): void {
    const latencyMs = this.#latencyMs();
    if (latencyMs === 0 && this.#held.length === 0) return this.#deliver(chunk);
    const dueAt = Math.max(performance.now() + latencyMs, this.#held.at(-1)?.dueAt ?? 0);
    if (this.#held.push({ chunk, dueAt }) === 1) this.#pump();
  }

  #pump(): void {
    for (let next = this.#held[0]; next !== undefined; next = this.#held[0]) {
      const leftMs = next.dueAt - performance.now();
      if (leftMs > 0) {
        setTimeout(() => this.#pump(), leftMs);
        return;
      }
      this.#held.shift();
      this.#deliver(next.chunk);
    }
  }

  #deliver(chunk: Buffer | undefined): void {
    if (chunk === undefined) this.#to.end();
    else if (this.#to.writable) this.#to.write(chunk);
  }
}
