import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { newId } from '../src/id.ts';
import { IdTable, readBits, WORDS } from '../src/id-table.ts';

const bitsOf = (id: string): Uint32Array => {
  const bits = new Uint32Array(WORDS);
  expect(readBits(id, bits), id).to.equal(true);
  return bits;
};

const dashed = (digits: string): string => digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');

describe('a table of ids', () => {
  it('does as a set does, whatever is added and deleted', () => {
    // Few different words, so that ids share most of their bits.
    const word = fc.constantFrom('00000000', '00000001', '80000000', 'ffffffff', 'cafebabe');
    const id = fc
      .tuple(fc.constantFrom('00000001', 'ffffffff', 'deadbeef'), word, word, word)
      .map((words) => words.join(''));
    const named = fc
      .tuple(fc.oneof(id, id.map(dashed)), fc.constantFrom('', ' a', ' b', ' compute.host1'))
      .map((parts) => parts.join(''));
    const step = fc.record({ id: named, isAdded: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 500 }), (steps) => {
        const [table, set] = [new IdTable(), new Set<string>()];
        for (const { id, isAdded } of steps) {
          const bits = bitsOf(id);
          if (isAdded) {
            expect(table.add(bits)).to.equal(!set.has(id));
            set.add(id);
          } else {
            table.delete(bits);
            set.delete(id);
          }
          for (const { id } of steps) expect(table.has(bitsOf(id))).to.equal(set.has(id));
        }
      }),
      { numRuns: 20 },
    );
  });

  it('holds many', () => {
    const table = new IdTable();
    const [here, elsewhere] = [
      Array.from({ length: 20_000 }, () => newId()),
      Array.from({ length: 20_000 }, () => newId()),
    ];
    for (const id of here) expect(table.add(bitsOf(id))).to.equal(true);
    for (const id of here) expect(table.has(bitsOf(id))).to.equal(true);
    for (const id of elsewhere) expect(table.has(bitsOf(id))).to.equal(false);
  });

  it('reads ids of 32 digits as the number that they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        const bits = new Uint32Array(WORDS);
        const isHeld = readBits(Buffer.from(bytes).toString('hex'), bits);
        expect(isHeld).to.equal(bytes.slice(0, 4).some((byte) => byte !== 0));
        const read = Buffer.alloc(16);
        for (let word = 0; word < 4; word++) read.writeUInt32BE(bits[word] ?? 0, 4 * word);
        if (isHeld) expect([...bits.slice(4)]).to.deep.equal([0, 0]);
        if (isHeld) expect(read.equals(Buffer.from(bytes))).to.equal(true);
      }),
    );
  });

  it('reads a UUID as its digits, and tells it from them', () => {
    for (let n = 0; n < 1_000; n++) {
      const id = randomUUID();
      const digits = id.replaceAll('-', '');
      const [bits, bare] = [bitsOf(id), bitsOf(digits)];
      expect([...bits.slice(0, 4)], id).to.deep.equal([...bare.slice(0, 4)]);
      expect([...bits.slice(4)], id).not.to.deep.equal([...bare.slice(4)]);
    }
  });

  it('tells ids apart by what stands behind their digits', () => {
    const digits = 'c0ffee00c0ffee00c0ffee00c0ffee00';
    const tails = Array.from({ length: 50_000 }, (_, n) => ` compute.host${n}`);
    const table = new IdTable();
    expect(table.add(bitsOf(digits))).to.equal(true);
    for (const tail of tails) if (!table.add(bitsOf(digits + tail))) throw new Error(`taken for another: ${tail}`);
  });

  it('reads no id that is written otherwise: two that differ must not become one', () => {
    const digits = 'c0ffee00c0ffee00c0ffee00c0ffee00';
    const bits = new Uint32Array(WORDS);
    for (const odd of ['', digits.slice(1), ` ${digits}`, digits.toUpperCase(), '0'.repeat(32)])
      expect(readBits(odd, bits), odd).to.equal(false);
    for (let code = 0; code < 256; code++) {
      const char = String.fromCharCode(code);
      for (const at of [0, 15, 31]) {
        const id = `${digits.slice(0, at)}${char}${digits.slice(at + 1)}`;
        expect(readBits(id, bits), id).to.equal(/[0-9a-f]/.test(char));
      }
    }
    const uuid = dashed(digits);
    for (const odd of [uuid.slice(1), uuid.toUpperCase(), digits.replace(/^.{8}/, '$&-'), dashed('0'.repeat(32))])
      expect(readBits(odd, bits), odd).to.equal(false);
    for (let at = 0; at < uuid.length; at++)
      for (const char of ['-', 'g', '0']) {
        const id = `${uuid.slice(0, at)}${char}${uuid.slice(at + 1)}`;
        expect(readBits(id, bits), id).to.equal((uuid[at] === '-') === (char === '-') && char !== 'g');
      }
  });
});
