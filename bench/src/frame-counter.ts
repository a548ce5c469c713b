import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

const HEADER_BYTES = 7; // type, channel, size
const END_BYTES = 1;
const HEARTBEAT = 8;
const PROTOCOL_HEADER = Buffer.from('AMQP\x00\x00\x09\x01', 'latin1');

/** A proxy before a broker that counts AMQP 0-9-1 frames (method, header and body) in both directions. */
export class FrameCounter implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  frames = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(host: string, port: number): Promise<FrameCounter> {
    const server = createServer({ noDelay: true });
    const counter = new FrameCounter(server);
    server.on('connection', (client) => {
      const broker = connect({ host, port, noDelay: true });
      counter.#forward(client, broker);
      counter.#forward(broker, client);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return counter;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #forward(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    const count = this.#reader();
    from.on('data', (chunk: Buffer) => {
      count(chunk);
      to.write(chunk);
    });
    from.on('end', () => to.end());
    from.on('error', () => to.destroy());
    from.on('close', () => this.#sockets.delete(from));
  }

  /** Counts the frames of one direction, however they are cut into chunks. */
  #reader(): (chunk: Buffer) => void {
    let rest: Buffer = Buffer.alloc(0);
    return (chunk) => {
      let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      if (bytes.subarray(0, PROTOCOL_HEADER.length).equals(PROTOCOL_HEADER))
        bytes = bytes.subarray(PROTOCOL_HEADER.length);
      while (bytes.length >= HEADER_BYTES) {
        const end = HEADER_BYTES + bytes.readUInt32BE(3) + END_BYTES;
        if (bytes.length < end) break;
        if (bytes[0] !== HEARTBEAT) this.frames++;
        bytes = bytes.subarray(end);
      }
      rest = bytes;
    };
  }
}
