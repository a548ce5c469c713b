import { json, MalformedError } from '@posthorn/core';
import type { Envelope, EnvelopeCodec } from './envelope.ts';
import { mediaType, parseObject } from './json-body.ts';

const CONTENT_TYPE = 'application/vnd.posthorn.message+json';

/** Posthorn's own form: the body is the envelope as a JSON object, field by field. */
export const nativeEnvelope: EnvelopeCodec = {
  encode: (envelope) => ({
    body: json.encode(envelope),
    contentType: CONTENT_TYPE,
    messageId: envelope.message_id,
  }),
  recognises: ({ contentType }) => contentType === CONTENT_TYPE || mediaType(contentType) === CONTENT_TYPE,
  decode({ body }) {
    const envelope = parseObject('the envelope', body);
    check(envelope);
    return envelope;
  },
};

// By hand, because each message pays for it: a zod schema that keeps further fields costs a copy.
const TEXTS = ['message_id', 'publisher_id', 'message_type'];
const OPTIONAL_TEXTS = ['signature', 'reply_to'];
const TEXT = 'a text of at least one character';
const TIME = 'a time like 2026-01-02T03:04:05.678Z';
const VERSION = /^\d{1,9}\.\d{1,9}(\.\d{1,9})?$/;

function check(fields: Record<string, unknown>): asserts fields is Envelope {
  for (const name of TEXTS) if (!isText(fields[name])) throw wrong(name, TEXT);
  for (const name of OPTIONAL_TEXTS) if (fields[name] !== undefined && !isText(fields[name])) throw wrong(name, TEXT);
  const { timestamp, expires_at, message_type_version } = fields;
  if (!isTime(timestamp)) throw wrong('timestamp', TIME);
  if (expires_at !== undefined && !isTime(expires_at)) throw wrong('expires_at', TIME);
  if (!isVersion(message_type_version)) throw wrong('message_type_version', 'a version like 1.0');
  if (!Object.hasOwn(fields, 'payload')) throw new MalformedError('the envelope has no payload');
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

/** Times on a day that every month has: `Date` takes ten times as long to say the same. */
const TIME_OF_ANY_MONTH = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3])(:[0-5]\d){2}\.\d{3}Z$/;

function isTime(value: unknown): boolean {
  if (typeof value !== 'string') return false;
  if (TIME_OF_ANY_MONTH.test(value)) return true;
  const time = new Date(value);
  return !Number.isNaN(time.getTime()) && time.toISOString() === value;
}

export function isVersion(value: unknown): value is string {
  return typeof value === 'string' && VERSION.test(value);
}

function wrong(name: string, expected: string): MalformedError {
  return new MalformedError(`the envelope's ${name} is not ${expected}`);
}
