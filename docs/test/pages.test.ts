import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import sinon from 'sinon';
import { run } from '../../packages/posthorn/src/cli/command.ts';
import { blocksOf, pages, read, regionOf, rewritten } from './page.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Whatever may run an example: the tests, what they share with others, and other examples. */
const runners = ['docs/test', 'docs/examples']
  .flatMap((folder) => readdirSync(posix.join(root, folder)).map((name) => `${folder}/${name}`))
  .concat('integration/src/echo-example.ts');
const { scripts } = JSON.parse(read('package.json'));

if (process.env['POSTHORN_WRITE_DOCS'])
  for (const page of pages) writeFileSync(posix.join(root, page), rewritten(read(page)));

describe('the examples', () => {
  for (const name of readdirSync(posix.join(root, 'docs/examples')).filter((name) => name.endsWith('.ts')))
    it(`are run by a test: ${name}`, () => {
      const stem = name.replace('.ts', '');
      const named = new RegExp(`['/]${stem}(\\.ts)?'|^ +${stem}: \\[`, 'm');
      const others = runners.filter((runner) => !runner.endsWith(`/${name}`));
      expect(others.some((runner) => named.test(read(runner)))).to.equal(true);
    });
});

describe('the pages of the drivers', () => {
  for (const [page, driver] of [
    ['rabbitmq', 'rabbit'],
    ['amqp1', 'amqp1'],
  ])
    it(`name every option: ${page}`, () => {
      const [, options = ''] =
        /export interface \w+Options \{([\s\S]*?)^\}/m.exec(read(`packages/${driver}/src/options.ts`)) ?? [];
      const names = [...options.matchAll(/^ {2}readonly (\w+)\?/gm)].map(([, name = '']) => name);
      expect(names).to.include('declare');
      const text = read(`docs/drivers/${page}.md`);
      expect(names.filter((name) => !text.includes(`\`${name}\``))).to.deep.equal([]);
    });
});

for (const page of pages) {
  const blocks = blocksOf(read(page));

  describe(`the page ${page}`, () => {
    for (const { language, file, region, text } of blocks.filter((block) => block.file ?? block.language === 'ts'))
      it(`shows code that runs: ${file}#${region}`, () => {
        if (file === undefined || region === undefined)
          throw new Error(`name the code after the language, \`\`\`${language} examples/file.ts#region:\n${text}`);
        expect(text).to.not.include('place.ts');
        expect(text, 'POSTHORN_WRITE_DOCS=1 brings the page up to date').to.equal(regionOf(file, region));
      });

    for (const command of blocks.filter(({ language }) => language === 'sh').flatMap(({ text }) => commandsIn(text)))
      it(`shows a command that is there: ${command.join(' ')}`, () => checkCommand(command));

    const others = blocks.filter(({ language, file }) => language !== 'ts' && language !== 'sh' && file === undefined);
    const kinds = [...new Set(others.map(({ language }) => language))].sort();
    it(`shows ${others.length || 'nothing'} else that is no code of ours${kinds.map((kind) => `, ${kind}`).join('')}`, () => {
      const fences = read(page).match(/^ *(```|~~~)/gm) ?? [];
      expect(fences, 'a block that this test does not understand').to.have.lengthOf(2 * blocks.length);
      for (const kind of kinds) expect(kind).to.be.oneOf(['ini', 'json', 'python', 'text', 'yaml']);
    });

    it('points to files that are there', () => {
      const links = [...read(page).matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)].map(([, link = '']) => link);
      for (const link of links) {
        const path = posix.join(posix.dirname(page), link);
        expect(existsSync(posix.join(root, path)), link).to.equal(true);
      }
    });
  });
}

/** The words of each command line, without the quotes; what a function of the shell does counts once, where it is defined. */
function commandsIn(text: string): readonly (readonly string[])[] {
  const functions = [...text.matchAll(/^(\w+)\(\) \{/gm)].map(([, name = '']) => name);
  return text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.replace(/(^|\s)#.*$/, '').replace(/^\w+\(\) \{|^(\w+=\S+ )+/, ''))
    .flatMap((line) => line.split(/ (?:\||&&) /))
    .map((line) => [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? ''))
    .filter(([program]) => program !== undefined && !functions.includes(program));
}

const ours = ['npm run -s posthorn --', 'npx posthorn', 'posthorn'];

async function checkCommand(words: readonly string[]): Promise<void> {
  const line = words.join(' ');
  const prefix = ours.find((one) => `${line} `.startsWith(`${one} `));
  if (prefix !== undefined) return await checkPosthorn(words.slice(prefix.split(' ').length));
  const [program, first = '', second = '', third = ''] = words;
  if (program === 'npm' && !['init', 'install', 'pkg'].includes(first)) {
    const script = first !== 'run' ? first : second === '-s' ? third : second;
    expect(scripts).to.have.property(script);
  }
  expect(program).to.be.oneOf(['npm', 'npx', 'node', 'git', 'rabbitmqctl']);
}

/** The command's own parser refuses options that it does not know, and its help names those of each command. */
async function checkPosthorn(words: readonly string[]): Promise<void> {
  const write = sinon.stub(process.stdout, 'write');
  try {
    await run([...words, '--help']);
  } finally {
    write.restore();
  }
  const help = write.args.join('');
  expect(help).to.match(new RegExp(`posthorn ${words[0]}\\b`));
  for (const option of words.filter((word) => word.startsWith('--'))) expect(help).to.include(option);
}
