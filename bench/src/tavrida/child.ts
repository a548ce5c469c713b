import { type ChildProcess, fork } from 'node:child_process';
import { program } from '../peer-process.ts';
import type { TavridaAnswer, TavridaSetup, TavridaTask } from './task.ts';

type AnswerTo<T extends TavridaTask['task']> = Extract<TavridaAnswer, { task: T }>;

/** A process of one role. */
export class Child {
  readonly #process: ChildProcess;
  /** What the broker calls itself, where the role knows. */
  broker: string | undefined;

  private constructor() {
    this.#process = fork(program('tavrida/peer'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  }

  static async start(setup: TavridaSetup): Promise<Child> {
    const child = new Child();
    try {
      child.broker = (await child.ask({ task: 'start', setup })).broker;
      return child;
    } catch (error) {
      await child.stop();
      throw error;
    }
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  ask<T extends TavridaTask['task']>(task: Extract<TavridaTask, { task: T }>): Promise<AnswerTo<T>> {
    const child = this.#process;
    return new Promise((resolve, reject) => {
      const end = (): void => {
        child.off('message', hear);
        child.off('exit', die);
      };
      const hear = (answer: TavridaAnswer): void => {
        if (answer.task !== task.task) return;
        end();
        if (answer.error === undefined) resolve(answer as AnswerTo<T>);
        else reject(new Error(answer.error));
      };
      const die = (code: number | null): void => {
        end();
        reject(new Error(`a process ended with code ${code} during "${task.task}"`));
      };
      child.on('message', hear);
      child.on('exit', die);
      child.send(task, (error) => error !== null && die(child.exitCode));
    });
  }

  async stop(): Promise<void> {
    await this.ask({ task: 'stop' }).catch(() => undefined);
    if (this.#process.connected) this.#process.disconnect();
  }
}
