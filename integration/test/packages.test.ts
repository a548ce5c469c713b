import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { expect } from 'chai';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { packAll, projectWith, root, run, type Tarball } from '../src/packed.ts';
import { needRabbit } from '../src/rabbit-lab.ts';
import { skip } from '../src/skip.ts';

const bin = (path: string): string => join(root, 'node_modules', path);

describe('the packages as they are published', function () {
  this.timeout(120_000);
  let tarballs: readonly Tarball[];
  let project: string;

  before(async () => {
    tarballs = await packAll();
    project = await projectWith(tarballs);
  });

  it('are found correct by publint', async () => {
    for (const { name, path } of tarballs) {
      const tarball = new Uint8Array(readFileSync(path)).buffer;
      const { messages, pkg } = await publint({ pack: { tarball }, strict: true });
      expect(
        messages.map((message) => formatMessage(message, pkg)),
        name,
      ).to.deep.equal([]);
    }
  });

  it('have types that are resolved as they should be, by every way that an ESM package has', async () => {
    for (const { name, path } of tarballs) {
      const args = [bin('@arethetypeswrong/cli/dist/index.js'), path, '--profile', 'esm-only', '--no-color'];
      const { code, output } = await run(process.execPath, args);
      expect(code, `${name}: ${output}`).to.equal(0);
    }
  });

  it('hold the licence, a page of their own, and the sources that their maps point to', async () => {
    for (const { name, path } of tarballs) {
      const { output } = await run('tar', ['tzf', path]);
      const files = output.trim().split('\n');
      expect(files, name).to.include.members(['LICENSE', 'README.md', 'src/index.ts'].map((file) => `package/${file}`));
      expect(
        files.filter((file) => /(^package\/test|\.tsbuildinfo|\.test\.)/.test(file)),
        name,
      ).to.deep.equal([]);
    }
  });

  it('are installed, and can be imported and required', async () => {
    const names = tarballs.map(({ name }) => name).filter((name) => name !== '@posthorn/conformance');
    const imports = names.map((name) => `await import('${name}')`).join(';\n');
    const requires = names.map((name) => `require('${name}')`).join(';\n');
    await writeFile(join(project, 'imports.mjs'), imports);
    await writeFile(join(project, 'requires.cjs'), requires);
    for (const file of ['imports.mjs', 'requires.cjs'])
      expect(await run(process.execPath, ['--no-warnings', file], project)).to.deep.equal({ code: 0, output: '' });
  });

  describe('with the quick start of the README', () => {
    before(async () => {
      const [, code = ''] = /^```ts.*\n([\s\S]*?)^```$/m.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? [];
      expect(code).to.contain("from 'posthorn'");
      expect(code.split('\n').length).to.be.below(40);
      await writeFile(join(project, 'quick-start.ts'), code);
      const typesOfNode = join(createRequire(import.meta.url).resolve('@types/node/package.json'), '../..');
      const options = { module: 'nodenext', target: 'es2022', strict: true, types: ['node'], typeRoots: [typesOfNode] };
      const config = { compilerOptions: options, files: ['quick-start.ts'] };
      await writeFile(join(project, 'tsconfig.json'), JSON.stringify(config));
    });

    it('compile, with the checks that others have on', async () => {
      const { code, output } = await run(process.execPath, [bin('typescript/bin/tsc'), '-p', '.'], project);
      expect(code, output).to.equal(0);
    });

    it('refuse what has the wrong type', async () => {
      const right = readFileSync(join(project, 'quick-start.ts'), 'utf8');
      await writeFile(join(project, 'wrong.ts'), right.replace("{ instance: 'i-1' }", '{ instance: 1 }'));
      const config = JSON.parse(readFileSync(join(project, 'tsconfig.json'), 'utf8')) as object;
      await writeFile(join(project, 'wrong.json'), JSON.stringify({ ...config, files: ['wrong.ts'] }));
      const { code, output } = await run(process.execPath, [bin('typescript/bin/tsc'), '-p', 'wrong.json'], project);
      expect(code).to.not.equal(0);
      expect(output).to.match(/wrong\.ts\(\d+,\d+\): error TS2322: Type 'number' is not assignable to type 'string'/);
    });

    it('run in memory', async () => {
      expect(await run(process.execPath, ['quick-start.js'], project)).to.deep.equal({
        code: 0,
        output: 'i-1 rebooted\n',
      });
    });

    it('run the example of their own page', async () => {
      const page = readFileSync(join(root, 'packages/posthorn/README.md'), 'utf8');
      await writeFile(join(project, 'page.js'), /^```js\n([\s\S]*?)^```$/m.exec(page)?.[1] ?? '');
      expect(await run(process.execPath, ['page.js'], project)).to.deep.equal({ code: 0, output: 'i-1 rebooted\n' });
    });

    it('run over RabbitMQ by another URL', async function () {
      const { url } = await needRabbit(this);
      expect(await run(process.execPath, ['quick-start.js', url], project)).to.deep.equal({
        code: 0,
        output: 'i-1 rebooted\n',
      });
    });

    for (const version of ['22', '24', '26'])
      it(`run on Node ${version}`, async function () {
        const node = ['-y', `node@${version}`];
        const there = await run('npx', [...node, '--version'], project);
        if (there.code !== 0) skip(this, `Node ${version}`, 'the registry has none for this machine');
        expect(there.output).to.contain(`v${version}.`);
        const { code, output } = await run('npx', [...node, 'quick-start.js'], project);
        expect(code, output).to.equal(0);
        expect(output).to.contain('i-1 rebooted\n');
      });
  });
});

describe('the workspace', function () {
  this.timeout(60_000);

  it('has no file, dependency or export that nobody uses', async () => {
    const { code, output } = await run(process.execPath, [bin('knip/bin/knip.js'), '--no-progress']);
    expect(code, output).to.equal(0);
  });
});
