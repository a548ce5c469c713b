import {
  type ContentCodec,
  type Context,
  type HeaderValue,
  MalformedError,
  type Message,
  messageOf,
} from '@posthorn/core';
import type { NotifyCodec } from './notification.ts';
import { parsePriority } from './priorities.ts';

const PUBLISHER = 'ph-publisher';
const EVENT = 'ph-event';
const PRIORITY = 'ph-priority';
const TIMESTAMP = 'ph-timestamp';
const CONTEXT = 'ph-context';
const OURS = 'ph-';

/** The native wire: message-id is the notification's, its metadata are headers, and the body is the payload alone. */
export function nativeNotifyCodec(contents: readonly ContentCodec[]): NotifyCodec {
  return {
    encode({ id, publisherId, eventType, priority, payload, timestamp, context, headers }) {
      const [content] = contents;
      if (content === undefined) throw new MalformedError('no content codec');
      // Assigned, because what follows a spread in a literal takes half a microsecond each.
      const all: Record<string, HeaderValue> = { ...headers };
      all[PUBLISHER] = publisherId;
      all[EVENT] = eventType;
      all[PRIORITY] = priority;
      all[TIMESTAMP] = timestamp.toISOString();
      if (Object.keys(context).length > 0) all[CONTEXT] = attempt('the context', () => JSON.stringify(context));
      return {
        messageId: id,
        contentType: content.contentType,
        body: attempt('the payload', () => content.encode(payload)),
        headers: all,
      };
    },

    // Topics of two exchanges share nothing.
    defaultGroup: (exchange, key) => `${exchange}/${key}`,

    decode(message) {
      const { headers = {}, messageId, contentType } = message;
      if (messageId === undefined) throw new MalformedError('a notification without a message id');
      const priority = parsePriority(headers[PRIORITY]);
      if (priority === undefined) throw new MalformedError(`unknown priority ${String(headers[PRIORITY])}`);
      const content = contents.find((one) => one.contentType === contentType);
      if (content === undefined) throw new MalformedError(`a payload of the unknown content type ${contentType}`);
      const timestamp = new Date(text(message, TIMESTAMP));
      if (Number.isNaN(timestamp.getTime())) throw new MalformedError(`the header ${TIMESTAMP} is not a time`);
      return {
        id: messageId,
        publisherId: text(message, PUBLISHER),
        eventType: text(message, EVENT),
        priority,
        payload: attempt('the payload', () => content.decode(message.body)),
        timestamp,
        context: headers[CONTEXT] === undefined ? {} : contextOf(text(message, CONTEXT)),
        headers: othersOf(headers),
      };
    },
  };
}

/** Without ours. */
function othersOf(headers: NonNullable<Message['headers']>): Record<string, HeaderValue> {
  const others: Record<string, HeaderValue> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined && !name.startsWith(OURS)) others[name] = value;
  }
  return others;
}

function text({ headers = {} }: Message, name: string): string {
  const value = headers[name];
  if (typeof value !== 'string') throw new MalformedError(`a notification without the header ${name}`);
  return value;
}

function contextOf(encoded: string): Context {
  const context = attempt(`the header ${CONTEXT}`, (): unknown => JSON.parse(encoded));
  if (typeof context !== 'object' || context === null || Array.isArray(context))
    throw new MalformedError(`the header ${CONTEXT} is not an object`);
  return { ...context };
}

function attempt<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new MalformedError(`${what}: ${messageOf(error)}`, { cause: error });
  }
}
