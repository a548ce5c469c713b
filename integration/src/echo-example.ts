import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TiedProcess } from './tied-process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export const echoServer = join(root, 'docs/examples/echo-server.ts');
export const echoClient = join(root, 'docs/examples/echo-client.ts');

export interface RunningProgram {
  /** The lines of its standard output so far. */
  readonly lines: readonly string[];
  readonly process: TiedProcess;
}

/** Runs TypeScript files in one process of Node, the last as its main program. */
export async function runProgram(
  files: readonly string[],
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<RunningProgram> {
  const lines: string[] = [];
  const imports = files.slice(0, -1).flatMap((file) => ['--import', file]);
  const node = ['--conditions=@posthorn/source', '--import=tsx', ...imports, ...files.slice(-1), ...args];
  const child = await TiedProcess.start(process.execPath, node, {
    cwd: root,
    env: { ...process.env, ...env },
    onLine: (line) => void lines.push(line),
  });
  return { lines, process: child };
}
