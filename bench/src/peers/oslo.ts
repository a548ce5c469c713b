/** Stands for a Python process with oslo.messaging, which does the tasks. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { obey } from '../peer.ts';
import { pythonWithOslo } from '../rivals/python.ts';

// The script is no TypeScript: it stays where it is when the rest is built.
const SCRIPT = fileURLToPath(new URL('../../rivals/oslo_peer.py', import.meta.url));

obey(async ({ role, url, topic }) => {
  const { command } = await pythonWithOslo();
  const child = spawn(command, [SCRIPT, role, url, topic], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ask = asking(child);
  await ask({ task: 'start' });
  return {
    run: ({ inFlight, ms = 0, calls = 0 }) => ask({ task: 'run', inFlight, ms, calls }),
    close: async () => {
      child.stdin?.end();
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
});

interface Answer {
  readonly calls: number;
  readonly elapsedMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** One line there, one line back. */
function asking(child: ChildProcess): (task: object) => Promise<Answer> {
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('the Python process has no pipes');
  const lines = createInterface(stdout);
  const exit = once(child, 'exit').then(([code]) => {
    throw new Error(`the Python process ended with code ${code}`);
  });
  // Nobody may be asking by then.
  exit.catch(() => undefined);
  return async (task) => {
    const line = once(lines, 'line') as Promise<[string]>;
    stdin.write(`${JSON.stringify(task)}\n`);
    const [text] = await Promise.race([line, exit]);
    return JSON.parse(text) as Answer;
  };
}
