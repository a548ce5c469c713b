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
const OURS = /^ph-/;

/** The native wire: message-id is the notification's, its metadata are headers, and the body is the payload alone. */
export function nativeNotifyCodec(contents: readonly ContentCodec[]): NotifyCodec {
  return {
    encode({ id, publisherId, eventType, priority, payload, timestamp, context, headers }) {
      const [content] = contents;
      if (content === undefined) throw new MalformedError('no content codec');
      return {
        messageId: id,
        contentType: content.contentType,
        body: attempt('the payload', () => content.encode(payload)),
        headers: {
          ...headers,
          [PUBLISHER]: publisherId,
          [EVENT]: eventType,
          [PRIORITY]: priority,
          [TIMESTAMP]: timestamp.toISOString(),
          ...(Object.keys(context).length > 0 && { [CONTEXT]: attempt('the context', () => JSON.stringify(context)) }),
        },
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
        headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !OURS.test(name))) as Record<
          string,
          HeaderValue
        >,
      };
    },
  };
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
