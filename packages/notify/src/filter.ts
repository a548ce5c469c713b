import type { Notification } from './notification.ts';

/** A text pattern, anchored at the start as in oslo.messaging. */
export type Pattern = RegExp | string;

/** Which notifications an endpoint takes. All that is given must match; a missing or other than text value does not. */
export interface NotificationFilter {
  readonly publisherId?: Pattern;
  readonly eventType?: Pattern;
  readonly context?: Readonly<Record<string, Pattern>>;
  /** Over `message_id` and `timestamp` (ISO 8601). */
  readonly metadata?: Readonly<Record<string, Pattern>>;
  readonly payload?: Readonly<Record<string, Pattern>>;
}

/** Compiled once. */
export function accepts(filter: NotificationFilter | undefined): (notification: Notification) => boolean {
  if (filter === undefined) return () => true;
  const publisher = text(filter.publisherId);
  const event = text(filter.eventType);
  const context = entries(filter.context);
  const metadata = entries(filter.metadata);
  const payload = entries(filter.payload);
  return (notification) =>
    publisher(notification.publisherId) &&
    event(notification.eventType) &&
    context(notification.context) &&
    metadata({ message_id: notification.id, timestamp: notification.timestamp.toISOString() }) &&
    payload(notification.payload);
}

function text(pattern: Pattern | undefined): (value: unknown) => boolean {
  if (pattern === undefined) return () => true;
  const source = typeof pattern === 'string' ? pattern : pattern.source;
  const flags = typeof pattern === 'string' ? '' : pattern.flags.replace(/[gy]/g, '');
  const anchored = new RegExp(`^(?:${source})`, flags);
  return (value) => typeof value === 'string' && anchored.test(value);
}

function entries(patterns: Readonly<Record<string, Pattern>> | undefined): (value: unknown) => boolean {
  if (patterns === undefined) return () => true;
  const tests = Object.entries(patterns).map(([key, pattern]) => ({ key, test: text(pattern) }));
  return (value) =>
    tests.every(
      ({ key, test }) =>
        typeof value === 'object' && value !== null && Object.hasOwn(value, key) && test(Reflect.get(value, key)),
    );
}
