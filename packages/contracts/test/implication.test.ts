import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'chai';
import fc from 'fast-check';
import { problemsOf } from '../src/implication.ts';
import { anyValue, document, edited } from './schemas.ts';

const RUNS = 400;

const ajv = new Ajv2020({ strict: false, logger: false, validateSchema: false });

describe('a proof that one schema implies another', () => {
  it('holds: a value of the one is always one of the other', function () {
    this.timeout(60_000);
    const count = { proven: 0, changed: 0, values: 0 };
    fc.assert(
      fc.property(fc.gen(), (draw) => {
        const narrow = document(draw);
        let wide = document(draw);
        if (draw(fc.integer, { min: 1, max: 10 }) > 1) {
          wide = edited(draw, narrow);
          if (draw(fc.boolean)) wide = edited(draw, wide);
        }
        if (problemsOf(narrow, wide, '', 'narrow').length > 0) return;
        count.proven += 1;
        if (JSON.stringify(narrow) !== JSON.stringify(wide)) count.changed += 1;
        const isNarrow = ajv.compile(narrow);
        const isWide = ajv.compile(wide);
        for (let turn = 0; turn < 15; turn++) {
          const value = anyValue(draw, narrow, narrow);
          if (!isNarrow(value)) continue;
          count.values += 1;
          expect(isWide(value), JSON.stringify({ narrow, wide, value })).to.equal(true);
        }
      }),
      // Shrinking takes minutes; the counterexample is small as it is.
      { numRuns: RUNS, endOnFailure: true },
    );
    // A proof that is never found proves nothing.
    expect(count.changed, JSON.stringify(count)).to.be.above(RUNS / 10);
    expect(count.values).to.be.above(RUNS);
  });
});

describe('what is proven of two schemas', () => {
  const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more });
  const text = { type: 'string' };
  const strict = { additionalProperties: false };
  const tagged = (kind: string) => object({ kind: { const: kind } }, { required: ['kind'] });
  const tree = (value: object, more: object = {}) => ({
    $ref: '#/$defs/Tree',
    $defs: { Tree: object({ value, next: { $ref: '#/$defs/Tree' } }, more) },
  });

  for (const [what, narrow, wide] of [
    ['an integer is a number', { type: 'integer' }, { type: 'number' }],
    ['an integer above 0 is at least 1', { type: 'integer', exclusiveMinimum: 0 }, { minimum: 1 }],
    ['a number above 1 is at least 1', { type: 'number', exclusiveMinimum: 1 }, { minimum: 1 }],
    ['listed values follow a pattern that each of them does', { enum: ['a', 'ab'] }, { type: 'string', pattern: '^a' }],
    ['a multiple of 4 is one of 2', { type: 'integer', multipleOf: 4 }, { multipleOf: 2 }],
    ['a keyword that both have alike, whatever it means', { type: 'string', format: 'x' }, { format: 'x' }],
    ['what is unknown, where all is alike', { unevaluatedProperties: false }, { unevaluatedProperties: false }],
    ['a list of two is a list of such', { type: 'array', prefixItems: [text, text], items: false }, { items: text }],
    ['a member that nobody minds', object({ a: text, b: text }), object({ a: text })],
    ['an object without others has none that is no text', object({ a: text }, strict), { additionalProperties: text }],
    ['one of a union that grew', { oneOf: [tagged('a')] }, { oneOf: [tagged('a'), tagged('b')] }],
    [
      'what follows two schemas follows each of them',
      { allOf: [{ minLength: 2 }, text] },
      { type: 'string', minLength: 1 },
    ],
    ['trees of trees', tree({ type: 'integer' }), tree({ type: 'number' })],
  ] as const)
    it(`is that ${what}`, () => {
      expect(problemsOf(narrow, wide, 'x', 'narrow')).to.deep.equal([]);
    });

  for (const [what, narrow, wide, path, reason] of [
    ['a number is an integer', { type: 'number' }, { type: 'integer' }, 'x', 'was number, must be integer now'],
    [
      'another pattern matches the same',
      { type: 'string', pattern: 'a' },
      { pattern: '[a]' },
      'x',
      'pattern was "a", is "[a]"',
    ],
    ['a keyword that it does not know', text, { not: { const: 'a' } }, 'x', 'not was not there, is {"const":"a"}'],
    [
      'what depends on all else',
      object({}),
      { unevaluatedProperties: false },
      'x',
      'unevaluatedProperties was not there, is false',
    ],
    [
      'members of an alternative are no others',
      { type: 'object', anyOf: [object({ a: text })] },
      object({}, strict),
      'x.*',
      'is not accepted any more',
    ],
    [
      'a reference to another document',
      text,
      { $ref: 'https://example.org/x' },
      'x',
      'refers to https://example.org/x, which is not here',
    ],
    ['what is defined by nothing but itself', text, { $ref: '#' }, 'x', 'is defined by itself'],
    [
      'one of two that overlap',
      text,
      { oneOf: [text, { minLength: 1 }] },
      'x',
      'is none of 2 alternatives for certain',
    ],
    ['trees of other trees', tree(text), tree(text, { required: ['value'] }), 'x.value', 'must be given now'],
  ] as const)
    it(`is not that ${what}`, () => {
      expect(problemsOf(narrow, wide, 'x', 'narrow')).to.deep.equal([{ path, reason }]);
    });

  it('takes what would need the age of the universe for not proven', () => {
    const levels = (pattern: string) => ({
      $ref: '#/$defs/0',
      $defs: Object.fromEntries([
        ...Array.from({ length: 40 }, (_, level) => {
          const inner = { m: { $ref: `#/$defs/${level + 1}` } };
          return [level, { anyOf: [1, 2, 3].map((minProperties) => object(inner, { minProperties })) }];
        }),
        ['40', { type: 'string', pattern }],
      ]),
    });
    expect(problemsOf(levels('a'), levels('b'), 'x', 'narrow')).to.not.be.empty;
  });
});
