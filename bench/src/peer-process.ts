import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Load, Loop } from './closed-loop.ts';
import type { Answer, Setup, Task } from './peer.ts';

type AnswerTo<T extends Task['task']> = Extract<Answer, { task: T }>;

/** A process that is one peer. It does one task at a time. */
export class PeerProcess {
  readonly broker: string | undefined;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, broker: string | undefined) {
    this.#child = child;
    this.broker = broker;
  }

  static async start(kind: 'posthorn' | 'twin', setup: Setup): Promise<PeerProcess> {
    // From the sources the file is a .ts, built it is a .js.
    const file = fileURLToPath(new URL(`./${kind}-peer${extname(import.meta.url)}`, import.meta.url));
    const child = fork(file, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    try {
      const { broker } = await ask(child, { task: 'start', setup });
      return new PeerProcess(child, broker);
    } catch (error) {
      child.kill();
      throw error;
    }
  }

  async run(load: Load): Promise<Loop> {
    return (await ask(this.#child, { task: 'run', load })).loop;
  }

  /** User and system time of this process so far, in microseconds. */
  async cpu(): Promise<number> {
    return (await ask(this.#child, { task: 'cpu' })).us;
  }

  async stop(): Promise<void> {
    await ask(this.#child, { task: 'stop' }).catch(() => undefined);
    this.#child.disconnect();
  }
}

function ask<T extends Task['task']>(child: ChildProcess, task: Extract<Task, { task: T }>): Promise<AnswerTo<T>> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      child.off('message', hear);
      child.off('exit', die);
    };
    const hear = (answer: Answer): void => {
      end();
      if (answer.task === 'failed') reject(new Error(answer.error));
      else resolve(answer as AnswerTo<T>);
    };
    const die = (code: number | null): void => {
      end();
      reject(new Error(`a peer process ended with code ${code} during "${task.task}"`));
    };
    child.on('message', hear);
    child.on('exit', die);
    child.send(task, (error) => error !== null && die(child.exitCode));
  });
}
