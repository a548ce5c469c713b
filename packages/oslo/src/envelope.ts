import { inflateSync } from 'node:zlib';
import { bufferOf, compatible, MalformedError, type Message, messageOf } from '@posthorn/core';
import { parse, stringify } from './json.ts';

/** The inner message of every kind: one flat object. */
export type Inner = Readonly<Record<string, unknown>>;

const VERSION_KEY = 'oslo.version';
const MESSAGE_KEY = 'oslo.message';
const ENVELOPE_VERSION = '2.0';
/** An envelope up to its message. */
const SEALED = `{"${VERSION_KEY}":"${ENVELOPE_VERSION}","${MESSAGE_KEY}":`;
/** What a compressed body may unfold to, at most. */
const LARGEST_BODY = 16 * 1024 * 1024;

const CONTEXT = '_context_';

/** A message in the making. Completed by assignments: what follows a spread in a literal takes half a microsecond each. */
export type Draft = { -readonly [Key in keyof Message]: Message[Key] };

/** Envelope 2.0: the inner message is JSON text inside JSON. */
export function seal(inner: Inner): Draft {
  return bare(`${SEALED}${JSON.stringify(stringify(inner))}}`);
}

/** JSON without an envelope. */
export function bare(text: string): Draft {
  return { body: Buffer.from(text), contentType: 'application/json', contentEncoding: 'utf-8', headers: {} };
}

export function envelopeOf(inner: Inner): Inner {
  return { [VERSION_KEY]: ENVELOPE_VERSION, [MESSAGE_KEY]: stringify(inner) };
}

/**
 * The inner message out of an envelope; a body without one is itself the message (format 1.0).
 *
 * @throws {MalformedError} not JSON, not an object, an envelope of another version, or an unknown compression
 */
export function unseal(message: Message): Inner {
  const text = inflated(message);
  return openEnvelope(readEnvelope(text) ?? readObject(text, 'the body'));
}

/** Nothing in an envelope but its texts counts, so that JSON.parse is good enough. Undefined: it is none. */
function readEnvelope(text: string): Inner | undefined {
  try {
    const outer: unknown = JSON.parse(text);
    return typeof outer === 'object' && outer !== null && isEnvelope(outer) ? (outer as Inner) : undefined;
  } catch {
    return undefined;
  }
}

function isEnvelope(outer: object): boolean {
  return VERSION_KEY in outer && MESSAGE_KEY in outer;
}

/** @throws {MalformedError} an envelope of another version, or one that holds no object */
export function openEnvelope(outer: Inner): Inner {
  if (!isEnvelope(outer)) return outer;
  const version = outer[VERSION_KEY];
  if (typeof version !== 'string' || !compatible(ENVELOPE_VERSION, version)) {
    throw new MalformedError(`the envelope has version ${String(version)}, not ${ENVELOPE_VERSION}`);
  }
  const inner = outer[MESSAGE_KEY];
  if (typeof inner !== 'string') throw new MalformedError(`${MESSAGE_KEY} is not a string`);
  return readObject(inner, MESSAGE_KEY);
}

/** One `_context_…` key for each entry, added to the message. */
export function packContext(context: Readonly<Record<string, unknown>>, inner: Record<string, unknown>): void {
  for (const key of Object.keys(context)) inner[CONTEXT + key] = context[key];
}

export function unpackContext(inner: Inner): Record<string, unknown> {
  const context: Record<string, unknown> = {};
  for (const key in inner) {
    if (!key.startsWith(CONTEXT)) continue;
    // Defined, not assigned: `__proto__` is a key like any other.
    const value = { value: inner[key], writable: true, enumerable: true, configurable: true };
    Object.defineProperty(context, key.slice(CONTEXT.length), value);
  }
  return context;
}

/** @throws {MalformedError} not JSON, or no object */
export function readObject(text: string, what: string): Inner {
  return asObject(parseText(text, what), what);
}

export function asObject(value: unknown, what: string): Inner {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new MalformedError(`${what} is not an object`);
  return value as Inner;
}

function parseText(text: string, what: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new MalformedError(`${what} is not JSON: ${messageOf(error)}`, { cause: error });
  }
}

/** kombu names its compression in a header; its "gzip" is a zlib stream (RFC 1950). */
function inflated({ body, headers }: Message): string {
  const bytes = bufferOf(body);
  const compression = headers?.['compression'];
  if (compression === undefined) return bytes.toString();
  if (compression !== 'application/x-gzip') throw new MalformedError(`unknown compression ${compression}`);
  try {
    return inflateSync(bytes, { maxOutputLength: LARGEST_BODY }).toString();
  } catch (error) {
    throw new MalformedError(`the compressed body cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
