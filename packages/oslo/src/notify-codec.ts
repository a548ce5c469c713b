import { MalformedError, type Message, newId } from '@posthorn/core';
import { type Notification, type NotifyCodec, parsePriority } from '@posthorn/notify';
import { bare, type Inner, packContext, seal, unpackContext, unseal } from './envelope.ts';
import { stringify } from './json.ts';
import { headersOf, withTrace } from './trace.ts';

/** `v2` is the envelope (`messagingv2` in Python), `v1` the bare message (`messaging`). Both are understood. */
export type NotificationFormat = 'v1' | 'v2';

/** Headers that are not the notifier's: kombu's, and those of retries. */
const OURS = /^(?:compression$|ph-)/;

/** Notifications as oslo.messaging's notifiers and listeners exchange them. */
export function osloNotify(format: NotificationFormat, strict: boolean): NotifyCodec {
  return {
    encode(notification) {
      const { context, headers } = notification;
      const unique = newId();
      const inner = toInner(notification);
      inner['_unique_id'] = unique;
      packContext(strict ? context : withTrace(context, headers), inner);
      const message = format === 'v2' ? seal(inner) : bare(stringify(inner));
      if (strict) return message;
      if (headers !== undefined) message.headers = { ...headers };
      message.messageId = unique;
      return message;
    },

    defaultGroup: (_exchange, key) => key,

    decode(message) {
      const inner = unseal(message);
      return fromInner(inner, unpackContext(inner), message);
    },
  };
}

/** A notification as Python writes it, without its context. */
export function toInner({
  id,
  publisherId,
  eventType,
  priority,
  payload,
  timestamp,
}: Notification): Record<string, unknown> {
  return {
    message_id: id,
    publisher_id: publisherId,
    event_type: eventType,
    priority: priority.toUpperCase(),
    payload: payload === undefined ? null : payload,
    timestamp: pythonTime(timestamp),
  };
}

/** @throws {MalformedError} something that every notification has is missing */
export function fromInner(inner: Inner, context: Notification['context'], { headers = {} }: Message): Notification {
  const priority = parsePriority(inner['priority']);
  if (priority === undefined) throw new MalformedError(`unknown priority ${String(inner['priority'])}`);
  return {
    id: text(inner, 'message_id'),
    // Python's notifiers need no publisher.
    publisherId: inner['publisher_id'] == null ? '' : text(inner, 'publisher_id'),
    eventType: text(inner, 'event_type'),
    priority,
    payload: inner['payload'] ?? null,
    timestamp: parsePythonTime(text(inner, 'timestamp')),
    context,
    headers: headersOf(Object.fromEntries(Object.entries(headers).filter(([name]) => !OURS.test(name))), context),
  };
}

function text(inner: Inner, key: string): string {
  const value = inner[key];
  if (typeof value !== 'string') throw new MalformedError(`a notification without ${key}`);
  return value;
}

/** `str()` of a naive UTC datetime: `2026-11-20 22:13:31.688000`. */
function pythonTime(time: Date): string {
  return time.toISOString().replace('T', ' ').replace('Z', '000');
}

/** Naive times are UTC; microseconds beyond the millisecond are cut. */
function parsePythonTime(written: string): Date {
  const zoned = /(?:Z|[+-]\d\d:?\d\d)$/.test(written) ? written : `${written}Z`;
  const time = new Date(zoned.replace(' ', 'T').replace(/(\.\d{3})\d+/, '$1'));
  if (Number.isNaN(time.getTime())) throw new MalformedError(`${written} is not a time`);
  return time;
}
