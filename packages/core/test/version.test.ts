import { expect } from 'chai';
import fc from 'fast-check';
import { checkVersion, compatible } from '../src/version.ts';

const table: readonly (readonly [string, string, boolean])[] = [
  ['1.0', '1.0', true],
  ['1.5', '1.0', true],
  ['1.0', '1.1', false],
  ['2.0', '1.0', false],
  ['1.9', '2.0', false],
  ['1.10', '1.9', true],
  ['1.9', '1.10', false],
  ['1.1.2', '1.1.1', true],
  ['1.1.1', '1.1.2', false],
  ['1.2', '1.1.9', true],
  ['1.1', '1.1.0', true],
  ['1', '1.0', false],
  ['1.0', 'x', false],
];

describe('a version', () => {
  for (const [have, want, served] of table)
    it(`${have} ${served ? 'serves' : 'does not serve'} ${want}`, () => {
      expect(compatible(have, want)).to.equal(served);
    });

  it('serves every older minor of its major, and nothing else', () => {
    const part = fc.nat(20);
    fc.assert(
      fc.property(part, part, part, part, (major, minor, otherMajor, otherMinor) => {
        const served = major === otherMajor && otherMinor <= minor;
        expect(compatible(`${major}.${minor}`, `${otherMajor}.${otherMinor}`)).to.equal(served);
      }),
    );
  });

  for (const bad of ['', '1', '1.', '.1', '1.0.0.0', 'a.b', '1.0 ', '-1.0'])
    it(`"${bad}" is refused`, () => {
      expect(() => checkVersion('target.version', bad))
        .to.throw(/like "1.0"/)
        .with.property('path', 'target.version');
    });
});
