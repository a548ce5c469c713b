import { run } from './bootstrap.mjs';

await run('bench', 'dist/main.js');
