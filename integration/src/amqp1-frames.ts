const PERFORMATIVES: Readonly<Record<number, string>> = {
  16: 'open',
  17: 'begin',
  18: 'attach',
  19: 'flow',
  20: 'transfer',
  21: 'disposition',
  22: 'detach',
  23: 'end',
  24: 'close',
};
const PROTOCOL_HEADER_BYTES = 8;
const FRAME_HEADER_BYTES = 8;
const AMQP_FRAME = 0;

/** Names the frames of one direction of an AMQP 1.0 connection, however the bytes are cut; SASL and heartbeats apart. */
export class Amqp1FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** Takes the next chunk; returns the names of the frames that it completes. */
  read(chunk: Buffer): string[] {
    let bytes = Buffer.concat([this.#rest, chunk]);
    const names: string[] = [];
    for (let length = lengthOf(bytes); length > 0 && length <= bytes.length; length = lengthOf(bytes)) {
      const name = nameOf(bytes.subarray(0, length));
      if (name !== undefined) names.push(name);
      bytes = bytes.subarray(length);
    }
    this.#rest = bytes;
    return names;
  }
}

/** Of the frame that begins here, or of a protocol header; 0 where that cannot be seen yet. */
function lengthOf(bytes: Buffer): number {
  if (bytes.length < FRAME_HEADER_BYTES) return 0;
  return bytes.toString('latin1', 0, 4) === 'AMQP' ? PROTOCOL_HEADER_BYTES : bytes.readUInt32BE(0);
}

/** The descriptor of a performative is a small ulong: 0x00 0x53 code. */
function nameOf(frame: Buffer): string | undefined {
  if (frame.length <= FRAME_HEADER_BYTES || frame[5] !== AMQP_FRAME) return undefined;
  const code = frame[4 * (frame[4] ?? 2) + 2] ?? 0;
  return PERFORMATIVES[code] ?? `performative ${code}`;
}
