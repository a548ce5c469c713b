import type { Logger, Retention, SendOptions, Transport } from '@posthorn/core';
import { profiles } from '@posthorn/core';
import { copied } from './copied.ts';
import { nativeNotifyCodec } from './native-codec.ts';
import type { Notification } from './notification.ts';
import type { Priority } from './priorities.ts';
import { masked } from './redact.ts';

export interface OutletContext {
  readonly transport: Transport;
  readonly topics: readonly string[];
  /** Undefined: the transport's. */
  readonly exchange: string | undefined;
  readonly retention: Retention | undefined;
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Where a notifier's notifications go: what oslo.messaging calls a notification driver. */
export interface Outlet {
  readonly name: string;
  notify(notification: Notification, context: OutletContext): Promise<void>;
}

/**
 * Tells each outlet, with a copy of its own, so that none sees what another does to it. One that fails keeps no other
 * from being told.
 *
 * @throws the failure; where several failed, an `AggregateError`
 */
export async function tellAll(
  outlets: Iterable<Outlet>,
  notification: Notification,
  context: OutletContext,
): Promise<void> {
  const results = await Promise.allSettled(
    Array.from(outlets, async (outlet) => await outlet.notify(copied(notification), context)),
  );
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  if (failures.length > 1)
    throw new AggregateError(failures, `${failures.length} outlets failed to notify ${notification.eventType}`);
  if (failures.length === 1) throw failures[0];
}

/** Sends to listeners, under `<topic>.<priority>` for each topic. Resolves when the broker has it. */
export function messaging(): Outlet {
  return {
    name: 'messaging',
    async notify(
      notification,
      { transport, topics, exchange = transport.wire.exchange, retention, timeoutMs, signal },
    ) {
      const codec = transport.wire.codecs.notify ?? nativeNotifyCodec(transport.wire.contents);
      const message = codec.encode(notification);
      const options: SendOptions = {
        ...profiles.notify,
        ...(retention && { retention }),
        ...(timeoutMs !== undefined && { timeoutMs }),
        ...(signal && { signal }),
      };
      await Promise.all(
        topics.map((topic) => {
          const key = `${topic}.${notification.priority}`;
          const keepFor = codec.defaultGroup(exchange, key);
          return transport.send({ kind: 'topic', exchange, key }, message, { ...options, keepFor });
        }),
      );
    },
  };
}

const LEVELS: Readonly<Record<Priority, keyof Logger>> = {
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  error: 'error',
  critical: 'error',
  audit: 'info',
  sample: 'info',
};

/** Writes log records, secrets masked. A pino logger fits. */
export function log(logger: Logger): Outlet {
  return {
    name: 'log',
    async notify({ priority, context, ...notification }) {
      logger[LEVELS[priority]](
        { notification: masked({ ...notification, priority, context }) },
        notification.eventType,
      );
    },
  };
}

/** Forgets everything. */
export function noop(): Outlet {
  return { name: 'noop', notify: async () => {} };
}

/** Keeps everything, for tests to look at: `test` in oslo.messaging. */
export function recording(): Outlet & { readonly notifications: readonly Notification[] } {
  const notifications: Notification[] = [];
  return {
    name: 'test',
    notifications,
    async notify(notification) {
      notifications.push(notification);
    },
  };
}
