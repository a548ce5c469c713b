import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { track } from './leftovers.ts';

const SETPRIV = '/usr/bin/setpriv';
const TAIL_LINES = 60;

interface Refable {
  ref?(): void;
  unref?(): void;
}

/** A child process that ends with us, whatever our end. It keeps our event loop alive only while `wait` or `stop` waits. */
export class TiedProcess {
  readonly pid: number;
  /** The last lines of standard output and standard error, for error messages. */
  readonly tail: string[] = [];
  /** How it ended: "code 1" or "signal SIGKILL". Never rejects. Does not keep the event loop alive: see `wait`. */
  readonly exited: Promise<string>;
  #ended: string | undefined;
  readonly #child: ChildProcess;

  /** Starts `command`; rejects when there is no such program. `onLine` gets each whole line of standard output. */
  static async start(
    command: string,
    args: readonly string[],
    options: SpawnOptions & { onLine?: (line: string) => void } = {},
  ): Promise<TiedProcess> {
    const { onLine, ...spawnOptions } = options;
    // When we are killed by SIGKILL no handler of ours runs: setpriv has the kernel kill the child then.
    const [file, ...rest] = existsSync(SETPRIV)
      ? [SETPRIV, '--pdeathsig', 'KILL', command, ...args]
      : [command, ...args];
    const child = spawn(file, rest, { stdio: ['pipe', 'pipe', 'pipe'], ...spawnOptions });
    await once(child, 'spawn');
    return new TiedProcess(child, onLine);
  }

  private constructor(child: ChildProcess, onLine?: (line: string) => void) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    const untrack = track({ stop: () => this.stop(), kill: () => this.signal('SIGKILL') });
    // 'close' comes after 'exit' and after the last line was read.
    this.exited = new Promise((resolve) => {
      child.on('close', (code, signal) => {
        this.#ended = signal ? `signal ${signal}` : `code ${code}`;
        untrack();
        resolve(this.#ended);
      });
    });
    this.#readLines(child.stdout, (line) => onLine?.(line));
    this.#readLines(child.stderr);
    // A child that dies takes the pipe with it: the write that meets this moment must not be our death.
    child.stdin?.on('error', () => {});
    for (const handle of this.#handles()) handle.unref?.();
  }

  /** The child and its pipes. These are sockets, which their types do not tell. */
  #handles(): readonly Refable[] {
    const { stdin, stdout, stderr } = this.#child;
    return [this.#child, stdin as Refable | null, stdout as Refable | null, stderr as Refable | null].filter(
      (handle) => handle !== null,
    );
  }

  #readLines(stream: NodeJS.ReadableStream | null, onLine?: (line: string) => void): void {
    if (!stream) return;
    createInterface({ input: stream }).on('line', (line) => {
      this.tail.push(line);
      if (this.tail.length > TAIL_LINES) this.tail.shift();
      onLine?.(line);
    });
  }

  /** How it ended, or undefined while it runs. */
  get ended(): string | undefined {
    return this.#ended;
  }

  /** Resolves when it has ended, and with how it ended. */
  wait(): Promise<string> {
    for (const handle of this.#handles()) handle.ref?.();
    return this.exited;
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal); // a no-op once it has ended
  }

  /** Sends `signal`, then SIGKILL if it still runs after `graceMs`; resolves when it has ended. */
  async stop(signal: NodeJS.Signals = 'SIGKILL', graceMs = 5_000): Promise<void> {
    if (this.#ended !== undefined) return;
    this.signal(signal);
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    await this.wait();
    clearTimeout(timer);
  }
}
