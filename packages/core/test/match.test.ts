import { expect } from 'chai';
import fc from 'fast-check';
import { matcher } from '../src/match.ts';

/** The same rule said in another way: a regular expression over words that each end with a dot. */
function reference(pattern: string, key: string): boolean {
  const parts = (pattern === '' ? [] : pattern.split('.')).map((word) => {
    if (word === '#') return '(?:[^.]*\\.)*';
    return word === '*' ? '[^.]*\\.' : `${word}\\.`;
  });
  return new RegExp(`^${parts.join('')}$`).test(key === '' ? '' : `${key}.`);
}

const word = fc.constantFrom('a', 'b', 'c', '');
const key = fc.array(word, { minLength: 1, maxLength: 5 }).map((words) => words.join('.'));
const pattern = fc.array(fc.oneof(word, fc.constant('*'), fc.constant('#')), { minLength: 1, maxLength: 5 });

const table: readonly (readonly [string, string, boolean])[] = [
  ['a.b', 'a.b', true],
  ['a.b', 'a.b.c', false],
  ['*', 'a', true],
  ['*', 'a.b', false],
  ['a.*', 'a', false],
  ['a.*.c', 'a.b.c', true],
  ['#', 'a', true],
  ['#', 'a.b.c', true],
  ['a.#', 'a', true],
  ['a.#', 'ab', false],
  ['#.c', 'a.b.c', true],
  ['#.b.#', 'a.c', false],
  ['a.#.#.b', 'a.b', true],
  ['a+', 'aa', false],
];

describe('a topic pattern', () => {
  for (const [text, name, matches] of table)
    it(`${text} ${matches ? 'matches' : 'does not match'} ${name}`, () => {
      expect(matcher(text)(name)).to.equal(matches);
    });

  it('matches exactly what the rule of AMQP says', () => {
    fc.assert(
      fc.property(pattern, key, (words, name) => {
        expect(matcher(words.join('.'))(name)).to.equal(reference(words.join('.'), name));
      }),
      { numRuns: 1_000 },
    );
  });
});
