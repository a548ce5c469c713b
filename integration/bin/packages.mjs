// Installs, builds and packs what is published into a folder: `npm run packages -- /tmp/posthorn`.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { alone, build, install, quietly, root, say } from './bootstrap.mjs';

const folder = resolve(process.argv[2] ?? 'packed');
const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
let packed = false;
await alone(() => {
  install();
  mkdirSync(folder, { recursive: true });
  const pack = ['-y', packageManager, '-r', '--filter', './packages/*', 'pack', '--pack-destination', folder];
  // tsc trusts its build info, so outputs that were deleted need force.
  const force = !existsSync(join(root, 'packages/posthorn/dist/index.js'));
  packed = build(undefined, { force }) && quietly('npx', pack);
});
say(packed ? `packed into ${folder}` : 'nothing was packed');
process.exitCode = packed ? 0 : 1;
