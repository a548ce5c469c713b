import { randomUUID } from 'node:crypto';
import {
  ConfigError,
  type Context,
  checkTarget,
  observed,
  type Retention,
  type Serializer,
  sending,
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
   * @throws (rejects) an outlet's failure; where several failed, an `AggregateError` of all
   */
  notify(
    priority: Priority,
    context: Context,
    eventType: string,
    payload: unknown,
    { signal, headers }: NotifyOptions = {},
  ): Promise<void> {
    try {
      const notification = this.#notification(priority, context, eventType, payload, headers);
      const { topics = [], exchange, retention, timeoutMs } = this.#options;
      const transport = this.#transport;
      const surroundings: OutletContext = { transport, topics, exchange, retention, timeoutMs, signal };
      if (sending.hasSubscribers) return this.#observed(notification, surroundings);
      return tellAll(this.#outlets, notification, surroundings);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #notification(
    priority: Priority,
    context: Context,
    eventType: string,
    payload: unknown,
    headers: Notification['headers'],
  ): Notification {
    if (typeof eventType !== 'string' || eventType === '')
      throw new ConfigError('eventType', 'expected a non-empty string');
    const { publisherId, serializer, contextKeys = SAFE_CONTEXT_KEYS } = this.#options;
    const plain = serializer?.serializeContext?.(context) ?? context;
    return {
      id: randomUUID(),
      publisherId,
      eventType,
      priority,
      payload: serializer?.serializeEntity === undefined ? payload : serializer.serializeEntity(plain, payload),
      timestamp: new Date(),
      context: allowedContext(plain, contextKeys),
      headers,
    };
  }

  #observed(notification: Notification, surroundings: OutletContext): Promise<void> {
    const { id, eventType: name, context, payload: content } = notification;
    const { transport, topics, exchange = transport.wire.exchange } = surroundings;
    const headers = { ...notification.headers };
    const about = {
      pattern: 'notify',
      operation: 'notify',
      name,
      transport,
      exchange,
      topic: topics.join(','),
    } as const;
    return observed(sending, { ...about, id, context, content, headers }, () =>
      tellAll(this.#outlets, { ...notification, headers }, surroundings),
    );
  }
}
