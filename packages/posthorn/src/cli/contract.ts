import { readFile, writeFile } from 'node:fs/promises';
import {
  asyncApi,
  type ContractCheck,
  checkContracts,
  contractHtml,
  formatSnapshots,
  parseSnapshots,
  snapshotOf,
} from '@posthorn/contracts';
import { stringify } from 'yaml';
import { contractsOf } from './contract-module.ts';
import type { Command } from './help.ts';
import type { CommandLine, Options } from './options.ts';
import { painted, printed } from './print.ts';
import { UsageError } from './usage.ts';

export const contract: Command = {
  name: 'contract',
  synopsis: 'snapshot|check|asyncapi|html <module> [snapshot]',
  words: [2, 3],
  summary: 'writes down contracts, and checks that a change is compatible',
  about: `Reads the contracts that a module exports (defineContract), or with <module>#<name> that one. The schemas must be of a library that tells them as JSON Schema, as zod does from 4.2 on.

  snapshot   writes them as JSON: the same file for the same contracts
  check      compares them with such a file: a minor version may only add, in a way that older peers do not notice; everything else, and what is not certain, needs a major one. Fails where the version number does not say so
  asyncapi   writes an AsyncAPI 3.0 document of one contract, as YAML, or as JSON with --json
  html       writes a page about them for people

A snapshot belongs into the repository, and the check into CI. Modules in TypeScript need a Node that takes them, or NODE_OPTIONS=--import=tsx.`,
  options: [['out', 'write to this file; default: standard output']],
  examples: [
    'posthorn contract snapshot ./contracts.js --out contracts.json',
    'posthorn contract check ./contracts.js contracts.json',
    'posthorn contract html ./contracts.js --out contracts.html',
  ],
  exits: { 1: 'check: a version does not say what changed; or failed, and standard error says why' },
  run: runContract,
};

async function runContract({ words, options }: CommandLine): Promise<void> {
  const [verb, module = '', file] = words;
  if (verb === 'check') {
    if (file === undefined) throw new UsageError('contract check: which snapshot?');
    if (options.out !== undefined) throw new UsageError('contract check knows no --out');
    return await check(module, file, options);
  }
  if (file !== undefined) throw new UsageError(`contract ${verb}: too many arguments: ${file}`);
  switch (verb) {
    case 'snapshot':
      return await write(formatSnapshots((await contractsOf(module)).map((one) => snapshotOf(one))), options);
    case 'asyncapi':
      return await write(await asyncApiText(module, options), options);
    case 'html':
      return await write(contractHtml((await contractsOf(module)).map((one) => snapshotOf(one))), options);
    default:
      throw new UsageError(`contract: "${verb}" is none of snapshot, check, asyncapi, html`);
  }
}

async function asyncApiText(module: string, { json }: Options): Promise<string> {
  const [only, ...others] = await contractsOf(module);
  if (others.length > 0) {
    const names = [only, ...others].map(({ name }) => name).join(', ');
    throw new UsageError(`${module} has several contracts (${names}), and a document is about one: add #<export>`);
  }
  const document = asyncApi(only);
  return json === true
    ? `${JSON.stringify(document, undefined, 2)}\n`
    : stringify(document, { aliasDuplicateObjects: false });
}

async function check(module: string, file: string, { json }: Options): Promise<void> {
  const after = (await contractsOf(module)).map((one) => snapshotOf(one));
  const checks = checkContracts(parseSnapshots(await readFile(file, 'utf8')), after);
  for (const one of checks) await printed(json === true ? JSON.stringify(one) : textOf(one));
  if (checks.some(({ ok }) => !ok)) process.exitCode = 1;
}

function textOf({ name, before, after, changes, ok, wanted }: ContractCheck): string {
  const versions = before === after ? before : [before ?? '(new)', after ?? '(gone)'].join(' → ');
  const verdict = ok
    ? painted('green', 'ok')
    : painted('red', wanted === undefined ? 'gone' : `needs version ${wanted}`);
  const lines = changes.map(({ path, reason, needs }) => {
    const label = painted(needs === 'major' ? 'red' : 'yellow', needs);
    return `  ${label}  ${path}: ${reason}`;
  });
  return [`${name} ${versions}: ${verdict}`, ...lines].join('\n');
}

async function write(text: string, { out }: Options): Promise<void> {
  if (out === undefined) return await printed(text.trimEnd());
  await writeFile(out, text);
}
