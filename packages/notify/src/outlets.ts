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
  /** It neither changes the notification nor keeps it once `notify` returned, and so needs no copy of its own. */
  readonly onlyReads?: boolean;
  notify(notification: Notification, context: OutletContext): Promise<void>;
}

/**
 * Tells each outlet, with a copy of its own where it may change it, so that none sees what another does to it. One that
 * fails keeps no other from being told.
 *
 * @throws (rejects) the failure; where several failed, an `AggregateError`
 */
export function tellAll(outlets: readonly Outlet[], notification: Notification, context: OutletContext): Promise<void> {
  const [first] = outlets;
  // The usual case. Each promise between the application and the broker is felt in every notification.
  if (first !== undefined && outlets.length === 1) return tell(first, notification, context);
  return tellMany(outlets, notification, context);
}

async function tellMany(outlets: readonly Outlet[], notification: Notification, context: OutletContext): Promise<void> {
  const results = await Promise.allSettled(outlets.map((outlet) => tell(outlet, notification, context)));
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  if (failures.length > 1)
    throw new AggregateError(failures, `${failures.length} outlets failed to notify ${notification.eventType}`);
  if (failures.length === 1) throw failures[0];
}

function tell(outlet: Outlet, notification: Notification, context: OutletContext): Promise<void> {
  try {
    return Promise.resolve(outlet.notify(outlet.onlyReads ? notification : copied(notification), context));
  } catch (error) {
    return Promise.reject(error);
  }
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Sends to listeners, under `<topic>.<priority>` for each topic. Resolves when the broker has it. */
export function messaging(): Outlet {
  return {
    name: 'messaging',
    onlyReads: true,
    notify(notification, { transport, topics, exchange = transport.wire.exchange, retention, timeoutMs, signal }) {
      const codec = transport.wire.codecs.notify ?? nativeNotifyCodec(transport.wire.contents);
      const message = codec.encode(notification);
      const send = (topic: string): Promise<void> => {
        const key = `${topic}.${notification.priority}`;
        // Assigned, because what follows a spread in a literal takes half a microsecond each.
        const options: Mutable<SendOptions> = { ...profiles.notify };
        options.keepFor = codec.defaultGroup(exchange, key);
        if (retention !== undefined) options.retention = retention;
        if (timeoutMs !== undefined) options.timeoutMs = timeoutMs;
        if (signal !== undefined) options.signal = signal;
        return transport.send({ kind: 'topic', exchange, key }, message, options);
      };
      const [only = '', ...others] = topics;
      return others.length === 0 ? send(only) : allOf(topics.map(send));
    },
  };
}

async function allOf(sendings: readonly Promise<void>[]): Promise<void> {
  await Promise.all(sendings);
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
