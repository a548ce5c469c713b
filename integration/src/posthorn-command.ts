import { fileURLToPath } from 'node:url';
import { type RunningProgram, runProgram } from './echo-example.ts';

const command = fileURLToPath(new URL('../../packages/posthorn/src/cli.ts', import.meta.url));

/** How a run of the `posthorn` command ended. */
export interface Ended {
  /** `code 0` */
  readonly end: string;
  /** Lines of standard output. */
  readonly lines: readonly string[];
  /** What it printed last, standard error included. */
  readonly text: string;
}

/** Starts the `posthorn` command, as from a shell without a terminal. */
export function startPosthorn(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<RunningProgram> {
  return runProgram([command], args, env);
}

/** Runs the `posthorn` command to its end. */
export async function posthorn(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ended> {
  const { lines, process } = await startPosthorn(args, env);
  const end = await process.wait();
  return { end, lines, text: process.tail.join('\n') };
}

/** The lines of JSON of a command that was run with `--json`. */
export function records({ lines }: Pick<Ended, 'lines'>): readonly Readonly<Record<string, unknown>>[] {
  return lines.map((line) => JSON.parse(line));
}
