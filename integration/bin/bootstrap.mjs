// Installs and builds the workspace with nothing but Node and npm, and only when something changed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));
const stamp = join(root, 'node_modules/.posthorn-installed');
const lock = join(root, '.tsbuild/lock');

export function say(text) {
  process.stderr.write(`${text}\n`);
}

/** Runs a command in the root; its output is shown only when it fails. */
export function quietly(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28, ...options });
  if (result.status === 0) return true;
  const output = [result.stdout, result.stderr, result.error?.message].filter(Boolean).join('\n');
  say(output.trimEnd());
  return false;
}

export function install() {
  const wanted = fingerprint();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  say('installing…');
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const args = ['-y', packageManager, 'install', '--frozen-lockfile'];
  // CI: pnpm must replace node_modules without asking.
  const options = { env: { ...process.env, CI: 'true' }, shell: process.platform === 'win32' };
  if (!quietly('npx', args, options)) fail('the install failed');
  writeFileSync(stamp, wanted);
}

/** Builds a project with all it refers to; with no project, everything including the tests. */
export function build(project, { force = false } = {}) {
  const args = [join(root, 'node_modules/typescript/bin/tsc'), '-b', ...(force ? ['--force'] : [])];
  return quietly(process.execPath, project ? [...args, project] : args);
}

/** Installs, builds the project, then becomes the program: signals, streams and the exit code are its own. */
export async function run(project, entry) {
  const program = join(root, project, entry);
  await alone(() => {
    install();
    // tsc trusts its build info, so outputs that were deleted need force.
    const force = !existsSync(program);
    if (force) say('building…');
    if (!build(project, { force })) fail('the build failed');
    if (!existsSync(program)) fail(`${project}/${entry} was not built: its source is missing`);
  });
  process.argv[1] = program;
  await import(pathToFileURL(program).href);
}

/** One bootstrap at a time: two programs started together must not write the same files. */
export async function alone(work) {
  mkdirSync(join(root, '.tsbuild'), { recursive: true });
  const mine = `${lock}.${process.pid}`;
  writeFileSync(mine, String(process.pid));
  while (!taken(mine)) await new Promise((resolve) => setTimeout(resolve, 50));
  const release = () => {
    rmSync(lock, { force: true });
    rmSync(mine, { force: true });
  };
  process.once('exit', release);
  work();
  release();
  process.off('exit', release);
}

function taken(mine) {
  try {
    linkSync(mine, lock);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    try {
      process.kill(Number(readFileSync(lock, 'utf8')), 0);
    } catch (gone) {
      if (gone.code === 'ESRCH') rmSync(lock, { force: true });
    }
    return false;
  }
}

function fail(text) {
  say(text);
  process.exit(1);
}

function fingerprint() {
  const packages = readdirSync(join(root, 'packages')).map((name) => `packages/${name}`);
  const files = ['.', 'bench', 'docs', 'integration', ...packages].map((folder) => `${folder}/package.json`);
  const hash = createHash('sha256');
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', ...files.sort()]) {
    const path = join(root, file);
    if (existsSync(path)) hash.update(`${file}\n`).update(readFileSync(path));
  }
  return hash.digest('hex');
}
