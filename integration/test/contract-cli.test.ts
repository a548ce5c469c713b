import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { type RunningProgram, runProgram } from '../src/echo-example.ts';
import { makeTempFolder } from '../src/temp-folder.ts';

const command = fileURLToPath(new URL('../../packages/posthorn/src/cli.ts', import.meta.url));
const contracts = pathToFileURL(fileURLToPath(new URL('../../packages/contracts/src/index.ts', import.meta.url))).href;

describe('posthorn contract', function () {
  this.timeout(60_000);
  let folder: string;
  let modules = 0;
  const run = async (args: readonly string[], end = 'code 0'): Promise<RunningProgram> => {
    const program = await runProgram([command], ['contract', ...args]);
    expect(await program.process.wait(), program.process.tail.join('\n')).to.equal(end);
    return program;
  };
  /** A module of its own that exports a contract named greeter, and what else is said. */
  const written = (version: string, params: object, more = ''): string => {
    modules += 1;
    const path = join(folder, `contracts-${modules}.ts`);
    const schema = `{ '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }), jsonSchema: { input: () => (${JSON.stringify(params)}) } } }`;
    writeFileSync(
      path,
      `import { defineContract } from '${contracts}';
       export const Greeter = defineContract({
         topic: 'greeter', version: '${version}',
         methods: { greet: { params: ${schema}, result: ${schema} } },
       });
       ${more}`,
    );
    return path;
  };
  const params = (properties: object, required: readonly string[] = ['name']) => ({
    type: 'object',
    properties,
    required,
  });
  const PARAMS = params({ name: { type: 'string' } });
  const other = "export const Other = defineContract({ topic: 'other', version: '1.0' });";

  before(() => {
    folder = makeTempFolder('contracts');
  });

  after(() => rmSync(folder, { recursive: true }));

  it('writes the same snapshot each time, to a file or to standard output', async () => {
    const module = written('1.0', PARAMS, other);
    const file = join(folder, 'snapshot.json');
    await run(['snapshot', module, '--out', file]);
    const { lines } = await run(['snapshot', module]);
    expect(`${lines.join('\n')}\n`).to.equal(readFileSync(file, 'utf8'));
    expect(JSON.parse(lines.join('\n')).contracts.map(({ name }: { name: string }) => name)).to.deep.equal([
      'greeter',
      'other',
    ]);
  });

  it('passes what did not change, and an addition with a higher minor version', async () => {
    const file = join(folder, 'passes.json');
    const module = written('1.0', PARAMS);
    await run(['snapshot', module, '--out', file]);
    expect((await run(['check', module, file])).lines).to.deep.equal(['greeter 1.0: ok']);
    const more = written('1.1', params({ name: { type: 'string' }, polite: { type: 'boolean', default: true } }));
    expect((await run(['check', more, file])).lines).to.include.members([
      'greeter 1.0 → 1.1: ok',
      '  minor  greet.params.polite: is new, with a default',
    ]);
  });

  it('fails an incompatible change, and says why, to people and to programs', async () => {
    const file = join(folder, 'fails.json');
    await run(['snapshot', written('1.0', PARAMS), '--out', file]);
    const module = written('1.1', params({ name: { type: 'number' } }));
    const { lines } = await run(['check', module, file], 'code 1');
    expect(lines).to.include.members([
      'greeter 1.0 → 1.1: needs version 2.0',
      '  major  greet.params.name: was string, must be number now',
    ]);
    const [line = ''] = (await run(['check', module, file, '--json'], 'code 1')).lines;
    expect(JSON.parse(line)).to.deep.include({
      name: 'greeter',
      before: '1.0',
      after: '1.1',
      ok: false,
      wanted: '2.0',
    });
    expect(JSON.parse(line).changes).to.deep.include({
      path: 'greet.params.name',
      reason: 'was string, must be number now',
      needs: 'major',
    });
    await run(['check', written('2.0', params({ name: { type: 'number' } })), file]);
  });

  it('fails a contract that is gone', async () => {
    const file = join(folder, 'gone.json');
    await run(['snapshot', written('1.0', PARAMS, other), '--out', file]);
    const { lines } = await run(['check', written('1.0', PARAMS), file], 'code 1');
    expect(lines).to.include.members(['greeter 1.0: ok', 'other 1.0 → (gone): gone']);
  });

  it('writes an AsyncAPI document as YAML or JSON, of one contract', async () => {
    const module = written('1.0', PARAMS, other);
    const { lines } = await run(['asyncapi', `${module}#Greeter`]);
    expect(lines).to.include.members(['asyncapi: 3.0.0', '  title: greeter', '    action: receive']);
    const json = JSON.parse((await run(['asyncapi', `${module}#Greeter`, '--json'])).lines.join('\n'));
    expect(json).to.include({ asyncapi: '3.0.0' }).and.to.have.nested.property('info.title', 'greeter');
    const { process } = await run(['asyncapi', module], 'code 2');
    expect(process.tail.join('\n')).to.contain('has several contracts (greeter, other)');
  });

  it('writes a page about them', async () => {
    const file = join(folder, 'contracts.html');
    await run(['html', written('1.0', PARAMS, other), '--out', file]);
    expect(readFileSync(file, 'utf8'))
      .to.match(/^<!doctype html>/)
      .and.to.contain('greet')
      .and.to.contain('other');
  });

  it('refuses what makes no sense, and says what', async () => {
    const module = written('1.0', PARAMS, "export const Twin = defineContract({ topic: 'greeter', version: '2.0' });");
    for (const [args, end, text] of [
      [['check', module], 'code 2', 'which snapshot?'],
      [['draw', module], 'code 2', '"draw" is none of snapshot, check, asyncapi, html'],
      [['snapshot', module], 'code 2', 'two contracts named greeter'],
      [['snapshot', `${module}#Nothing`], 'code 2', 'exports no contract named Nothing'],
      [['snapshot', join(folder, 'none.ts')], 'code 1', 'cannot load'],
      [['check', `${module}#Twin`, module], 'code 1', 'snapshot: not JSON'],
    ] as const) {
      const { process } = await run(args, end);
      expect(process.tail.join('\n'), args.join(' ')).to.contain(text);
    }
  });
});
