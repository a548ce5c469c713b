import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { printCounts } from '../counts.mjs';
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
const counts = await Promise.all(lanes(process.argv.slice(2)).map(count));
rmSync(scratch, { recursive: true });
const sum = { passed: 0, failed: broken, skipped: [] };
for (const { passed, failed, skipped } of counts) {
  sum.passed += passed;
  sum.failed.push(...failed);
  sum.skipped.push(...skipped);
}
if (sum.passed + sum.failed.length === 0) check('no test ran', () => false);
printCounts(sum);
process.exitCode = Math.sign(sum.failed.length);

function check(name, passes) {
  if (passes()) return;
  say(`failed: ${name}\n`);
  broken.push({ what: name });
}

/**
 * What each mocha runs: two at a time, since the tests wait for brokers more than they compute. Arguments that name test files
 * replace ours; options alone are added to them.
 */
function lanes(args) {
  const files = args.some((arg) => !arg.startsWith('-') && (arg.includes('*') || existsSync(join(root, arg))));
  if (files) return [args];
  const all = ['packages/*', 'integration', 'docs', 'bench'].map((folder) => `${folder}/test/**/*.test.ts`);
  const second = ['integration/test/{rabbit,amqp1,messaging,notify,services,swap,telemetry,transports}*.test.ts'];
  return [
    [...all, ...second.flatMap((file) => ['--ignore', file]), ...args],
    [...second, ...args],
  ];
}

/** Mocha's counts. What it printed is shown when it ends, but for the first, which is shown as it goes. */
async function count(args, lane) {
  const counted = join(scratch, `${lane}`);
  const { code, output } = await mocha(args, { POSTHORN_COUNTED: counted }, lane === 0 ? 'inherit' : 'pipe');
  process.stdout.write(output);
  // Without the reporter's count mocha died early, for example on an import that fails.
  const { passed, failed, skipped } = existsSync(counted)
    ? JSON.parse(readFileSync(counted, 'utf8'))
    : { passed: 0, failed: [], skipped: [] };
  if (code !== 0 && failed.length === 0) check(`mocha ended with ${code} before or after its tests`, () => false);
  return { passed, failed, skipped };
}

/** Mocha's command would start Node once more to add the options, and pass no SIGTERM on. */
async function mocha(args, env, stdout) {
  const options = JSON.parse(readFileSync(join(root, '.mocharc.json'), 'utf8'))['node-option'];
  const cli = realpathSync(join(root, 'node_modules/mocha/lib/cli/cli.js'));
  const child = spawn(process.execPath, [...options.map((option) => `--${option}`), cli, ...args], {
    cwd: root,
    stdio: ['inherit', stdout, stdout],
    env: { ...process.env, ...env },
  });
  const chunks = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => chunks.push(chunk));
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  const code = await new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)));
  return { code, output: Buffer.concat(chunks) };
}
