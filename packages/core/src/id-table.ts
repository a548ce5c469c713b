import { randomFillSync } from 'node:crypto';

const WORDS = 4;
const DIGITS_PER_WORD = 8;
const DIGITS = WORDS * DIGITS_PER_WORD;
const FEWEST_SLOTS = 64;
/** In the second word of a slot whose first is 0. */
const FREE = 0;
const DELETED = 1;
/** Drawn by each process, so that nobody can send ids that all fall on one slot. */
const [FACTOR_A = 1, FACTOR_B = 1, FACTOR_C = 1, FACTOR_D = 1] = randomFillSync(new Uint32Array(WORDS)).map(
  (factor) => factor | 1,
);

/**
 * Reads the bits of an id into four words. False for ids that a table does not hold: those that are not 32 hexadecimal
 * digits in small letters, and those that begin with eight zeros.
 */
export function readBits(id: string, into: Uint32Array): boolean {
  if (id.length !== DIGITS) return false;
  for (let word = 0; word < WORDS; word++) {
    let bits = 0;
    for (let at = word * DIGITS_PER_WORD; at < (word + 1) * DIGITS_PER_WORD; at++) {
      const code = id.charCodeAt(at);
      const digit = code < 0x3a ? code - 0x30 : code - 0x57;
      if (digit < 0 || digit > 15 || (digit < 10 && code > 0x39)) return false;
      bits = (bits << 4) | digit;
    }
    into[word] = bits;
  }
  return into[0] !== 0;
}

/**
 * A set of ids by their bits, in one typed array. A `Set` of texts would keep every text, and what is kept for so long is
 * copied by the garbage collector before it is left alone. Open addressing, at most half full.
 */
export class IdTable {
  /** Four words for each slot. */
  #slots = new Uint32Array(WORDS * FEWEST_SLOTS);
  /** Takes from a product the highest bits, as many as a slot's number has. */
  #shift = 32 - Math.log2(FEWEST_SLOTS);
  /** How many slots are not free. */
  #taken = 0;

  has(bits: Uint32Array): boolean {
    return this.#slots[this.#find(bits)] !== 0;
  }

  /** Whether it was new. */
  add(bits: Uint32Array): boolean {
    const at = this.#find(bits);
    if (this.#slots[at] !== 0) return false;
    for (let word = 0; word < WORDS; word++) this.#slots[at + word] = bits[word] ?? 0;
    this.#taken++;
    if (2 * WORDS * this.#taken > this.#slots.length) this.#grow();
    return true;
  }

  delete(bits: Uint32Array): void {
    const at = this.#find(bits);
    if (this.#slots[at] === 0) return;
    this.#slots[at] = 0;
    this.#slots[at + 1] = DELETED;
  }

  clear(): void {
    this.#slots.fill(0);
    this.#taken = 0;
  }

  /** Where it is, or else the free slot where it belongs. */
  #find(bits: Uint32Array): number {
    const slots = this.#slots;
    const [a, b, c, d] = [bits[0] ?? 0, bits[1] ?? 0, bits[2] ?? 0, bits[3] ?? 0];
    const product = Math.imul(a, FACTOR_A) + Math.imul(b, FACTOR_B) + Math.imul(c, FACTOR_C) + Math.imul(d, FACTOR_D);
    let at = WORDS * (product >>> this.#shift);
    for (;;) {
      const first = slots[at];
      if (first === 0) {
        if (slots[at + 1] === FREE) return at;
      } else if (first === a && slots[at + 1] === b && slots[at + 2] === c && slots[at + 3] === d) return at;
      at = (at + WORDS) & (slots.length - 1);
    }
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(2 * old.length);
    this.#shift--;
    this.#taken = 0;
    for (let at = 0; at < old.length; at += WORDS) if (old[at] !== 0) this.add(old.subarray(at, at + WORDS));
  }
}
