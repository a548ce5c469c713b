import { randomFillSync } from 'node:crypto';

const DIGITS = 32;
const GROUP = 4;
const DASH = 0x2d;
const FIRST_DASH = 8;
const UUID_LENGTH = 36;
/** Four of digits, two of what stands behind them. */
export const WORDS = 6;
const NO_DIGIT = 16;
/** Of the hexadecimal digits in small letters, by their codes. */
const VALUES = Uint8Array.from({ length: 0x80 }, (_, code) => {
  const value = '0123456789abcdef'.indexOf(String.fromCharCode(code));
  return value < 0 ? NO_DIGIT : value;
});
const FEWEST_SLOTS = 64;
/** In the second word of a slot whose first is 0. */
const FREE = 0;
const DELETED = 1;
/** Drawn by each process: nobody can send ids that all fall on one slot, or texts that are taken for each other. */
const [KEY_A = 0, KEY_B = 0, ...RANDOM] = randomFillSync(new Uint32Array(6));
const [FACTOR_A = 1, FACTOR_B = 1, FACTOR_C = 1, FACTOR_D = 1] = RANDOM.map((factor) => factor | 1);

/**
 * Reads the bits of an id: of 32 hexadecimal digits in small letters as they are, of a text behind them a hash of 64 bits. The
 * digits of a UUID are those with dashes (RFC 9562, section 4). False for ids that a table does not hold: those that begin
 * otherwise, or with eight zeros.
 */
export function readBits(id: string, into: Uint32Array): boolean {
  const isDashed = id.charCodeAt(FIRST_DASH) === DASH;
  if (id.length < (isDashed ? UUID_LENGTH : DIGITS)) return false;
  let all = 0;
  let at = 0;
  for (let group = 0; group < DIGITS / GROUP; group++) {
    // 8-4-4-4-12
    if (isDashed && group >= 2 && group <= 5 && id.charCodeAt(at++) !== DASH) return false;
    let bits = 0;
    for (const end = at + GROUP; at < end; at++) {
      const value = VALUES[id.charCodeAt(at)] ?? NO_DIGIT;
      all |= value;
      bits = (bits << 4) | value;
    }
    const word = group >> 1;
    into[word] = group % 2 === 0 ? bits : ((into[word] ?? 0) << 16) | bits;
  }
  if (all >= NO_DIGIT) return false;
  readTail(id, at, into);
  return into[0] !== 0;
}

/** What stands at `from` and behind it. Nothing behind 32 digits and nothing behind a UUID are two things. */
function readTail(id: string, from: number, into: Uint32Array): void {
  let [a, b] = id.length === DIGITS ? [0, 0] : [KEY_A ^ from, KEY_B];
  for (let at = from; at < id.length; at++) {
    const code = id.charCodeAt(at);
    a = Math.imul(a ^ code, FACTOR_A);
    a ^= a >>> 15;
    b = Math.imul(b ^ code, FACTOR_B);
    b ^= b >>> 13;
  }
  into[4] = a;
  into[5] = b;
}

/**
 * A set of ids by their bits, in one typed array. A `Set` of texts would keep every text, and what is kept for so long is
 * copied by the garbage collector before it is left alone. Open addressing, at most half full.
 */
export class IdTable {
  /** Six words for each slot. */
  #words = new Uint32Array(WORDS * FEWEST_SLOTS);
  #slots = FEWEST_SLOTS;
  /** Leaves as many of 32 bits as a slot's number has. */
  #shift = 32 - Math.log2(FEWEST_SLOTS);
  /** How many slots are not free. */
  #taken = 0;

  has(bits: Uint32Array): boolean {
    return this.#words[this.#find(bits)] !== 0;
  }

  /** Whether it was new. */
  add(bits: Uint32Array): boolean {
    const at = this.#find(bits);
    if (this.#words[at] !== 0) return false;
    for (let word = 0; word < WORDS; word++) this.#words[at + word] = bits[word] ?? 0;
    this.#taken++;
    if (2 * this.#taken > this.#slots) this.#grow();
    return true;
  }

  delete(bits: Uint32Array): void {
    const at = this.#find(bits);
    if (this.#words[at] === 0) return;
    this.#words[at] = 0;
    this.#words[at + 1] = DELETED;
  }

  clear(): void {
    this.#words.fill(0);
    this.#taken = 0;
  }

  /** Where it is, or else the free slot where it belongs. */
  #find(bits: Uint32Array): number {
    const words = this.#words;
    const [a, b, c, d, e, f] = [bits[0], bits[1], bits[2], bits[3], bits[4], bits[5]];
    let slot = this.#first(bits);
    for (;;) {
      const at = WORDS * slot;
      const first = words[at];
      if (first === 0) {
        if (words[at + 1] === FREE) return at;
      } else if (first === a && words[at + 1] === b && words[at + 2] === c && words[at + 3] === d) {
        if (words[at + 4] === e && words[at + 5] === f) return at;
      }
      slot = (slot + 1) & (this.#slots - 1);
    }
  }

  /** The slot to begin with. Those of 32 bits that all others have a part in are the highest. */
  #first(bits: Uint32Array): number {
    const tail = bits[4] ?? 0;
    const one = Math.imul((bits[0] ?? 0) ^ tail, FACTOR_A) + Math.imul(bits[1] ?? 0, FACTOR_B);
    const other = Math.imul(bits[2] ?? 0, FACTOR_C) + Math.imul(bits[3] ?? 0, FACTOR_D);
    return (one + other) >>> this.#shift;
  }

  #grow(): void {
    const old = this.#words;
    this.#slots *= 2;
    this.#shift--;
    this.#taken = 0;
    this.#words = new Uint32Array(WORDS * this.#slots);
    for (let at = 0; at < old.length; at += WORDS) if (old[at] !== 0) this.add(old.subarray(at, at + WORDS));
  }
}
