// Installs, builds from nothing and packs what is published into a folder: `npm run packages -- /tmp/posthorn`.
import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { alone, build, install, quietly, root, say } from './bootstrap.mjs';

const folder = resolve(process.argv[2] ?? 'packed');
const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
let packed = false;
await alone(() => {
  install();
  mkdirSync(folder, { recursive: true });
  const pack = ['-y', packageManager, '-r', '--filter', './packages/*', 'pack', '--pack-destination', folder];
  packed =
    build('packages/posthorn', { force: true }) &&
    build('packages/conformance') &&
    build('packages/testing') &&
    quietly('npx', pack);
});
say(packed ? `packed into ${folder}` : 'nothing was packed');
process.exitCode = packed ? 0 : 1;
