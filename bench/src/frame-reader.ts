const END_BYTES = 1;
const HEADER_BYTES = { old: 7, new: 8 };
const PROTOCOL_HEADER_BYTES = 8;
const AMQP = Buffer.from('AMQP', 'latin1');

const METHODS: Readonly<Record<string, string>> = {
  '60.40': 'publish',
  '60.50': 'return',
  '60.60': 'deliver',
  '60.80': 'ack',
};
const PERFORMATIVES: Readonly<Record<number, string>> = {
  16: 'open',
  17: 'begin',
  18: 'attach',
  19: 'flow',
  20: 'transfer',
  21: 'disposition',
};

/** Names the frames of one direction of a connection, however they are cut into chunks. */
export class FrameReader {
  readonly #onFrame: (name: string) => void;
  #rest: Buffer = Buffer.alloc(0);
  /** Of the AMQP that is spoken: 0-9-1, or 1.0. The client says so first; what comes back is guessed from its own bytes. */
  #protocol: 'old' | 'new' | undefined;

  constructor(onFrame: (name: string) => void) {
    this.#onFrame = onFrame;
  }

  read(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (let length = this.#next(bytes); length > 0 && length <= bytes.length; length = this.#next(bytes)) {
      bytes = bytes.subarray(length);
    }
    this.#rest = bytes;
  }

  /** The length of what comes next, or 0 where that cannot be seen yet. Whole frames are told. */
  #next(bytes: Buffer): number {
    if (bytes.length < PROTOCOL_HEADER_BYTES) return 0;
    if (bytes.subarray(0, AMQP.length).equals(AMQP)) {
      // `AMQP` 0 0 9 1; in 1.0 `AMQP`, 0 (or 2 for TLS, 3 for SASL), 1 0 0.
      this.#protocol = bytes[5] === 1 ? 'new' : 'old';
      return PROTOCOL_HEADER_BYTES;
    }
    // A broker of 0-9-1 answers with a frame at once, one of 1.0 with a header of its own.
    return (this.#protocol ?? 'old') === 'old' ? this.#oldFrame(bytes) : this.#newFrame(bytes);
  }

  #oldFrame(bytes: Buffer): number {
    const length = HEADER_BYTES.old + bytes.readUInt32BE(3) + END_BYTES;
    if (bytes.length < length) return 0;
    switch (bytes[0]) {
      case 1: {
        const name = `${bytes.readUInt16BE(7)}.${bytes.readUInt16BE(9)}`;
        this.#onFrame(METHODS[name] ?? name);
        break;
      }
      case 2:
        this.#onFrame('header');
        break;
      case 3:
        this.#onFrame('body');
        break;
    }
    return length;
  }

  #newFrame(bytes: Buffer): number {
    const length = bytes.readUInt32BE(0);
    if (bytes.length < length) return 0;
    // An empty frame is a heartbeat. Its descriptor is a small ulong: 0x00 0x53 code.
    if (length > HEADER_BYTES.new) {
      const code = bytes[4 * (bytes[4] ?? 2) + 2] ?? 0;
      this.#onFrame(PERFORMATIVES[code] ?? `0x${code.toString(16)}`);
    }
    return Math.max(length, HEADER_BYTES.new);
  }
}
