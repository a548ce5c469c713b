import {
  type Address,
  type Context,
  type DeliveryProfile,
  type Expectation,
  type HeaderValue,
  type Layer,
  profiles,
  type SendOptions,
  type Serializer,
  type Target,
  type Transport,
} from '@posthorn/core';
import type { Part, RPCCodec } from './codec.ts';
import type { ErrorRegistry } from './errors.ts';
import type { RateLimit } from './rate-limit.ts';

/** A call on its way out, as layers see it. `headers` travel beside the context; a layer may add to them. */
export interface OutgoingCall {
  readonly kind: 'call' | 'cast' | 'stream' | 'gather';
  readonly target: Target;
  readonly method: string;
  readonly args: unknown;
  readonly context: Context;
  readonly headers: Record<string, HeaderValue>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Of a `stream`: where its progress goes. */
  readonly progress?: ProgressSink;
  /** Of a `gather`: how many replies it wants. */
  readonly gather?: GatherBounds;
}

/** Takes the progress of one call. */
export interface ProgressSink {
  /** How much progress there is room for at first. */
  readonly window: number;
  /** Whether the producer waits for the reader. */
  readonly isFull: boolean;
  /** @throws {MessagingError} when it cannot follow what was taken before */
  take(part: Part): void;
  /**
   * The method has ended, after so many parts, where that is told.
   *
   * @throws {MessagingError} when not all of them were taken
   */
  complete(parts?: number): void;
  /** Sees to it that the producer knows that nobody reads any more. False where the producer is not known. */
  cancel(): boolean;
}

export interface GatherBounds {
  readonly min: number;
  readonly max: number;
}

/** What the copies of a client that `prepare` makes share. */
export interface Shared {
  readonly transport: Transport;
  readonly codec: RPCCodec;
  readonly profile: DeliveryProfile;
  readonly serializer: Serializer;
  readonly errors: ErrorRegistry;
  readonly layers: readonly Layer<OutgoingCall>[];
  readonly cancels: RateLimit;
}

/**
 * A request that waits to be answered: what the inbox expects, and at the same time the options that it is sent with.
 * One object does, where several would be felt in every call.
 */
export interface Pending extends Expectation, SendOptions {
  readonly call: OutgoingCall;
  readonly to: Address;
  readonly result: Promise<unknown>;
  readonly signal?: AbortSignal;
  /** Set by who registers it with the inbox. */
  id: string;
  /** What is left of the call's when the request is written. */
  timeoutMs: number;
  /** Ends the wait. */
  giveUp(reason: unknown): void;
}

/** Tells the servers that nobody waits any more. Best effort: the deadline ends the work anyway. */
export function cancelAll({ transport, codec, cancels }: Shared, to: Address, id: string): void {
  if (codec.encodeCancel === undefined || !('topic' in to) || !cancels.take()) return;
  const { exchange, topic } = to;
  transport
    .send({ kind: 'multicast', exchange, topic }, codec.encodeCancel(id), profiles.cancel)
    .catch((error: unknown) => transport.logger.debug({ err: error, id }, 'could not send a cancel'));
}
