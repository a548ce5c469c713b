import { randomFillSync } from 'node:crypto';

const BYTES = 16;
const POOL = Buffer.allocUnsafe(BYTES * 256);
let used = POOL.length;

/** A fresh unguessable id: 128 random bits as 32 hexadecimal digits. Random bytes are drawn in batches, for speed. */
export function newId(): string {
  if (used === POOL.length) {
    randomFillSync(POOL);
    used = 0;
  }
  used += BYTES;
  return POOL.toString('hex', used - BYTES, used);
}
