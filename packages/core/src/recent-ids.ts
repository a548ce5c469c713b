import { IdTable, readBits, WORDS } from './id-table.ts';

/** The bits of the id in question. */
const BITS = new Uint32Array(WORDS);

/**
 * The ids seen last: between `capacity` and twice as many. Two generations take turns, so that forgetting costs nothing per
 * id.
 */
export class RecentIds {
  readonly #capacity: number;
  #current = new Generation();
  #previous = new Generation();

  constructor(capacity = 10_000) {
    this.#capacity = capacity;
  }

  has(id: string): boolean {
    const bits = bitsOf(id);
    return this.#current.has(id, bits) || this.#previous.has(id, bits);
  }

  /** Whether it was new. */
  add(id: string): boolean {
    const bits = bitsOf(id);
    if (this.#current.size >= this.#capacity) {
      const oldest = this.#previous;
      oldest.clear();
      this.#previous = this.#current;
      this.#current = oldest;
    }
    const wasKnown = this.#previous.has(id, bits);
    return this.#current.add(id, bits) && !wasKnown;
  }

  delete(id: string): void {
    const bits = bitsOf(id);
    this.#current.delete(id, bits);
    this.#previous.delete(id, bits);
  }
}

/** Ids of the usual form in a table, others as they are. */
class Generation {
  #table: IdTable | undefined;
  readonly #others = new Set<string>();
  #added = 0;

  /** How many were added, deleted ones included. */
  get size(): number {
    return this.#added;
  }

  has(id: string, bits: Uint32Array | undefined): boolean {
    return bits === undefined ? this.#others.has(id) : this.#table?.has(bits) === true;
  }

  /** Whether it was new. */
  add(id: string, bits: Uint32Array | undefined): boolean {
    this.#table ??= new IdTable();
    const isNew = bits === undefined ? !this.#others.has(id) : this.#table.add(bits);
    if (bits === undefined) this.#others.add(id);
    if (isNew) this.#added++;
    return isNew;
  }

  clear(): void {
    this.#table?.clear();
    this.#others.clear();
    this.#added = 0;
  }

  delete(id: string, bits: Uint32Array | undefined): void {
    if (bits === undefined) this.#others.delete(id);
    else this.#table?.delete(bits);
  }
}

function bitsOf(id: string): Uint32Array | undefined {
  return readBits(id, BITS) ? BITS : undefined;
}
