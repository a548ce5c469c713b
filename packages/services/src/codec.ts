import { type HeaderValue, json, type Message, messageOf } from '@posthorn/core';
import { EntryPoint } from './entry-point.ts';
import { ServiceError } from './errors.ts';
import { isParams, type ServiceHeaders, type ServiceMessage } from './messages.ts';

/** The names on the wire. All are headers; `reply_to` may be missing. */
const STANDARD = [
  'correlation_id',
  'request_id',
  'message_id',
  'message_type',
  'reply_to',
  'source',
  'destination',
] as const;

/** @throws {ServiceError} `ForbiddenHeaders` when an application's own headers bear a standard name */
export function checkHeaders(headers: ServiceHeaders): ServiceHeaders {
  const taken = STANDARD.filter((name) => Object.hasOwn(headers, name));
  if (taken.length > 0)
    throw new ServiceError(
      'ForbiddenHeaders',
      `the headers ${taken.join(', ')} are Posthorn's own: choose other names`,
    );
  return headers;
}

/** @throws {TypeError} when the payload is no plain object */
export function encode(message: ServiceMessage): Message {
  const { payload, context, messageId, replyTo, destination } = message;
  if (!isParams(payload)) throw new TypeError(`the payload must be a plain object, not ${String(payload)}`);
  return {
    messageId,
    contentType: json.contentType,
    headers: {
      ...message.headers,
      correlation_id: message.correlationId,
      request_id: message.requestId,
      message_id: messageId,
      message_type: message.type,
      reply_to: String(replyTo ?? ''),
      source: String(message.source),
      destination: String(destination ?? ''),
    },
    body: json.encode({ payload, context }),
  };
}

/** @throws {ServiceError} naming the header or part that is missing or wrong */
export function decode({ headers = {}, body }: Message): ServiceMessage {
  const text = (name: (typeof STANDARD)[number]): string => {
    const value: HeaderValue | undefined = headers[name];
    if (value === undefined) throw new ServiceError('FieldMustExist', `a message without the header ${name}`);
    return String(value);
  };
  const type = text('message_type');
  const destination = text('destination');
  const replyTo = headers['reply_to'] === undefined ? '' : text('reply_to');
  const fields = {
    correlationId: text('correlation_id'),
    requestId: text('request_id'),
    messageId: text('message_id'),
    source: EntryPoint.required(text('source'), 'source'),
    headers: Object.freeze({ ...headers }),
    ...decodeBody(body),
  };
  switch (type) {
    case 'request':
      return Object.freeze({
        ...fields,
        type,
        destination: EntryPoint.required(destination, 'destination'),
        replyTo: EntryPoint.parse(replyTo),
      });
    case 'response':
    case 'error':
      return Object.freeze({
        ...fields,
        type,
        destination: EntryPoint.required(destination, 'destination'),
        replyTo: undefined,
      });
    case 'notification':
      return Object.freeze({ ...fields, type, destination: undefined, replyTo: undefined });
    default:
      throw new ServiceError(
        'UnsuitableFieldValue',
        `message_type "${type}": expected request, response, error or notification`,
      );
  }
}

function decodeBody(body: Uint8Array): Pick<ServiceMessage, 'payload' | 'context'> {
  let value: unknown;
  try {
    value = json.decode(body);
  } catch (error) {
    throw new ServiceError('UnsuitableFieldValue', `a body that is not JSON: ${messageOf(error)}`, { cause: error });
  }
  if (!isParams(value) || !isParams(value['payload']) || !isParams(value['context'] ?? {}))
    throw new ServiceError('UnsuitableFieldValue', 'a body that is not { payload: {…}, context: {…} }');
  const { payload, context } = value;
  // What the handler sees as the context holds the payload already: the next message in the chain carries it on.
  return { payload: Object.freeze(payload), context: Object.freeze({ ...(isParams(context) && context), ...payload }) };
}
