import { TimeoutError } from './errors.ts';

/** For one operation. A declare can hang that long on RabbitMQ 4 when a queue's node is down. */
const OPERATION_MS = 30_000;

/**
 * Whether something that can be lost, like a connection, still lives. What is awaited of it ends with it, or after a time:
 * libraries leave their promises pending for ever when the peer dies at the wrong moment.
 */
export class Lifeline {
  readonly #guarded = new Set<(error: Error) => void>();
  #down: Error | undefined;

  /** Why it was lost. */
  get down(): Error | undefined {
    return this.#down;
  }

  /** It is lost: ends what is guarded. The first reason counts. */
  cut(error: Error): void {
    if (this.#down !== undefined) return;
    this.#down = error;
    for (const reject of [...this.#guarded]) reject(error);
    this.#guarded.clear();
  }

  /** The promise, or the loss, or the end of the time, whichever is first. */
  guard<T>(operation: Promise<T>, what: string, timeoutMs: number = OPERATION_MS): Promise<T> {
    operation.catch(() => undefined);
    if (this.#down !== undefined) return Promise.reject(this.#down);
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#guarded.delete(fail);
      };
      const fail = (error: Error): void => {
        end();
        reject(error);
      };
      const timer = setTimeout(() => fail(new TimeoutError(what, timeoutMs)), timeoutMs);
      this.#guarded.add(fail);
      operation.then((value) => {
        end();
        resolve(value);
      }, fail);
    });
  }
}
