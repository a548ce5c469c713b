import { expect } from 'chai';
import fc from 'fast-check';
import { json } from '../src/content.ts';
import { thrownBy } from './support.ts';

const circle: { again?: unknown } = {};
circle.again = [circle];

interface Node {
  readonly children: Node[];
  readonly parent?: Node;
}

/** Each node leads back to the root in many ways, so that a walk that only counts its depth never ends. */
const family: Node = { children: [] };
for (let n = 0; n < 4; n++) family.children.push({ children: [], parent: family });

let deep: unknown = 0;
for (let n = 0; n < 100_000; n++) deep = [deep];

/** What JSON would lose or change, and how it is named. */
const refused: readonly (readonly [string, unknown, string])[] = [
  ['a function', { a: [1, { b: () => 1 }] }, 'value.a.1.b: a function'],
  ['a symbol', [Symbol('s')], 'value.0: a symbol'],
  ['a big integer', { n: 1n }, 'value.n: a big integer'],
  ['not a number', { n: Number.NaN }, 'value.n: NaN'],
  ['an infinity', [[Number.NEGATIVE_INFINITY]], 'value.0.0: -Infinity'],
  ['a map', { m: new Map() }, 'value.m: a Map'],
  ['a set', new Set([1]), 'value: a Set'],
  ['bytes inside of a value', { b: new Uint8Array(1) }, 'value.b: a Uint8Array inside another value'],
  ['a circle', circle, 'value.again.0: a circular reference'],
  ['a tree whose nodes know their parent', family, 'value.children.0.parent: a circular reference'],
  ['a key with a dollar sign', { '$&': 1n }, 'value.$&: a big integer'],
];

describe('JSON content', () => {
  for (const [what, value, told] of refused)
    it(`refuses ${what} with the path to it`, () => {
      const error = thrownBy(() => json.encode(value));
      expect(error).to.have.property('code', 'MALFORMED');
      expect(error.message).to.equal(`${told} cannot be written as JSON`);
    });

  it('refuses what is nested too deep', () => {
    expect(thrownBy(() => json.encode(deep))).to.have.property('code', 'MALFORMED');
  });

  it('refuses a value whose toJSON throws', () => {
    const bad = {
      toJSON() {
        throw new Error('will not');
      },
    };
    const error = thrownBy(() => json.encode([bad]));
    expect(error).to.include({ code: 'MALFORMED', message: 'will not' });
  });

  it('writes the same object twice where it stands in two places', () => {
    const shared = { a: 1 };
    const bytes = json.encode({ one: shared, two: [shared, shared] });
    expect(json.decode(bytes)).to.deep.equal({ one: { a: 1 }, two: [{ a: 1 }, { a: 1 }] });
  });

  it('takes undefined as absent, and dates by their own form', () => {
    expect(json.decode(json.encode({ a: undefined, d: new Date(0) }))).to.deep.equal({ d: '1970-01-01T00:00:00.000Z' });
    expect(json.decode(json.encode(undefined))).to.equal(null);
  });

  it('reads back every JSON value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.stringify(json.decode(json.encode(value)))).to.equal(JSON.stringify(value));
      }),
    );
  });

  it('reads bytes in the middle of a larger buffer', () => {
    const larger = new Uint8Array(Buffer.from('xx{"a":1}xx'));
    expect(json.decode(larger.subarray(2, 9))).to.deep.equal({ a: 1 });
  });
});
