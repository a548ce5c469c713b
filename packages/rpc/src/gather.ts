import {
  type Address,
  ConfigError,
  describe,
  type Message,
  MessagingError,
  messageOf,
  profiles,
  TimeoutError,
  UnroutableError,
  type Unrouted,
} from '@posthorn/core';
import { errorOf } from './errors.ts';
import { cancelAll, type GatherBounds, type OutgoingCall, type Pending, type Shared } from './outgoing.ts';

export interface GatherOptions {
  /** How many replies there must be, failures included. Default 1. */
  readonly min?: number;
  /** How many replies are enough. Default: as many as come. */
  readonly max?: number;
  /** How long replies are collected. */
  readonly timeoutMs: number;
  /** Gives up: rejects with the signal's reason, and the servers' methods are told. */
  readonly signal?: AbortSignal;
}

/** What one server replied: its result, or in `error` its failure. */
export type Gathered<Value> =
  | { readonly server: string; readonly value: Value; readonly error?: undefined }
  | { readonly server: string; readonly error: Error; readonly value?: undefined };

/** Fewer servers replied than there had to be. */
export class TooFewRepliesError extends MessagingError {
  /** Those that came. */
  readonly replies: readonly Gathered<unknown>[];

  constructor(what: string, replies: readonly Gathered<unknown>[], min: number, afterMs: number) {
    super('TIMEOUT', `${what}: ${replies.length} of at least ${min} replies came within ${Math.round(afterMs)} ms`);
    this.replies = replies;
  }
}

/** @throws {ConfigError} bounds that no number of replies can meet */
export function boundsOf({ min = 1, max = Number.POSITIVE_INFINITY }: GatherOptions): GatherBounds {
  if (!(Number.isSafeInteger(min) && min >= 0)) throw new ConfigError('min', 'expected a whole number');
  if (!(max === Number.POSITIVE_INFINITY || (Number.isSafeInteger(max) && max >= 1)))
    throw new ConfigError('max', 'expected a whole number above 0');
  if (max < min) throw new ConfigError('max', `expected ${min}, which is min, or more`);
  return { min, max };
}

/** A call to all servers of a topic, while their replies come in. */
export class PendingGather implements Pending {
  readonly call: OutgoingCall;
  readonly to: Address;
  readonly result: Promise<readonly Gathered<unknown>[]>;
  id = '';
  timeoutMs: number;
  readonly confirm: boolean = profiles.call.confirm;
  readonly persistent: boolean = profiles.call.persistent;
  readonly unrouted: Unrouted;
  readonly signal?: AbortSignal;
  readonly #bounds: GatherBounds;
  readonly #shared: Shared;
  readonly #replies: Gathered<unknown>[] = [];
  #written = false;
  /** Made when the time is up. */
  #late: Error | undefined;
  #resolve: (replies: readonly Gathered<unknown>[]) => void = () => {};
  #reject: (reason: unknown) => void = () => {};

  constructor(call: OutgoingCall, bounds: GatherBounds, to: Address, shared: Shared) {
    this.call = call;
    this.to = to;
    this.timeoutMs = call.timeoutMs;
    // None may be all that was asked for.
    this.unrouted = bounds.min === 0 ? 'drop' : 'fail';
    if (call.signal !== undefined) this.signal = call.signal;
    this.#bounds = bounds;
    this.#shared = shared;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get what(): string {
    return `gather ${this.call.method} from ${describe(this.to)}`;
  }

  timeoutError(): Error {
    const { timeoutMs } = this.call;
    const { min } = this.#bounds;
    this.#late = this.#written
      ? new TooFewRepliesError(this.what, this.#replies, min, timeoutMs)
      : new TimeoutError(this.what, timeoutMs);
    return this.#late;
  }

  isWritten(): boolean {
    return this.#written;
  }

  beforeWrite(): boolean {
    this.#written = this.#shared.transport.inbox.has(this.id);
    return this.#written;
  }

  answer(message: Message): boolean {
    const gathered = this.#read(message);
    if (gathered === undefined) return false;
    this.#replies.push(gathered);
    if (this.#replies.length < this.#bounds.max) return false;
    this.#resolve(this.#replies);
    cancelAll(this.#shared, this.to, this.id);
    return true;
  }

  fail(reason: unknown): void {
    const isComplete = this.#written && reason === this.#late && this.#replies.length >= this.#bounds.min;
    if (isComplete) return this.#resolve(this.#replies);
    this.#reject(reason);
    // At the deadline the servers stop by themselves.
    if (this.#written && this.signal?.aborted) cancelAll(this.#shared, this.to, this.id);
  }

  giveUp(reason: unknown): void {
    const error = reason instanceof UnroutableError ? new UnroutableError(this.what, reason.address) : reason;
    this.#shared.transport.inbox.fail(this.id, error);
  }

  /** One reply that cannot be read does not spoil the others. */
  #read(message: Message): Gathered<unknown> | undefined {
    const { codec, errors, serializer } = this.#shared;
    let server = '';
    try {
      const reply = codec.decodeReply(message);
      if (reply.kind !== 'result' && reply.kind !== 'failure') return undefined;
      server = reply.server ?? '';
      if (reply.kind === 'failure') return { server, error: errorOf(reply.failure, errors) };
      const { value } = reply;
      if (serializer.deserializeEntity === undefined) return { server, value };
      return { server, value: serializer.deserializeEntity(this.call.context, value) };
    } catch (error) {
      return { server, error: error instanceof Error ? error : new MessagingError('MALFORMED', messageOf(error)) };
    }
  }
}
