import { run } from './bootstrap.mjs';

await run('packages/posthorn', 'dist/cli.js');
