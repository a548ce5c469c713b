import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { alone, build, install, quietly, root, say } from './bootstrap.mjs';

const broken = [];

await alone(() => {
  install();
  check('type check', () => build());
  check('lint', () =>
    quietly(process.execPath, [
      join(root, 'node_modules/@biomejs/biome/bin/biome'),
      'check',
      '.',
      '--max-diagnostics=50',
    ]),
  );
});

const scratch = mkdtempSync(join(tmpdir(), 'posthorn-test-'));
const counted = join(scratch, 'counted');
const code = await mocha(specs(process.argv.slice(2)), {
  POSTHORN_BROKEN_CHECKS: broken.join(','),
  POSTHORN_COUNTED: counted,
});
// Without the reporter's count mocha died early, for example on an import that fails.
if (!existsSync(counted)) {
  for (const name of ['mocha ended before the tests were counted', ...broken]) console.log(`failed: ${name}`);
  console.log(`0 passed, ${broken.length + 1} failed, 0 skipped`);
}
process.exitCode = existsSync(counted) ? code || Math.sign(broken.length) : code || 1;
rmSync(scratch, { recursive: true });

function check(name, passes) {
  if (passes()) return;
  say(`failed: ${name}\n`);
  broken.push(name);
}

/** Arguments that name test files replace ours; options alone are added to them. */
function specs(args) {
  const files = args.some((arg) => !arg.startsWith('-') && (arg.includes('*') || existsSync(join(root, arg))));
  if (files) return args;
  const folders = ['integration/test', 'docs/test', 'bench/test'].filter((folder) => existsSync(join(root, folder)));
  return ['packages/*/test', ...folders].map((folder) => `${folder}/**/*.test.ts`).concat(args);
}

/** Mocha's command would start Node once more to add the options, and pass no SIGTERM on. */
function mocha(args, env) {
  const options = JSON.parse(readFileSync(join(root, '.mocharc.json'), 'utf8'))['node-option'];
  const cli = realpathSync(join(root, 'node_modules/mocha/lib/cli/cli.js'));
  const child = spawn(process.execPath, [...options.map((option) => `--${option}`), cli, ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)));
}
