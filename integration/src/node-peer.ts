import { deferred } from './deferred.ts';
import { TiedProcess } from './tied-process.ts';

/** A TypeScript program in a process of its own, that talks in lines. */
export class NodePeer {
  readonly #process: TiedProcess;
  readonly #lines: string[];
  readonly #watching: Set<() => void>;

  static async start(
    program: string,
    args: readonly string[],
    nodeOptions: readonly string[] = [],
    onLine: (line: string) => void = () => {},
  ): Promise<NodePeer> {
    const lines: string[] = [];
    const watching = new Set<() => void>();
    const node = [...nodeOptions, '--conditions=@posthorn/source', '--import=tsx', program, ...args];
    const child = await TiedProcess.start(process.execPath, node, {
      onLine: (line) => {
        lines.push(line);
        onLine(line);
        for (const look of [...watching]) look();
      },
    });
    return new NodePeer(child, lines, watching);
  }

  private constructor(child: TiedProcess, lines: string[], watching: Set<() => void>) {
    this.#process = child;
    this.#lines = lines;
    this.#watching = watching;
    void child.exited.then(() => {
      for (const look of [...watching]) look();
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** The first line that begins so, of those printed already or still to come. Rejects when the process ends first. */
  async line(start: string): Promise<string> {
    const { promise, resolve, reject } = deferred<string>();
    const look = (): void => {
      const line = this.#lines.find((one) => one.startsWith(start));
      if (line !== undefined) resolve(line);
      else if (this.#process.ended !== undefined)
        reject(new Error(`${this.#process.ended} instead of "${start}":\n${this.#process.tail.join('\n')}`));
    };
    this.#watching.add(look);
    look();
    try {
      return await promise;
    } finally {
      this.#watching.delete(look);
    }
  }

  tell(line: string): void {
    this.#process.write(`${line}\n`);
  }

  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void> {
    return this.#process.stop('SIGKILL');
  }

  /** Resolves when it has ended by itself: "code 0". */
  wait(): Promise<string> {
    return this.#process.wait();
  }
}
