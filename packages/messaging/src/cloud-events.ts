import { isUtf8 } from 'node:buffer';
import { type HeaderValue, json, MalformedError, type Message } from '@posthorn/core';
import type { Envelope, EnvelopeCodec } from './envelope.ts';
import { mediaType, parseJson, parseObject, textOf } from './json-body.ts';
import { isVersion } from './native-envelope.ts';

export interface CloudEventsOptions {
  /** `structured`: the body is the whole event. `binary`: the body is the payload, and the rest are headers. */
  readonly mode: 'structured' | 'binary';
}

type Attributes = Readonly<Record<string, unknown>>;

const STRUCTURED = 'application/cloudevents+json';
/** The first is what JMS can read, too, and therefore sent. */
const PREFIXES = ['cloudEvents_', 'cloudEvents:'] as const;

/** The fields of an envelope that have a place of their own. */
const FIELDS: ReadonlySet<string> = new Set([
  ...['message_id', 'publisher_id', 'timestamp', 'message_type', 'message_type_version', 'payload'],
  ...['signature', 'expires_at', 'reply_to'],
]);

/** The attributes that they are, and what else has a meaning in CloudEvents. */
const ATTRIBUTES: ReadonlySet<string> = new Set([
  ...['id', 'source', 'time', 'type', 'posthornversion', 'posthornsignature', 'expirytime', 'posthornreplyto'],
  ...['specversion', 'datacontenttype', 'data', 'data_base64'],
]);

/**
 * CloudEvents 1.0, as JSON or in the binary mode of the AMQP binding; the mode is that of encoding, and decoding takes
 * both.
 *
 * | envelope | attribute |
 * |---|---|
 * | `message_id`, `message_type`, `timestamp` | `id`, `type`, `time` |
 * | `publisher_id` | `source`, which must be a URI reference |
 * | `message_type_version` | `posthornversion` |
 * | `signature`, `reply_to` | `posthornsignature`, `posthornreplyto` |
 * | `expires_at` | `expirytime`, an extension that others know, too |
 * | further fields | extensions: lower-case letters and digits; a text, a boolean or a 32-bit integer |
 *
 * Events of others have the version 1.0, and the moment of decoding for a missing `time`. Their extensions come as
 * further fields, but for `payload` and `signature`, of which an envelope has its own. Data that is no JSON comes as
 * text or bytes, with its `datacontenttype` as a further field.
 */
export function cloudEvents({ mode }: CloudEventsOptions): EnvelopeCodec {
  return {
    encode: mode === 'structured' ? encodeStructured : encodeBinary,
    recognises: (message) => isStructured(message) || isBinary(message),
    decode: (message) => (isStructured(message) ? decodeStructured(message) : decodeBinary(message)),
  };
}

function encodeStructured(envelope: Envelope): Message {
  const event = { ...attributesOf(envelope), datacontenttype: json.contentType, data: envelope.payload };
  return { body: json.encode(event), contentType: STRUCTURED, messageId: envelope.message_id };
}

function encodeBinary(envelope: Envelope): Message {
  const attributes = Object.entries(attributesOf(envelope));
  return {
    body: json.encode(envelope.payload),
    contentType: json.contentType,
    messageId: envelope.message_id,
    headers: Object.fromEntries(attributes.map(([name, value]) => [`${PREFIXES[0]}${name}`, value])),
  };
}

function attributesOf(envelope: Envelope): Readonly<Record<string, HeaderValue>> {
  const { publisher_id, signature, expires_at, reply_to } = envelope;
  if (!/^[\w\-.~:/?#[\]@!$&'()*+,;=%]+$/.test(publisher_id))
    throw new MalformedError(`the publisher_id "${publisher_id}" is no URI reference, as a CloudEvents source must be`);
  const attributes: Readonly<Record<string, HeaderValue>> = {
    specversion: '1.0',
    id: envelope.message_id,
    source: publisher_id,
    type: envelope.message_type,
    time: envelope.timestamp,
    posthornversion: envelope.message_type_version,
    ...(signature !== undefined && { posthornsignature: signature }),
    ...(expires_at !== undefined && { expirytime: expires_at }),
    ...(reply_to !== undefined && { posthornreplyto: reply_to }),
    ...extensionsOf(envelope),
  };
  for (const name in attributes) {
    const value = attributes[name];
    if (typeof value === 'string' && /[\p{Cc}\p{Surrogate}\p{Noncharacter_Code_Point}]/u.test(value))
      throw new MalformedError(`the CloudEvents attribute ${name} has control characters`);
  }
  return attributes;
}

function extensionsOf(envelope: Envelope): Readonly<Record<string, HeaderValue>> {
  const extensions: Record<string, HeaderValue> = {};
  for (const name in envelope) {
    const value = envelope[name];
    if (FIELDS.has(name) || value === undefined) continue;
    if (!/^[a-z0-9]+$/.test(name) || ATTRIBUTES.has(name))
      throw new MalformedError(`the field ${name} is no name for a CloudEvents extension`);
    if (typeof value !== 'string' && typeof value !== 'boolean' && !isInt32(value))
      throw new MalformedError(`the field ${name} is no text, boolean or 32-bit integer, as in CloudEvents it must be`);
    extensions[name] = value;
  }
  return extensions;
}

function isInt32(value: unknown): value is number {
  return typeof value === 'number' && (value | 0) === value;
}

/** The binding's rule: what begins like this is structured, in this format or another. */
const isCloudEventsType = (contentType = ''): boolean => /^application\/cloudevents/i.test(contentType);

function isStructured({ contentType }: Message): boolean {
  return mediaType(contentType) === STRUCTURED;
}

function isBinary({ contentType, headers = {} }: Message): boolean {
  return !isCloudEventsType(contentType) && PREFIXES.some((prefix) => Object.hasOwn(headers, `${prefix}specversion`));
}

function decodeStructured({ body }: Message): Envelope {
  const { data, data_base64, datacontenttype, ...attributes } = parseObject('the event', body);
  const contentType = optionalText('datacontenttype', datacontenttype);
  if (data_base64 === undefined || data_base64 === null) return envelopeOf(attributes, data ?? null, contentType);
  if (data !== undefined) throw new MalformedError('the CloudEvent has both data and data_base64');
  const bytes = typeof data_base64 === 'string' ? Buffer.from(data_base64, 'base64') : undefined;
  // Buffer passes over what is no Base64.
  if (bytes?.toString('base64') !== data_base64) throw new MalformedError("the CloudEvent's data_base64 is not Base64");
  return envelopeOf(attributes, dataOf(bytes, contentType), contentType);
}

function decodeBinary({ body, contentType, headers = {} }: Message): Envelope {
  const prefix = PREFIXES.find((one) => Object.hasOwn(headers, `${one}specversion`)) ?? PREFIXES[0];
  const attributes = Object.entries(headers)
    .filter(([name]) => name.startsWith(prefix))
    .map(([name, value]) => [name.slice(prefix.length), value]);
  const payload = body.length === 0 ? null : dataOf(body, contentType);
  return envelopeOf(Object.fromEntries(attributes), payload, contentType);
}

function envelopeOf(attributes: Attributes, payload: unknown, contentType: string | undefined): Envelope {
  if (attributes['specversion'] !== '1.0')
    throw new MalformedError('the CloudEvents attribute specversion is not "1.0"');
  const version = optionalText('posthornversion', attributes['posthornversion']) ?? '1.0';
  if (!isVersion(version)) throw new MalformedError('the CloudEvents attribute posthornversion is no version like 1.0');
  const signature = optionalText('posthornsignature', attributes['posthornsignature']);
  const expiresAt = time('expirytime', attributes['expirytime']);
  const replyTo = optionalText('posthornreplyto', attributes['posthornreplyto']);
  const further = Object.entries(attributes).filter(
    ([name, value]) => value !== null && !FIELDS.has(name) && !ATTRIBUTES.has(name),
  );
  return {
    ...Object.fromEntries(further),
    ...(contentType !== undefined && !isJson(contentType) && { datacontenttype: contentType }),
    message_id: text('id', attributes['id']),
    publisher_id: text('source', attributes['source']),
    timestamp: time('time', attributes['time']) ?? new Date().toISOString(),
    message_type: text('type', attributes['type']),
    message_type_version: version,
    payload,
    ...(signature !== undefined && { signature }),
    ...(expiresAt !== undefined && { expires_at: expiresAt }),
    ...(replyTo !== undefined && { reply_to: replyTo }),
  };
}

/** Bytes without a content type could be anything. */
function dataOf(bytes: Uint8Array, contentType: string | undefined): unknown {
  if (contentType === undefined) return bytes;
  if (isJson(contentType)) return parseJson('the data', bytes);
  return /^text\/|[/+]xml$/.test(mediaType(contentType)) && isUtf8(bytes) ? textOf(bytes) : bytes;
}

function isJson(contentType: string): boolean {
  return /[/+]json$/.test(mediaType(contentType));
}

function text(name: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new MalformedError(`the CloudEvents attribute ${name} is missing, or not a text`);
}

/** `null` is as good as absent, in CloudEvents. */
function optionalText(name: string, value: unknown): string | undefined {
  return value === undefined || value === null ? undefined : text(name, value);
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/** In the form that envelopes have. */
function time(name: string, value: unknown): string | undefined {
  const given = optionalText(name, value)?.toUpperCase();
  if (given === undefined) return undefined;
  const parsed = new Date(given);
  if (!RFC_3339.test(given) || Number.isNaN(parsed.getTime()))
    throw new MalformedError(`the CloudEvents attribute ${name} is not a time of RFC 3339`);
  return parsed.toISOString();
}
