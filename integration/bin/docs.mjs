// Builds the site, with the API reference, into docs/.vitepress/dist.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { alone, install, root } from './bootstrap.mjs';

await alone(install);
const options = { cwd: join(root, 'docs'), stdio: 'inherit', shell: process.platform === 'win32' };
process.exitCode = spawnSync('npm', ['run', '--silent', 'build'], options).status ?? 1;
