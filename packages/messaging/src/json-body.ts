import { isUtf8 } from 'node:buffer';
import { bufferOf, MalformedError, messageOf } from '@posthorn/core';

/**
 * The JSON value of a body. Bytes that are no UTF-8 are refused, rather than replaced.
 *
 * @param what names it in errors
 */
export function parseJson(what: string, body: Uint8Array): unknown {
  if (!isUtf8(body)) throw new MalformedError(`${what} is not UTF-8`);
  try {
    return JSON.parse(textOf(body));
  } catch (error) {
    throw new MalformedError(`${what} is not JSON: ${messageOf(error)}`, { cause: error });
  }
}

export function parseObject(what: string, body: Uint8Array): Record<string, unknown> {
  const value = parseJson(what, body);
  if (!isObject(value)) throw new MalformedError(`${what} is not a JSON object`);
  return value;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function textOf(body: Uint8Array): string {
  return bufferOf(body).toString();
}

/** The type of a MIME content type, without parameters and in lower case. */
export function mediaType(contentType = ''): string {
  return contentType.split(';', 1)[0]?.trim().toLowerCase() ?? '';
}
