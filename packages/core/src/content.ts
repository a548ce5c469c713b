import { MalformedError, messageOf } from './errors.ts';

/** Values to bytes and back, under a MIME type. */
export interface ContentCodec {
  readonly contentType: string;
  encode(value: unknown): Uint8Array;
  /** May throw anything; callers turn it into `MALFORMED`. */
  decode(body: Uint8Array): unknown;
}

/** Bytes as they are: chosen by itself whenever a value is a `Uint8Array`. */
export const BINARY = 'application/octet-stream';

/**
 * JSON. What JSON would lose in silence is refused with the path to it: functions, symbols, big integers, NaN,
 * infinities, maps and sets. `undefined` counts as absent.
 */
export const json: ContentCodec = {
  contentType: 'application/json',
  encode(value) {
    const bad = unencodable(value, 0);
    if (bad !== undefined) throw new MalformedError(`${bad} cannot be written as JSON`);
    return Buffer.from(stringify(value));
  },
  decode(body) {
    return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString());
  },
};

function stringify(value: unknown): string {
  try {
    return JSON.stringify(value) ?? 'null';
  } catch (error) {
    throw new MalformedError(messageOf(error).split('\n')[0] ?? 'not JSON', { cause: error });
  }
}

const DEEP = 1000;

/** What in the value JSON has no form for, with its path (`value.a.0: a function`), or undefined. */
function unencodable(value: unknown, depth: number): string | undefined {
  switch (typeof value) {
    case 'function':
    case 'symbol':
      return `value: a ${typeof value}`;
    case 'bigint':
      return 'value: a big integer';
    case 'number':
      return Number.isFinite(value) ? undefined : `value: ${value}`;
    case 'object':
      break;
    default:
      return undefined;
  }
  if (value === null) return undefined;
  if (value instanceof Uint8Array) return 'value: a Uint8Array inside another value';
  if ('toJSON' in value) return undefined;
  // A cycle, or depth no parser takes: JSON.stringify tells which, with a better text than ours.
  if (depth > DEEP) return undefined;
  if (value instanceof Map || value instanceof Set) return `value: a ${value.constructor.name}`;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const bad = unencodable(value[index], depth + 1);
      if (bad !== undefined) return bad.replace('value', `value.${index}`);
    }
    return undefined;
  }
  for (const key of Object.keys(value)) {
    const bad = unencodable((value as Record<string, unknown>)[key], depth + 1);
    if (bad !== undefined) return bad.replace('value', `value.${key}`);
  }
  return undefined;
}
