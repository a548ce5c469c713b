import { run } from './bootstrap.mjs';

const story = process.argv.includes('--processes') ? 'boot-in-processes' : 'boot-an-instance';
await run('integration', `dist/scenarios/${story}.js`);
