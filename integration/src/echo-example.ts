import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newId } from '@posthorn/core';
import { TiedProcess } from './tied-process.ts';
import { waitFor } from './wait-for.ts';

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

/**
 * Runs server and client, at a topic that nobody else uses: in a process each, or in one where the URL means memory.
 *
 * @returns what they printed, the server first; rejects with the last words of one that failed
 */
export async function runEchoExample(url: string): Promise<readonly string[]> {
  const args = [url, `echo-${newId()}`];
  if (url.startsWith('memory:')) return await ended(await runProgram([echoServer, echoClient], args));
  const server = await runProgram([echoServer], args);
  try {
    await waitFor('the server to be ready', () => server.lines.includes('ready') || server.process.ended, 30_000);
    if (server.process.ended !== undefined) return await ended(server);
    return [...server.lines, ...(await ended(await runProgram([echoClient], args)))];
  } finally {
    await server.process.stop();
  }
}

async function ended({ lines, process }: RunningProgram): Promise<readonly string[]> {
  const how = await process.wait();
  if (how !== 'code 0') throw new Error(`${how}:\n${process.tail.join('\n')}`);
  return lines;
}
