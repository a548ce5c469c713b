import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const docs = fileURLToPath(new URL('../', import.meta.url));
const read = (name: string): string => readFileSync(`${docs}${name}`, 'utf8');
const sources = ['examples', 'test']
  .flatMap((folder) => readdirSync(`${docs}${folder}`).map((name) => `${folder}/${name}`))
  .map(read);

/** Code may stand further to the left on a page than in its source. */
const indented = (block: string, by: number): string => block.replace(/^(?=.)/gm, ' '.repeat(by));

const pages = ['.', 'drivers']
  .flatMap((folder) => readdirSync(`${docs}${folder}`).map((name) => posix.join(folder, name)))
  .filter((name) => name.endsWith('.md'));

for (const page of pages) {
  const blocks = [...read(page).matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);

  describe(`the page ${page}`, () => {
    for (const [index, block] of blocks.entries())
      it(`shows code that runs: block ${index + 1}, ${block.split('\n')[0]}`, () => {
        const isCut = sources.some((source) => [0, 2, 4].some((by) => source.includes(indented(block, by))));
        expect(isCut, `this is in no example and no test:\n${block}`).to.equal(true);
      });

    it('points to files that are there', () => {
      const links = [...read(page).matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)].map(([, link = '']) => link);
      const folder = posix.dirname(page);
      for (const link of links) expect(() => read(posix.join(folder, link)), link).to.not.throw();
    });
  });
}
