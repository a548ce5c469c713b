import {
  type Activity,
  ConfigError,
  describe,
  type ErrorCode,
  type Message,
  MessagingError,
  OverloadedError,
  observed,
  type SendOptions,
  sending,
  TimeoutError,
  type Transport,
} from '@posthorn/core';
import { BurstLog } from './burst-log.ts';
import type { EnvelopeCodec } from './envelope.ts';
import type { Draft } from './message-factory.ts';
import { nativeEnvelope } from './native-envelope.ts';
import { checkName, type PublishAddress, placeOf } from './place.ts';
import { sign } from './signing.ts';

/**
 * What a publisher does while the broker takes nothing: it is down, out of reach, or blocks. At most `limit` messages
 * wait meanwhile, in memory; what was written and is not confirmed does not count.
 *
 * | policy | a message that cannot be written now | one more than `limit` |
 * |---|---|---|
 * | `wait` | waits until `timeoutMs`, then rejects with `TIMEOUT` | rejects with `OVERLOADED` |
 * | `buffer` | waits for as long as it takes | the oldest that waits is `dropped` for it |
 * | `drop` | is `dropped` at once | is `dropped` at once |
 *
 * A message whose `ttlMs` is over before it could be written never is: `TIMEOUT`, or `dropped`.
 */
export type BackPressure =
  | {
      readonly policy: 'wait';
      /** Default 10,000. */
      readonly limit?: number;
      /** From `publish` to the broker's confirmation. Default 30,000. */
      readonly timeoutMs?: number;
    }
  | {
      readonly policy: 'buffer';
      /** Default 1,024. */
      readonly limit?: number;
    }
  | {
      readonly policy: 'drop';
      /** What was under way when the connection went. Default 1,024. */
      readonly limit?: number;
      /** Default 30,000. */
      readonly timeoutMs?: number;
    };

export interface OutboxOptions {
  /** How messages look on the wire. Default `nativeEnvelope`. */
  readonly envelope?: EnvelopeCodec;
  /** Default `wait`. */
  readonly backPressure?: BackPressure;
}

/**
 * What became of a message.
 *
 * `confirmed`: the broker has it. `returned`: nobody receives there (`unrouted: 'fail'`). `nacked`: the broker refused it.
 * `unknown`: written, then the connection was lost; it may or may not have arrived. `dropped`: never written, as the
 * back-pressure policy has it.
 */
export interface PublishResult {
  readonly status: 'confirmed' | 'returned' | 'nacked' | 'unknown' | 'dropped';
  readonly messageId: string;
  /** Why it is not `confirmed`. */
  readonly error?: MessagingError;
}

/** How one message is sent; `SendOptions` says what they mean. */
export type OutboxSendOptions = Pick<SendOptions, 'unrouted' | 'retention' | 'delayMs' | 'priority' | 'signal'>;

/** Gives up a message that was not written yet. */
type GiveUp = (error: OverloadedError) => void;

/** Known only after the write. */
const OUTCOMES: Partial<Record<ErrorCode, PublishResult['status']>> = {
  UNROUTABLE: 'returned',
  NOT_DELIVERED: 'nacked',
  UNKNOWN: 'unknown',
};
/** The broker was not there for it. */
const UNAVAILABLE: ReadonlySet<ErrorCode> = new Set(['CONNECTION', 'OVERLOADED', 'TIMEOUT', 'CLOSED']);

const TIMEOUT_MS = 30_000;
/** What a timer of Node can hold. */
const LONGEST_MS = 2 ** 31 - 1;

/** Signs, encodes and sends messages, under one back-pressure policy. Holds nothing that needs closing. */
export class Outbox {
  readonly #transport: Transport;
  readonly #codec: EnvelopeCodec;
  readonly #pressure: BackPressure;
  readonly #limit: number;
  readonly #timeoutMs: number;
  /** Oldest first. */
  readonly #waiting = new Set<GiveUp>();
  readonly #drops: BurstLog;

  constructor(transport: Transport, { envelope = nativeEnvelope, backPressure = { policy: 'wait' } }: OutboxOptions) {
    const { policy, limit = policy === 'wait' ? 10_000 : 1_024 } = backPressure;
    if (!['wait', 'buffer', 'drop'].includes(policy))
      throw new ConfigError('backPressure.policy', `"${policy}" is none of wait, buffer and drop`);
    if (!Number.isInteger(limit) || limit < 1)
      throw new ConfigError('backPressure.limit', 'expected an integer above 0');
    this.#transport = transport;
    this.#codec = envelope;
    this.#pressure = backPressure;
    this.#limit = limit;
    this.#timeoutMs = backPressure.policy === 'buffer' ? LONGEST_MS : (backPressure.timeoutMs ?? TIMEOUT_MS);
    this.#drops = new BurstLog(transport.logger);
  }

  /**
   * Resolves with what became of the message, as soon as that is known.
   *
   * @throws {MessagingError} it was not written: `OVERLOADED`, `TIMEOUT`, `CONNECTION`, `CLOSED` (of these, `buffer` and
   * `drop` make `dropped`), `MALFORMED`, `TOO_LARGE`, `UNSUPPORTED`, `ACCESS`
   * @throws the signal's reason, untouched
   */
  async send(to: PublishAddress, draft: Draft, options: OutboxSendOptions): Promise<PublishResult> {
    if (!sending.hasSubscribers) return await this.#send(to, draft, options);
    const { message_type: name, message_id: id, payload: content } = draft.envelope;
    const exchange = to.kind === 'topic' ? to.exchange : undefined;
    const about = { pattern: 'messaging', operation: 'publish', name, transport: this.#transport } as const;
    const activity: Activity = { ...about, exchange, topic: placeOf(to).key, id, context: {}, content, headers: {} };
    return await observed(sending, activity, async () => {
      const result = await this.#send(to, draft, options, activity.headers);
      activity.failure = result.error;
      return result;
    });
  }

  async #send(
    to: PublishAddress,
    { envelope, signer }: Draft,
    { unrouted, retention, delayMs, priority, signal }: OutboxSendOptions,
    headers?: Message['headers'],
  ): Promise<PublishResult> {
    const place = placeOf(to);
    checkName(to.kind === 'topic' ? 'the routing key' : 'the mailbox', place.key);
    if (to.kind === 'topic') checkName('the exchange', to.exchange);
    const { message_id: messageId, expires_at } = envelope;
    const encoded = this.#codec.encode(signer === undefined ? envelope : sign(envelope, place, signer));
    const expiresAt = expires_at === undefined ? Number.POSITIVE_INFINITY : Date.parse(expires_at);
    const ttlMs = Math.max(1, expiresAt - Date.now());
    const message = {
      ...encoded,
      ...(headers && { headers: { ...headers, ...encoded.headers } }),
      ...(expires_at !== undefined && { ttlMs }),
    };
    signal?.throwIfAborted();
    const refusal = this.#makeRoom(to);
    if (refusal !== undefined) return this.#dropped(messageId, refusal);

    const abandoned = this.#pressure.policy === 'buffer' ? new AbortController() : undefined;
    const giveUp: GiveUp = (error) => abandoned?.abort(error);
    const signals = [signal, abandoned?.signal].filter((one) => one !== undefined);
    const [either] = signals.length > 1 ? [AbortSignal.any(signals)] : signals;
    let expired = false;
    this.#waiting.add(giveUp);
    try {
      await this.#transport.send(to, message, {
        ...(unrouted && { unrouted }),
        ...(retention && { retention }),
        ...(delayMs !== undefined && { delayMs }),
        ...(priority !== undefined && { priority }),
        ...(either && { signal: either }),
        confirm: true,
        persistent: true,
        timeoutMs: this.#timeoutMs,
        beforeWrite: () => {
          this.#waiting.delete(giveUp);
          expired = Date.now() >= expiresAt;
          return !expired;
        },
      });
      if (expired) throw new TimeoutError(`publishing to ${describe(to)}`, ttlMs);
      return { status: 'confirmed', messageId };
    } catch (error) {
      if (error === signal?.reason) throw error;
      return this.#resultOf(messageId, error);
    } finally {
      this.#waiting.delete(giveUp);
    }
  }

  /** Returns why the message is to be dropped, if it is. */
  #makeRoom(to: PublishAddress): OverloadedError | undefined {
    const { policy } = this.#pressure;
    const { state } = this.#transport.status;
    const overloaded = (why: string): OverloadedError => new OverloadedError(`publishing to ${describe(to)}: ${why}`);
    if (policy === 'drop' && state !== 'connected') return overloaded(`the broker takes nothing now (${state})`);
    if (this.#waiting.size < this.#limit) return undefined;
    const full = overloaded(`${this.#waiting.size} messages wait already`);
    if (policy === 'drop') return full;
    if (policy === 'wait') throw full;
    const [oldest] = this.#waiting;
    if (oldest !== undefined) {
      this.#waiting.delete(oldest);
      oldest(overloaded('dropped for a newer message'));
    }
    return undefined;
  }

  #resultOf(messageId: string, error: unknown): PublishResult {
    if (!(error instanceof MessagingError)) throw error;
    const status = OUTCOMES[error.code];
    if (status !== undefined) return { status, messageId, error };
    if (this.#pressure.policy !== 'wait' && UNAVAILABLE.has(error.code)) return this.#dropped(messageId, error);
    throw error;
  }

  #dropped(messageId: string, error: MessagingError): PublishResult {
    this.#drops.warn({ err: error, messageId }, 'a message was dropped');
    return { status: 'dropped', messageId, error };
  }
}
