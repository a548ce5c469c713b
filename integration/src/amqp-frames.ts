/** One complete AMQP 0-9-1 frame, or the protocol header that opens a connection. */
export interface AmqpFrame {
  readonly kind: 'protocol-header' | 'method' | 'header' | 'body' | 'heartbeat';
  /** `basic.publish` and the like for a method, else the kind. */
  readonly name: string;
  readonly channel: number;
  /** Bytes between frame header and end octet; of a method, class and method id come first. A view: copy to keep. */
  readonly payload: Buffer;
  /** Where the frame begins in the chunk that completed it; negative when an earlier chunk brought its beginning. */
  readonly start: number;
  /** Where the frame ends (exclusive) in that chunk. */
  readonly end: number;
}

const METHODS: Readonly<Record<number, readonly [string, Readonly<Record<number, string>>]>> = {
  10: [
    'connection',
    {
      ...{ 10: 'start', 11: 'start-ok', 20: 'secure', 21: 'secure-ok', 30: 'tune', 31: 'tune-ok', 40: 'open' },
      ...{ 41: 'open-ok', 50: 'close', 51: 'close-ok', 60: 'blocked', 61: 'unblocked' },
      ...{ 70: 'update-secret', 71: 'update-secret-ok' },
    },
  ],
  20: ['channel', { 10: 'open', 11: 'open-ok', 20: 'flow', 21: 'flow-ok', 40: 'close', 41: 'close-ok' }],
  40: [
    'exchange',
    {
      ...{ 10: 'declare', 11: 'declare-ok', 20: 'delete', 21: 'delete-ok', 30: 'bind', 31: 'bind-ok' },
      ...{ 40: 'unbind', 51: 'unbind-ok' },
    },
  ],
  50: [
    'queue',
    {
      ...{ 10: 'declare', 11: 'declare-ok', 20: 'bind', 21: 'bind-ok', 30: 'purge', 31: 'purge-ok' },
      ...{ 40: 'delete', 41: 'delete-ok', 50: 'unbind', 51: 'unbind-ok' },
    },
  ],
  60: [
    'basic',
    {
      ...{ 10: 'qos', 11: 'qos-ok', 20: 'consume', 21: 'consume-ok', 30: 'cancel', 31: 'cancel-ok', 40: 'publish' },
      ...{ 50: 'return', 60: 'deliver', 70: 'get', 71: 'get-ok', 72: 'get-empty', 80: 'ack', 90: 'reject' },
      ...{ 100: 'recover-async', 110: 'recover', 111: 'recover-ok', 120: 'nack' },
    },
  ],
  85: ['confirm', { 10: 'select', 11: 'select-ok' }],
  90: ['tx', { 10: 'select', 11: 'select-ok', 20: 'commit', 21: 'commit-ok', 30: 'rollback', 31: 'rollback-ok' }],
};

const KINDS: Readonly<Record<number, 'method' | 'header' | 'body' | 'heartbeat'>> = {
  1: 'method',
  2: 'header',
  3: 'body',
  8: 'heartbeat',
};

const PROTOCOL_HEADER_BYTES = 8; // "AMQP" 0 0 9 1
const OVERHEAD_BYTES = 8; // type, channel, size; end octet
const END_OCTET = 0xce;

/** Cuts one direction of a connection into frames, however the bytes are cut into chunks. */
export class AmqpFrameReader {
  #rest: Buffer = Buffer.alloc(0);
  #begun = false;
  #opaque = false;

  /** True once the bytes proved to be something else: TLS, AMQP 1.0. Nothing is read from then on. */
  get opaque(): boolean {
    return this.#opaque;
  }

  /** Takes the next chunk; returns the frames that it completes. */
  read(chunk: Buffer): AmqpFrame[] {
    if (this.#opaque) return [];
    const kept = this.#rest.length;
    const bytes = kept === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: AmqpFrame[] = [];
    let at = 0;
    for (let frame = this.#next(bytes, at, kept); frame; frame = this.#next(bytes, at, kept)) {
      at = frame.end + kept;
      frames.push(frame);
    }
    this.#rest = this.#opaque ? Buffer.alloc(0) : bytes.subarray(at);
    return frames;
  }

  /** The frame at `start` of `bytes`, whose first `kept` bytes came with earlier chunks. */
  #next(bytes: Buffer, start: number, kept: number): AmqpFrame | undefined {
    const available = bytes.length - start;
    if (!this.#begun && available > 0 && bytes[start] === 0x41) return this.#protocolHeader(bytes, kept);
    if (available < OVERHEAD_BYTES) return undefined;
    const kind = KINDS[bytes[start] ?? 0];
    const end = start + OVERHEAD_BYTES + bytes.readUInt32BE(start + 3);
    if (!kind || (end <= bytes.length && bytes[end - 1] !== END_OCTET)) return this.#giveUp();
    if (end > bytes.length) return undefined;
    this.#begun = true;
    const payload = bytes.subarray(start + 7, end - 1);
    const name = kind === 'method' ? methodName(payload) : kind;
    return { kind, name, channel: bytes.readUInt16BE(start + 1), payload, start: start - kept, end: end - kept };
  }

  #protocolHeader(bytes: Buffer, kept: number): AmqpFrame | undefined {
    if (bytes.length < PROTOCOL_HEADER_BYTES) return undefined;
    const payload = bytes.subarray(0, PROTOCOL_HEADER_BYTES);
    if (payload.toString('latin1', 0, 4) !== 'AMQP' || payload[4] !== 0 || payload[5] !== 0) return this.#giveUp();
    this.#begun = true;
    const [start, end] = [-kept, PROTOCOL_HEADER_BYTES - kept];
    return { kind: 'protocol-header', name: 'protocol-header', channel: 0, payload, start, end };
  }

  #giveUp(): undefined {
    this.#opaque = true;
    return undefined;
  }
}

function methodName(payload: Buffer): string {
  const [classId, methodId] = [payload.readUInt16BE(0), payload.readUInt16BE(2)];
  const [className, methods] = METHODS[classId] ?? [`class-${classId}`, {}];
  return `${className}.${methods[methodId] ?? `method-${methodId}`}`;
}
