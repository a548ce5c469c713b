/** The frames of which there are many: messages, and what became of them. rhea's own codec takes several times as long. */

/** As rhea reads it, as far as it looks at it. */
export interface Transfer {
  readonly handle: number;
  readonly delivery_id: number | undefined;
  message_format: number | undefined;
  readonly settled: boolean | undefined;
  readonly more: boolean;
}

export interface Disposition {
  /** Whether it comes from the receiver. */
  readonly role: boolean;
  readonly first: number;
  readonly last: number | undefined;
  readonly settled: boolean;
}

export type HotFrame =
  | { readonly type: 'transfer'; readonly channel: number; readonly performative: Transfer; readonly payload: Buffer }
  | { readonly type: 'accepted'; readonly channel: number; readonly performative: Disposition };

const HEAD_BYTES = 8;
const TRANSFER = 0x14;
const DISPOSITION = 0x15;
const ACCEPTED = 0x24;
const NULL = 0x40;
const TRUE = 0x41;
const FALSE = 0x42;
const UINT0 = 0x43;
const LIST0 = 0x45;
const SMALL_UINT = 0x52;
const SMALL_ULONG = 0x53;
const UINT = 0x70;
const BINARY8 = 0xa0;
const LIST8 = 0xc0;
const LIST32 = 0xd0;
/** Head, descriptor, list, handle, id, tag of 4 bytes, format, settled, more. */
const TRANSFER_BYTES = HEAD_BYTES + 3 + 3 + 5 + 5 + 6 + 1 + 1 + 1;

/** A message, or a part of one. */
export function writeTransfer(
  channel: number,
  handle: number,
  id: number,
  settled: boolean,
  more: boolean,
  payload: Uint8Array,
): Buffer {
  const bytes = Buffer.allocUnsafe(TRANSFER_BYTES + payload.length);
  writeHead(bytes, channel, TRANSFER, 6);
  let at = writeUint(bytes, HEAD_BYTES + 6, handle);
  at = writeUint(bytes, at, id);
  // A tag is unique among what is not settled: so is the id.
  bytes[at] = BINARY8;
  bytes[at + 1] = 4;
  at = bytes.writeUInt32BE(id, at + 2);
  bytes[at] = UINT0;
  bytes[at + 1] = settled ? TRUE : FALSE;
  bytes[at + 2] = more ? TRUE : FALSE;
  bytes.set(payload, at + 3);
  return bytes;
}

/** Settles what was received, from the first to the last, as accepted. */
export function writeAccepted(channel: number, first: number, last: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + 22);
  writeHead(bytes, channel, DISPOSITION, 5);
  bytes[HEAD_BYTES + 6] = TRUE;
  let at = writeUint(bytes, HEAD_BYTES + 7, first);
  at = writeUint(bytes, at, last);
  bytes[at] = TRUE;
  bytes[at + 1] = 0x00;
  bytes[at + 2] = SMALL_ULONG;
  bytes[at + 3] = ACCEPTED;
  bytes[at + 4] = LIST0;
  return bytes;
}

/** The head of a frame that fills the buffer but for a payload, and of the list of its fields. */
function writeHead(bytes: Buffer, channel: number, code: number, fields: number): void {
  bytes.writeUInt32BE(bytes.length, 0);
  bytes[4] = 2;
  bytes[5] = 0;
  bytes.writeUInt16BE(channel, 6);
  bytes[8] = 0x00;
  bytes[9] = SMALL_ULONG;
  bytes[10] = code;
  bytes[11] = LIST8;
  bytes[12] = code === TRANSFER ? TRANSFER_BYTES - HEAD_BYTES - 5 : bytes.length - HEAD_BYTES - 5;
  bytes[13] = fields;
}

function writeUint(bytes: Buffer, at: number, value: number): number {
  bytes[at] = UINT;
  return bytes.writeUInt32BE(value, at + 1);
}

/** Reads a whole frame, if it is one of these in the form that most have; else undefined. */
export function readHotFrame(bytes: Buffer, start: number, end: number): HotFrame | undefined {
  const at = start + HEAD_BYTES;
  if (end - at < 6 || bytes[start + 4] !== 2 || bytes[start + 5] !== 0) return undefined;
  if (bytes[at] !== 0x00 || bytes[at + 1] !== SMALL_ULONG) return undefined;
  const code = bytes[at + 2];
  const channel = bytes.readUInt16BE(start + 6);
  const isLong = bytes[at + 3] === LIST32;
  if (!isLong && bytes[at + 3] !== LIST8) return undefined;
  // After the code of the list its size and the number of its fields, in 4 bytes each or in one.
  const width = isLong ? 4 : 1;
  if (end - at < 4 + 2 * width) return undefined;
  const fieldsEnd = at + 4 + width + bytes.readUIntBE(at + 4, width);
  if (fieldsEnd > end) return undefined;
  const fields = new Fields(bytes, at + 4 + 2 * width, fieldsEnd);
  if (code === DISPOSITION) {
    const role = fields.boolean();
    const first = fields.uint();
    const last = fields.uint();
    const settled = fields.boolean();
    if (role === undefined || first === undefined || !fields.accepted() || !fields.isSimple) return undefined;
    return { type: 'accepted', channel, performative: { role, first, last, settled: settled === true } };
  }
  if (code !== TRANSFER) return undefined;
  const handle = fields.uint();
  const delivery_id = fields.uint();
  // The tag is of no interest: the id tells as much.
  fields.skipBinary();
  const message_format = fields.uint();
  const settled = fields.boolean();
  const performative = { handle: handle ?? 0, delivery_id, message_format, settled, more: fields.boolean() === true };
  if (handle === undefined || !fields.isSimple) return undefined;
  return { type: 'transfer', channel, performative, payload: bytes.subarray(fieldsEnd, end) };
}

/** The fields of a list one after the other, while they are simple; what is left out at the end is undefined. */
class Fields {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;
  #simple = true;

  constructor(bytes: Buffer, at: number, end: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  /** Whether all was read that is there, but for fields that are null or false. */
  get isSimple(): boolean {
    while (this.#simple && this.#at < this.#end) if (this.boolean() === true) this.#simple = false;
    return this.#simple && this.#at === this.#end;
  }

  boolean(): boolean | undefined {
    if (this.#at >= this.#end) return undefined;
    const code = this.#bytes[this.#at++];
    if (code === TRUE || code === FALSE) return code === TRUE;
    if (code !== NULL) this.#simple = false;
    return undefined;
  }

  uint(): number | undefined {
    if (this.#at >= this.#end) return undefined;
    const code = this.#bytes[this.#at++];
    if (code === SMALL_UINT) return this.#bytes[this.#at++];
    if (code === UINT0) return 0;
    if (code === UINT && this.#at + 4 <= this.#end) {
      this.#at += 4;
      return this.#bytes.readUInt32BE(this.#at - 4);
    }
    if (code !== NULL) this.#simple = false;
    return undefined;
  }

  skipBinary(): void {
    if (this.#at >= this.#end) return;
    const code = this.#bytes[this.#at++];
    if (code === BINARY8) this.#at += 1 + (this.#bytes[this.#at] ?? 0);
    else if (code !== NULL) this.#simple = false;
  }

  /** Whether the outcome is there, and is that. */
  accepted(): boolean {
    const [at, bytes] = [this.#at, this.#bytes];
    if (bytes[at] !== 0x00 || bytes[at + 1] !== SMALL_ULONG || bytes[at + 2] !== ACCEPTED) return false;
    if (bytes[at + 3] !== LIST0) return false;
    this.#at += 4;
    return true;
  }
}
