import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { runProgram } from '../../integration/src/echo-example.ts';
import { places } from '../../integration/src/places.ts';
import { waitFor } from '../../integration/src/wait-for.ts';

const example = (name: string): string => fileURLToPath(new URL(`../examples/${name}.ts`, import.meta.url));

/** Each program of the founding document, and what it says that it prints. */
const PROGRAMS: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['tavrida-hello', [], ['hello']],
  ['tavrida-publish', [], ['hello', 'hello publication']],
  ['tavrida-answers', ['12345'], ['12345', '12345', 'world response']],
];

for (const { name, open } of places())
  describe(`the founding document of services over ${name}`, function () {
    this.timeout(60_000);

    for (const [program, args, says] of PROGRAMS)
      it(`T-06, T-13, T-16, T-19: ${program} prints what the document says`, async function () {
        await using place = await open(this);
        const { lines, process } = await runProgram([example(program)], [place.url, ...args]);
        try {
          if (name === 'memory') expect(await process.wait()).to.equal('code 0');
          await waitFor('all lines', () => lines.length >= says.length || process.ended, 20_000);
          expect(lines).to.deep.equal(says);
        } finally {
          await process.stop();
        }
      });

    it('T-20, T-22: tavrida-answers prints the payload of an error', async function () {
      await using place = await open(this);
      const { lines, process } = await runProgram([example('tavrida-answers')], [place.url, 'many']);
      try {
        await waitFor('all of it', () => lines.includes('}') || process.ended, 20_000);
        expect(lines.join(' ').replaceAll(/\s+/g, ' ')).to.match(
          /^many \{ class: 'WrongParameters', message: 'WorldController\.world: param: .*', code: 1033 \}$/,
        );
      } finally {
        await process.stop();
      }
    });
  });
