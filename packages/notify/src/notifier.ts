import {
  ConfigError,
  type Context,
  checkTarget,
  newId,
  type Retention,
  type Serializer,
  type Transport,
} from '@posthorn/core';
import type { Notification } from './notification.ts';
import { messaging, type Outlet, type OutletContext, tellAll } from './outlets.ts';
import type { Priority } from './priorities.ts';
import { allowedContext, SAFE_CONTEXT_KEYS } from './redact.ts';

export interface NotifierOptions {
  /** Who tells: `compute.host1`. */
  readonly publisherId: string;
  /** Default `notifications`. */
  readonly topics?: readonly string[];
  readonly exchange?: string;
  /** Default: `messaging()` alone. */
  readonly outlets?: readonly Outlet[];
  readonly serializer?: Serializer;
  /** The entries of a context that are sent along. Default `SAFE_CONTEXT_KEYS`. */
  readonly contextKeys?: readonly string[];
  /** The queue that keeps notifications until the first listener comes. */
  readonly retention?: Retention;
  /** Give up after this long. Default 30,000. */
  readonly timeoutMs?: number;
}

export interface NotifyOptions {
  readonly signal?: AbortSignal;
  readonly headers?: Notification['headers'];
}

/** Tells what happened. Holds nothing that needs closing. */
export class Notifier {
  readonly #transport: Transport;
  readonly #options: NotifierOptions;
  readonly #outlets: readonly Outlet[];

  constructor(transport: Transport, options: NotifierOptions) {
    const { publisherId, topics = ['notifications'], outlets = [messaging()] } = options;
    if (typeof publisherId !== 'string' || publisherId === '')
      throw new ConfigError('publisherId', 'expected a non-empty string');
    for (const topic of topics) checkTarget({ topic });
    if (topics.length === 0) throw new ConfigError('topics', 'at least one is needed');
    this.#transport = transport;
    this.#options = { ...options, topics };
    this.#outlets = outlets;
  }

  /** A notifier like this one, with some options changed. */
  prepare(overrides: Partial<NotifierOptions>): Notifier {
    return new Notifier(this.#transport, { ...this.#options, ...overrides });
  }

  debug(context: Context, eventType: string, payload: unknown, options?: NotifyOptions): Promise<void> {
    return this.notify('debug', context, eventType, payload, options);
  }

  info(context: Context, eventType: string, payload: unknown, options?: NotifyOptions): Promise<void> {
    return this.notify('info', context, eventType, payload, options);
  }

  warn(context: Context, eventType: string, payload: unknown, options?: NotifyOptions): Promise<void> {
    return this.notify('warn', context, eventType, payload, options);
  }

  error(context: Context, eventType: string, payload: unknown, options?: NotifyOptions): Promise<void> {
    return this.notify('error', context, eventType, payload, options);
  }

  critical(context: Context, eventType: string, payload: unknown, options?: NotifyOptions): Promise<void> {
    return this.notify('critical', context, eventType, payload, options);
  }

  audit(context: Context, eventType: string, payload: unknown, options?: NotifyOptions): Promise<void> {
    return this.notify('audit', context, eventType, payload, options);
  }

  sample(context: Context, eventType: string, payload: unknown, options?: NotifyOptions): Promise<void> {
    return this.notify('sample', context, eventType, payload, options);
  }

  /**
   * Resolves when every outlet has it; with `messaging`, when the broker took responsibility.
   *
   * @throws the first outlet's failure; with several, an `AggregateError` of all
   */
  async notify(
    priority: Priority,
    context: Context,
    eventType: string,
    payload: unknown,
    { signal, headers }: NotifyOptions = {},
  ): Promise<void> {
    if (typeof eventType !== 'string' || eventType === '')
      throw new ConfigError('eventType', 'expected a non-empty string');
    const {
      publisherId,
      topics = [],
      exchange,
      retention,
      timeoutMs,
      serializer,
      contextKeys = SAFE_CONTEXT_KEYS,
    } = this.#options;
    const plain = serializer?.serializeContext?.(context) ?? context;
    const notification: Notification = {
      id: uuid(),
      publisherId,
      eventType,
      priority,
      payload: serializer?.serializeEntity === undefined ? payload : serializer.serializeEntity(plain, payload),
      timestamp: new Date(),
      context: allowedContext(plain, contextKeys),
      headers,
    };
    const surroundings: OutletContext = { transport: this.#transport, topics, exchange, retention, timeoutMs, signal };
    await tellAll(this.#outlets, notification, surroundings);
  }
}

/** Random 128 bits in the form of a UUID, as oslo.messaging writes the ids of notifications. */
function uuid(): string {
  return newId().replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-a$4-$5');
}
