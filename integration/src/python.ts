import { execFile } from 'node:child_process';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cannotInstall, installDebian } from './debian.ts';
import { isSkip, type Skip } from './found.ts';
import { TiedProcess } from './tied-process.ts';

/** A Python interpreter that can import oslo.messaging. */
export interface PythonOslo {
  /** Path of the interpreter. */
  readonly command: string;
  /** Of oslo.messaging: `14.0.3`. */
  readonly version: string;
}

const DEBIAN_PYTHON = '/usr/bin/python3';
const SCRIPTS = join(dirname(fileURLToPath(import.meta.url)), '..', 'oslo');
const STOP_GRACE_MS = 2_000;

let found: Promise<PythonOslo | Skip> | undefined;

/**
 * A Python with oslo.messaging, looked for once per process: POSTHORN_PYTHON, else Debian's own, into which
 * oslo.messaging is installed where that is possible, else the reason to skip.
 */
export function findPython(): Promise<PythonOslo | Skip> {
  found ??= search();
  return found;
}

async function search(): Promise<PythonOslo | Skip> {
  const given = process.env['POSTHORN_PYTHON'];
  if (given) return await inspect(given); // set on purpose: an error, not a skip, when it does not work
  const there = await inspect(DEBIAN_PYTHON).catch(() => undefined);
  if (there) return there;
  const obstacle = cannotInstall();
  if (obstacle) return { skip: `${DEBIAN_PYTHON} has no oslo.messaging, and ${obstacle}` };
  try {
    await installDebian('python3-oslo.messaging');
    return await inspect(DEBIAN_PYTHON);
  } catch (error) {
    return { skip: `python3-oslo.messaging could not be installed: ${String(error).slice(-300)}` };
  }
}

async function inspect(command: string): Promise<PythonOslo> {
  const program = 'import oslo_messaging, importlib.metadata as m; print(m.version("oslo.messaging"))';
  const { stdout } = await promisify(execFile)(command, ['-c', program]);
  return { command, version: stdout.trim() };
}

/**
 * Starts a script of integration/oslo (or any, by absolute path) in the Python that `findPython` found.
 * `env` is added to our own environment.
 */
export async function spawnPython(
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<PythonPeer> {
  const python = await findPython();
  if (isSkip(python)) throw new Error(python.skip);
  return await PythonPeer.start(python.command, [resolve(SCRIPTS, script), ...args], env);
}

/** Waits for one line; `reject` when the peer dies first. */
interface Waiter {
  readonly pattern: RegExp;
  readonly settle: (line: string) => void;
  readonly fail: (error: Error) => void;
}

/** A Python program that talks in lines. */
export class PythonPeer implements AsyncDisposable {
  /** Every line of its standard output so far. */
  readonly lines: readonly string[];
  readonly #name: string;
  readonly #process: TiedProcess;
  readonly #waiters = new Set<Waiter>();

  static async start(
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<PythonPeer> {
    const heard = { lines: [] as string[], listener: (_line: string): void => {} };
    const child = await TiedProcess.start(command, args, {
      // No .pyc files beside the scripts, and every line as soon as it is printed.
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1', ...env },
      onLine: (line) => {
        heard.lines.push(line);
        heard.listener(line);
      },
    });
    const peer = new PythonPeer(args[0] ?? command, child, heard.lines);
    heard.listener = (line) => peer.#hear(line);
    return peer;
  }

  private constructor(name: string, child: TiedProcess, lines: readonly string[]) {
    this.#name = name;
    this.#process = child;
    this.lines = lines;
    void child.exited.then((how) => this.#failAll(how));
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Resolves when it has ended, with how: "code 0", "signal SIGTERM". */
  wait(): Promise<string> {
    return this.#process.wait();
  }

  /**
   * The first line that matches, of those printed already or still to come. Rejects, with what the peer last wrote,
   * when it dies first or when the time is over.
   */
  line(pattern: RegExp, timeoutMs = 10_000): Promise<string> {
    const printed = this.lines.find((line) => pattern.test(line));
    if (printed !== undefined) return Promise.resolve(printed);
    if (this.#process.ended !== undefined) return Promise.reject(this.#error(`ended with ${this.#process.ended}`));
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        pattern,
        settle: (line) => {
          done();
          resolve(line);
        },
        fail: (error) => {
          done();
          reject(error);
        },
      };
      const timer = setTimeout(() => waiter.fail(this.#error(`printed no ${pattern} in ${timeoutMs} ms`)), timeoutMs);
      this.#waiters.add(waiter);
    });
  }

  /** Writes one line to its standard input: a string as it is, anything else as JSON. */
  send(message: unknown): void {
    this.#process.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`);
  }

  /** SIGTERM, and SIGKILL when that does not help. What oslo.messaging would do on a clean stop is not done. */
  async stop(): Promise<void> {
    await this.#process.stop('SIGTERM', STOP_GRACE_MS);
  }

  /** SIGKILL, as in a crash. */
  async kill9(): Promise<void> {
    await this.#process.stop('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #hear(line: string): void {
    for (const waiter of this.#waiters) if (waiter.pattern.test(line)) waiter.settle(line);
  }

  #failAll(how: string): void {
    for (const waiter of this.#waiters) waiter.fail(this.#error(`ended with ${how}`));
  }

  #error(what: string): Error {
    return new Error(`${this.#name} ${what}; it last wrote:\n${this.#process.tail.slice(-20).join('\n')}`);
  }
}
