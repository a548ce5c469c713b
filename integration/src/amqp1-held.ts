import type { TcpProxy } from './tcp-proxy.ts';

/** What a client began and did not end on its latest connection. */
export interface Held {
  readonly sessions: number;
  readonly links: number;
}

const HEADER_BYTES = 8;
const AMQP_FRAME = 0;
/** Codes of performatives, and what each changes. */
const CHANGES: Readonly<Record<number, readonly [sessions: number, links: number]>> = {
  17: [1, 0], // begin
  18: [0, 1], // attach
  22: [0, -1], // detach
  23: [-1, 0], // end
};

/** Counts the sessions and links that clients of a proxy hold in AMQP 1.0, by their frames; not inside of TLS. */
export class HeldCount {
  #rest: Buffer = Buffer.alloc(0);
  #connection = 0;
  #sessions = 0;
  #links = 0;

  constructor(proxy: TcpProxy) {
    proxy.onData((chunk, direction, connection) => {
      if (direction === 'client->broker' && connection >= this.#connection) this.#read(chunk, connection);
    });
  }

  get held(): Held {
    return { sessions: this.#sessions, links: this.#links };
  }

  #read(chunk: Buffer, connection: number): void {
    if (connection > this.#connection) {
      this.#connection = connection;
      this.#rest = Buffer.alloc(0);
      [this.#sessions, this.#links] = [0, 0];
    }
    let bytes = Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= HEADER_BYTES) {
      const isProtocolHeader = bytes.toString('latin1', 0, 4) === 'AMQP';
      const length = isProtocolHeader ? HEADER_BYTES : bytes.readUInt32BE(0);
      if (bytes.length < length) break;
      if (!isProtocolHeader) this.#count(bytes.subarray(0, length));
      bytes = bytes.subarray(length);
    }
    this.#rest = Buffer.from(bytes);
  }

  #count(frame: Buffer): void {
    const body = 4 * (frame[4] ?? 0);
    // 0x00, 0x53 and the code: a described type by a small number.
    const [sessions, links] = (frame[5] === AMQP_FRAME && CHANGES[frame[body + 2] ?? 0]) || [0, 0];
    this.#sessions += sessions;
    this.#links += links;
  }
}
