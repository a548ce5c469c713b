import { execFile, spawn } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makeTempFolder } from './temp-folder.ts';

export const root: string = fileURLToPath(new URL('../../', import.meta.url));

/** A package as it would be published. */
export interface Tarball {
  readonly name: string;
  readonly path: string;
}

export interface Ran {
  readonly code: number;
  /** What it wrote, errors included. */
  readonly output: string;
}

const CHARGE = { maxBuffer: 64 * 1024 * 1024 };

/** Packs every package of ours, as `npm run packages` does. */
export async function packAll(): Promise<readonly Tarball[]> {
  const folder = makeTempFolder('packed');
  const { code, output } = await run(process.execPath, [join(root, 'integration/bin/packages.mjs'), folder]);
  if (code !== 0) throw new Error(output);
  const files = await readdir(folder);
  return await Promise.all(
    files.map(async (file) => {
      const path = join(folder, file);
      const { stdout } = await promisify(execFile)('tar', ['xzOf', path, 'package/package.json'], CHARGE);
      return { name: (JSON.parse(stdout) as PackageJson).name, path };
    }),
  );
}

interface PackageJson {
  readonly name: string;
}

/** An empty project with the packages installed, as a user has it. */
export async function projectWith(tarballs: readonly Tarball[]): Promise<string> {
  const folder = makeTempFolder('project');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{ "name": "project", "private": true, "type": "module" }\n');
  const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', ...tarballs.map(({ path }) => path)];
  await promisify(execFile)('npm', args, { ...CHARGE, cwd: folder });
  return folder;
}

/** Runs a command to its end. */
export function run(command: string, args: readonly string[], cwd: string = root): Promise<Ran> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}
