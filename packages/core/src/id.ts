import { randomFillSync } from 'node:crypto';

const BYTES = 16;
const NUMBER_BYTES = 4;
const DIGITS = 2 * BYTES;
const NUMBER_DIGITS = 2 * NUMBER_BYTES;
const POOL = Buffer.allocUnsafe(BYTES * 256);
let used = POOL.length;

/**
 * A fresh unguessable id: 32 hexadecimal digits out of 128 random bits. With a number (below 2^32) the last eight digits
 * are that number, which `numberOf` reads, and 96 bits are random. Random bytes are drawn in batches, for speed.
 */
export function newId(number?: number): string {
  if (used === POOL.length) {
    randomFillSync(POOL);
    used = 0;
  }
  used += BYTES;
  if (number !== undefined) POOL.writeUInt32BE(number, used - NUMBER_BYTES);
  return POOL.toString('hex', used - BYTES, used);
}

/** The number in an id that was made with one; -1 in what cannot be such an id. */
export function numberOf(id: string): number {
  if (id.length !== DIGITS) return -1;
  let number = 0;
  for (let index = DIGITS - NUMBER_DIGITS; index < DIGITS; index++) {
    const code = id.charCodeAt(index);
    const digit = code >= 0x61 ? code - 0x57 : code - 0x30;
    if (digit < 0 || digit > 15) return -1;
    number = number * 16 + digit;
  }
  return number;
}
