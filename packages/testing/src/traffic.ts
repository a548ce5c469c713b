import { AssertionError } from 'node:assert';
import { type Activity, processing, sending, type Transport } from '@posthorn/core';
import { matches, type Wanted } from './wanted.ts';

/** Something that was sent, or handled by a method, an endpoint or a handler. */
export interface Seen extends Omit<Activity, 'transport'> {
  readonly way: 'sent' | 'handled';
  /** `running` until its outcome is known. */
  readonly state: 'running' | 'done' | 'failed';
  /** What a method returned or a call got. */
  readonly result: unknown;
  readonly error: unknown;
}

interface Waiting {
  readonly wanted: Wanted;
  readonly resolve: (seen: Seen) => void;
  readonly giveUp: (why: string) => void;
}

/** How long `until` waits, in real time: a virtual clock would never end it. */
const PATIENCE_MS = 5_000;
const { setTimeout: realTimeout, clearTimeout: realClear } = globalThis;

/**
 * Keeps what is sent and handled over transports of this process, whatever they are, until it is disposed. For tests: it
 * forgets nothing but by `clear`.
 */
export class Traffic implements Disposable {
  readonly #all: Kept[] = [];
  readonly #waiting = new Set<Waiting>();
  readonly #stop: readonly (() => void)[];

  /** Of one transport; of all without one. */
  constructor(transport?: Transport) {
    this.#stop = [this.#watch('sent', transport), this.#watch('handled', transport)];
  }

  /** In the order in which it began. */
  get all(): readonly Seen[] {
    return this.#all;
  }

  get sent(): readonly Seen[] {
    return this.#all.filter(({ way }) => way === 'sent');
  }

  get handled(): readonly Seen[] {
    return this.#all.filter(({ way }) => way === 'handled');
  }

  /** What failed, be it sent or handled. */
  get failed(): readonly Seen[] {
    return this.#all.filter(({ state }) => state === 'failed');
  }

  /** Those that are like this. */
  find(wanted: Wanted): readonly Seen[] {
    return this.#all.filter((seen) => matches(wanted, seen));
  }

  /**
   * The first that is like this.
   *
   * @throws {AssertionError} there is none; it says what there is
   */
  expect(wanted: Wanted): Seen {
    const [first] = this.find(wanted);
    if (first === undefined) this.#fail(`nothing was like ${text(wanted)}`);
    return first;
  }

  /** @throws {AssertionError} there is one like this */
  expectNone(wanted: Wanted): void {
    if (this.find(wanted).length > 0) this.#fail(`something was like ${text(wanted)}`);
  }

  /**
   * The first that is like this and whose outcome is known, now or later.
   *
   * @throws {AssertionError} there was none in 5 s of real time, or until the end
   */
  until(wanted: Wanted): Promise<Seen> {
    const ended = this.find(wanted).find(({ state }) => state !== 'running');
    if (ended !== undefined) return Promise.resolve(ended);
    return new Promise((resolve, reject) => {
      const end = (): void => {
        realClear(timer);
        this.#waiting.delete(waiting);
      };
      const waiting: Waiting = {
        wanted,
        resolve: (seen) => {
          end();
          resolve(seen);
        },
        giveUp: (why) => {
          end();
          reject(this.#failure(`nothing was like ${text(wanted)} ${why}`));
        },
      };
      const timer = realTimeout(() => waiting.giveUp(`within ${PATIENCE_MS} ms`), PATIENCE_MS);
      this.#waiting.add(waiting);
    });
  }

  /** Forgets what was seen. */
  clear(): void {
    this.#all.length = 0;
  }

  [Symbol.dispose](): void {
    for (const stop of this.#stop) stop();
    for (const waiting of this.#waiting) waiting.giveUp('before the end');
  }

  #watch(way: Seen['way'], transport: Transport | undefined): () => void {
    const channel = way === 'sent' ? sending : processing;
    const kept = new WeakMap<Activity, Kept>();
    const start = (activity: Activity): void => {
      if (transport?.sharesConnection(activity.transport) === false) return;
      const { transport: _, ...rest } = activity;
      const one: Kept = { ...rest, way, state: 'running', result: undefined, error: undefined };
      kept.set(activity, one);
      this.#all.push(one);
    };
    const end = (activity: Activity & Outcome): void => {
      const one = kept.get(activity);
      if (one === undefined || one.state !== 'running') return;
      const { result, error = activity.failure } = activity;
      one.state = 'error' in activity || error !== undefined ? 'failed' : 'done';
      one.result = result;
      one.error = error;
      for (const waiting of this.#waiting) if (matches(waiting.wanted, one)) waiting.resolve(one);
    };
    const handlers = { start, end: nothing, asyncStart: end, asyncEnd: nothing, error: nothing };
    channel.subscribe(handlers);
    return () => void channel.unsubscribe(handlers);
  }

  #fail(message: string): never {
    throw this.#failure(message);
  }

  #failure(message: string): AssertionError {
    const lines = this.#all.map(
      ({ way, operation, topic, name, state, content }) =>
        `  ${way} ${operation} ${topic} ${name} ${text(content)} ${state}`,
    );
    const there = lines.length === 0 ? 'there was nothing' : `there was\n${lines.join('\n')}`;
    return new AssertionError({ message: `${message}; ${there}` });
  }
}

type Kept = { -readonly [Key in keyof Seen]: Seen[Key] };

interface Outcome {
  readonly result?: unknown;
  readonly error?: unknown;
}

function nothing(): void {}

function text(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => (part instanceof RegExp ? `${part}` : part)) ?? String(value);
}
