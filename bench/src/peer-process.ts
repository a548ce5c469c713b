import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Load, Loop } from './closed-loop.ts';
import type { Answer, Setup, Task } from './peer.ts';

/** Whose code a peer runs: ours, the plain library's alone, or a rival's. */
export type Kind = 'posthorn' | 'amqplib' | 'rhea' | 'bare' | Rival;

export type Rival = 'nestjs' | 'rabbitmq-client' | 'moleculer' | 'oslo';

type AnswerTo<T extends Task['task']> = Extract<Answer, { task: T }>;

/** A process that is one peer. It does one task at a time. */
export class PeerProcess {
  readonly broker: string | undefined;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, broker: string | undefined) {
    this.#child = child;
    this.broker = broker;
  }

  static async start(kind: Kind, setup: Setup): Promise<PeerProcess> {
    const child = fork(program(`peers/${kind}`), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    try {
      const { broker } = await ask(child, { task: 'start', setup });
      return new PeerProcess(child, broker);
    } catch (error) {
      child.kill();
      throw error;
    }
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  async run(load: Load): Promise<Loop> {
    return (await ask(this.#child, { task: 'run', load })).loop;
  }

  /** Resolves when so many messages were handled since the start, with how many it were. */
  async handled(total: number): Promise<number> {
    return (await ask(this.#child, { task: 'handled', total })).total;
  }

  /** The time from the first to the last of so many messages. */
  async drain(count: number): Promise<number> {
    return (await ask(this.#child, { task: 'drain', count })).elapsedMs;
  }

  async heapPerCall(calls: number): Promise<number> {
    return (await ask(this.#child, { task: 'heap', calls })).bytesPerCall;
  }

  /** User and system time of this process so far, in microseconds. */
  async cpu(): Promise<number> {
    return (await ask(this.#child, { task: 'cpu' })).us;
  }

  async stop(): Promise<void> {
    await ask(this.#child, { task: 'stop' }).catch(() => undefined);
    if (this.#child.connected) this.#child.disconnect();
  }
}

/** The path of a program of ours: from the sources it is a .ts, built it is a .js. */
export function program(name: string): string {
  return fileURLToPath(new URL(`./${name}${extname(import.meta.url)}`, import.meta.url));
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
