import { Buffer } from 'node:buffer';
import { bufferOf } from './bytes.ts';
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
    const bad = unencodable(value, []);
    if (bad !== undefined) throw new MalformedError(`value${bad} cannot be written as JSON`);
    return Buffer.from(stringify(value));
  },
  decode(body) {
    return JSON.parse(bufferOf(body).toString());
  },
};

function stringify(value: unknown): string {
  try {
    return JSON.stringify(value) ?? 'null';
  } catch (error) {
    throw new MalformedError(messageOf(error).split('\n')[0] ?? 'not JSON', { cause: error });
  }
}

/** Deeper than parsers and stacks take. */
const DEEPEST = 1_000;

/**
 * What in the value JSON has no form for, with its path (`value.a.0: a function`), or undefined. Cycles are found here,
 * on the way down, because a walk that only stops at a depth takes for ever where they branch.
 */
function unencodable(value: unknown, above: object[]): string | undefined {
  switch (typeof value) {
    case 'function':
    case 'symbol':
      return `: a ${typeof value}`;
    case 'bigint':
      return ': a big integer';
    case 'number':
      return Number.isFinite(value) ? undefined : `: ${value}`;
    case 'object':
      break;
    default:
      return undefined;
  }
  if (value === null) return undefined;
  if (value instanceof Uint8Array) return ': a Uint8Array inside another value';
  if ('toJSON' in value) return undefined;
  if (value instanceof Map || value instanceof Set) return `: a ${value.constructor.name}`;
  if (above.includes(value)) return ': a circular reference';
  if (above.length === DEEPEST) return `: nested deeper than ${DEEPEST}`;
  above.push(value);
  const bad = Array.isArray(value) ? unencodableItem(value, above) : unencodableField(value, above);
  above.pop();
  return bad;
}

function unencodableItem(list: readonly unknown[], above: object[]): string | undefined {
  for (let index = 0; index < list.length; index++) {
    const bad = unencodable(list[index], above);
    if (bad !== undefined) return `.${index}${bad}`;
  }
  return undefined;
}

function unencodableField(value: object, above: object[]): string | undefined {
  for (const key of Object.keys(value)) {
    const bad = unencodable((value as Readonly<Record<string, unknown>>)[key], above);
    if (bad !== undefined) return `.${key}${bad}`;
  }
  return undefined;
}
