import { run } from './bootstrap.mjs';

await run('integration', 'dist/scenarios/boot-an-instance.js');
