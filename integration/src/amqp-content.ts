export type Table = Record<string, unknown>;

/** What a content header says of the message: the size of its body, and what was set. */
export interface ContentHeader {
  readonly size: number;
  /** By the names that amqplib uses; the headers apart. */
  readonly properties: Readonly<Record<string, string | number>>;
  readonly headers?: Table;
}

/** The properties in the order of their bits, highest first, with how each is read. */
const PROPERTIES: readonly (readonly [string, 'text' | 'table' | 1 | 8])[] = [
  ['contentType', 'text'],
  ['contentEncoding', 'text'],
  ['headers', 'table'],
  ['deliveryMode', 1],
  ['priority', 1],
  ['correlationId', 'text'],
  ['replyTo', 'text'],
  ['expiration', 'text'],
  ['messageId', 'text'],
  ['timestamp', 8],
  ['type', 'text'],
  ['userId', 'text'],
  ['appId', 'text'],
  ['clusterId', 'text'],
];

/** Reads the payload of a header frame of AMQP 0-9-1. */
export function headerOf(payload: Buffer): ContentHeader {
  const reader = new FieldReader(payload, 4); // class, weight
  const size = reader.integer(8);
  const flags = reader.integer(2);
  const properties: Record<string, string | number> = {};
  let headers: Table | undefined;
  for (const [index, [name, kind]] of PROPERTIES.entries()) {
    if ((flags & (1 << (15 - index))) === 0) continue;
    if (kind === 'table') headers = reader.table();
    else properties[name] = kind === 'text' ? reader.text(1) : reader.integer(kind);
  }
  return { size, properties, ...(headers && { headers }) };
}

/** Reads the fields of a frame's payload of AMQP 0-9-1, one after the other. */
export class FieldReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  integer(width: 1 | 2 | 4 | 8): number {
    const at = this.#at;
    this.#at += width;
    return width === 8 ? Number(this.#bytes.readBigUInt64BE(at)) : this.#bytes.readUIntBE(at, width);
  }

  text(width: 1 | 4): string {
    const length = this.integer(width);
    this.#at += length;
    return this.#bytes.toString('utf8', this.#at - length, this.#at);
  }

  table(): Table {
    const length = this.integer(4);
    const end = this.#at + length;
    const table: Table = {};
    while (this.#at < end) table[this.text(1)] = this.#field();
    return table;
  }

  #field(): unknown {
    const kind = String.fromCharCode(this.integer(1));
    switch (kind) {
      case 'S':
        return this.text(4);
      case 't':
        return this.integer(1) !== 0;
      case 'b':
      case 'B':
        return this.integer(1);
      case 's':
      case 'u':
        return this.integer(2);
      case 'I':
      case 'i':
        return this.integer(4);
      case 'l':
        return this.integer(8);
      case 'F':
        return this.table();
      default:
        throw new Error(`a header field of type ${kind}`);
    }
  }
}
