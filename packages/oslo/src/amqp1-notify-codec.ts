import { bufferOf, type Message } from '@posthorn/core';
import type { NotifyCodec } from '@posthorn/notify';
import { asObject, envelopeOf, openEnvelope, readObject } from './envelope.ts';
import { stringify } from './json.ts';
import { fromInner, type NotificationFormat, toInner } from './notify-codec.ts';
import { withTrace } from './trace.ts';

/** Notifications as the amqp driver of oslo.messaging up to 14 has them: the envelope, if any, stands beside the context. */
export function amqp1Notify(format: NotificationFormat, strict: boolean): NotifyCodec {
  return {
    encode(notification) {
      const { id, context, headers } = notification;
      const inner = toInner(notification);
      const request = format === 'v2' ? envelopeOf(inner) : inner;
      return {
        body: Buffer.from(stringify({ request, context: strict ? context : withTrace(context, headers) })),
        ...(!strict && { messageId: id }),
        ...(!strict && headers !== undefined && { headers }),
      };
    },

    // Here the queues of two exchanges are apart. The topology reads the name again.
    defaultGroup: groupOf,

    decode(message) {
      const { request, context } = readObject(textOf(message), 'the body');
      const inner = openEnvelope(asObject(request, 'the notification'));
      return fromInner(inner, asObject(context ?? {}, 'the context'), message);
    },
  };
}

/** The default group of the listeners to one topic and priority. */
export function groupOf(exchange: string, key: string): string {
  return `${encodeURIComponent(exchange)}/${key}`;
}

/** The exchange and the key of a name that `groupOf` made, whatever was added to its end; others have no exchange. */
export function placeOf(group: string): { readonly exchange: string; readonly key: string } {
  const [, exchange, key] = /^((?:[^/%]|%[0-9A-F]{2})*)\/(.*)$/s.exec(group) ?? [];
  if (exchange === undefined || key === undefined) return { exchange: '', key: group };
  return { exchange: decodeURIComponent(exchange), key };
}

function textOf({ body }: Message): string {
  return bufferOf(body).toString();
}
