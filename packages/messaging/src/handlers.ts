import { Batcher, type BatchOptions, ConfigError, type JobEnd, matcher, type Transport } from '@posthorn/core';
import type { MessageType } from './message-type.ts';
import type { ReceivedMessage } from './received-message.ts';
import { endOf } from './receiving.ts';

/** Does the work of one message. A throw means: again, later. */
export type Handler<Payload> = (payload: Payload, message: ReceivedMessage<Payload>) => unknown;

/**
 * Does the work of many: `size` messages, or as many as there are when the oldest has waited for `maxAgeMs`. They share
 * one end: a throw means that each of them comes again.
 */
export type BatchHandler<Payload> = (messages: readonly ReceivedMessage<Payload>[]) => unknown;

/** A handler, or how to batch and a handler of batches. */
export type Handling<Payload> =
  | readonly [handler: Handler<Payload>]
  | readonly [batch: BatchOptions, handler: BatchHandler<Payload>];

type Run = (message: ReceivedMessage) => Promise<JobEnd>;

const CATCH_ALL = '#';

/**
 * Which handler gets a message: one for its type, else the first bound pattern that its key matches, in the order in
 * which they were bound, `#` last of all. No I/O.
 */
export class Handlers {
  readonly #transport: Transport;
  readonly #types = new Set<string>();
  /** By name and major version. */
  readonly #byType = new Map<string, Run>();
  readonly #byPattern = new Map<string, { readonly matches: (key: string) => boolean; readonly run: Run }>();
  readonly #batchers: Batcher<ReceivedMessage>[] = [];
  #batchSizes = 0;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  get empty(): boolean {
    return this.#byType.size === 0 && this.#byPattern.size === 0;
  }

  /** The names of the types. */
  get types(): readonly string[] {
    return [...this.#types];
  }

  get patterns(): readonly string[] {
    return [...this.#byPattern.keys()];
  }

  /** How many messages may wait in batches. */
  get batchSizes(): number {
    return this.#batchSizes;
  }

  on(type: MessageType, handling: Handling<unknown>): void {
    const key = keyOf(type);
    if (this.#byType.has(key)) throw new ConfigError('on', `the type ${key} has a handler already`);
    this.#byType.set(key, this.#runner(handling));
    this.#types.add(type.type);
  }

  bind(pattern: string, handling: Handling<unknown>): void {
    if (this.#byPattern.has(pattern)) throw new ConfigError('bind', `the pattern ${pattern} has a handler already`);
    this.#byPattern.set(pattern, { matches: matcher(pattern), run: this.#runner(handling) });
  }

  /** @param type undefined for types that are not known */
  find(type: MessageType | undefined, key: string): Run | undefined {
    const byType = type === undefined ? undefined : this.#byType.get(keyOf(type));
    if (byType !== undefined) return byType;
    for (const [pattern, { matches, run }] of this.#byPattern) if (pattern !== CATCH_ALL && matches(key)) return run;
    return this.#byPattern.get(CATCH_ALL)?.run;
  }

  /** Batches are handled as they are. */
  close(): void {
    for (const batcher of this.#batchers) batcher.close();
  }

  #runner(handling: Handling<unknown>): Run {
    if (handling.length === 1) {
      const [handle] = handling;
      return (message) => endOf(this.#transport, message, () => handle(message.payload, message));
    }
    const [batch, handle] = handling;
    const { size, maxAgeMs } = batch;
    if (!Number.isInteger(size) || size < 1) throw new ConfigError('size', 'expected an integer above 0');
    if (!(maxAgeMs > 0)) throw new ConfigError('maxAgeMs', 'expected milliseconds above 0');
    const batcher = new Batcher<ReceivedMessage>(batch, async ([first, ...others]) =>
      first === undefined
        ? 'accept'
        : await endOf(this.#transport, [first, ...others], () => handle([first, ...others])),
    );
    this.#batchers.push(batcher);
    this.#batchSizes += size;
    return (message) => batcher.add(message);
  }
}

function keyOf({ type, version }: MessageType): string {
  return `${type} ${Number.parseInt(version, 10)}.x`;
}
