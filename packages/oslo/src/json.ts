import { MalformedError, messageOf } from '@posthorn/core';

/**
 * JSON as Python's `json` module reads and writes it: NaN, Infinity and integers of any length stand bare. Such
 * integers are `bigint` here, when they are beyond 2^53; the rest is ordinary JSON.
 */

const DEEPEST = 1_000;

/** @throws {MalformedError} with the path to what has no form */
export function stringify(value: unknown): string {
  if (!isPlain(value, 0)) return write(value, 'value', []);
  try {
    return JSON.stringify(value) ?? 'null';
  } catch (error) {
    throw new MalformedError(messageOf(error).split('\n')[0] ?? '', { cause: error });
  }
}

/** Whether JSON.stringify writes the value as it is. What is too deep is not: `write` tells depth from a circle. */
function isPlain(value: unknown, depth: number): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object')
    return typeof value !== 'bigint' && typeof value !== 'function' && typeof value !== 'symbol';
  if (value === null) return true;
  if (depth === DEEPEST) return false;
  if (value instanceof Map || value instanceof Set || value instanceof Uint8Array) return false;
  if ('toJSON' in value) return value instanceof Date;
  if (Array.isArray(value)) return value.every((item) => isPlain(item, depth + 1));
  for (const key in value) if (!isPlain(value[key as keyof typeof value], depth + 1)) return false;
  return true;
}

/** @param above the objects around the value */
function write(value: unknown, path: string, above: object[]): string {
  switch (typeof value) {
    case 'bigint':
      return String(value);
    case 'number':
      return Number.isFinite(value) ? JSON.stringify(value) : String(value);
    case 'function':
    case 'symbol':
      throw new MalformedError(`${path}: a ${typeof value} cannot be written as JSON`);
    case 'undefined':
      return 'null';
    case 'object':
      return value === null ? 'null' : writeObject(value, path, above);
    default:
      return JSON.stringify(value);
  }
}

function writeObject(value: object, path: string, above: object[]): string {
  if (value instanceof Map || value instanceof Set || value instanceof Uint8Array) {
    throw new MalformedError(`${path}: a ${value.constructor.name} cannot be written as JSON`);
  }
  if (above.includes(value)) throw new MalformedError(`${path}: a circular reference cannot be written as JSON`);
  if (above.length === DEEPEST) throw new MalformedError(`${path.slice(0, 60)}…: nested deeper than ${DEEPEST}`);
  above.push(value);
  const text = writeMembers(value, path, above);
  above.pop();
  return text;
}

function writeMembers(value: object, path: string, above: object[]): string {
  if ('toJSON' in value && typeof value.toJSON === 'function') return write(value.toJSON(), path, above);
  if (Array.isArray(value)) return `[${value.map((item, index) => write(item, `${path}.${index}`, above)).join(',')}]`;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${write(member, `${path}.${key}`, above)}`).join(',')}}`;
}

/** @throws {SyntaxError} */
export function parse(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // NaN and its like, or no JSON at all.
    return new Parser(text).document();
  }
  return isExact(value, 0) ? value : new Parser(text).document();
}

/** Whether JSON.parse kept every digit of what it read, and read no deeper than we do. */
function isExact(value: unknown, depth: number): boolean {
  if (typeof value === 'number') return Number.isSafeInteger(value) || !Number.isInteger(value);
  if (typeof value !== 'object' || value === null) return true;
  if (depth === DEEPEST) return false;
  if (Array.isArray(value)) return value.every((item) => isExact(item, depth + 1));
  for (const key in value) if (!isExact(value[key as keyof typeof value], depth + 1)) return false;
  return true;
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const WORDS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['null', null],
  ['true', true],
  ['false', false],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): unknown {
    const value = this.#value();
    this.#match(SPACE);
    if (this.#at < this.#text.length) throw this.#unexpected();
    return value;
  }

  #value(): unknown {
    this.#match(SPACE);
    switch (this.#text[this.#at]) {
      case '{':
        return this.#nested(() => this.#object());
      case '[':
        return this.#nested(() => this.#array());
      case '"':
        return this.#string();
      default:
        return this.#scalar();
    }
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > DEEPEST) throw new SyntaxError(`nested deeper than ${DEEPEST} at position ${this.#at}`);
    this.#at++;
    const value = read();
    this.#depth--;
    return value;
  }

  #object(): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    if (this.#takes('}')) return object;
    do {
      this.#match(SPACE);
      const key = this.#string();
      if (!this.#takes(':')) throw this.#unexpected();
      // Defined, not assigned: `__proto__` is a key like any other.
      Object.defineProperty(object, key, {
        value: this.#value(),
        writable: true,
        enumerable: true,
        configurable: true,
      });
    } while (this.#takes(','));
    if (!this.#takes('}')) throw this.#unexpected();
    return object;
  }

  #array(): unknown[] {
    const array: unknown[] = [];
    if (this.#takes(']')) return array;
    do array.push(this.#value());
    while (this.#takes(','));
    if (!this.#takes(']')) throw this.#unexpected();
    return array;
  }

  #string(): string {
    const start = this.#at;
    if (this.#text[start] !== '"') throw this.#unexpected();
    // Not by a pattern: a long string overflows the stack of the matcher.
    let end = start;
    do {
      end = this.#text.indexOf('"', end + 1);
      if (end < 0) throw new SyntaxError(`unterminated string at position ${start} of JSON`);
    } while (this.#isEscaped(end));
    this.#at = end + 1;
    return JSON.parse(this.#text.slice(start, this.#at));
  }

  #isEscaped(at: number): boolean {
    let slashes = 0;
    while (this.#text[at - 1 - slashes] === '\\') slashes++;
    return slashes % 2 === 1;
  }

  #scalar(): unknown {
    for (const [word, value] of WORDS) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    return this.#number();
  }

  #number(): number | bigint {
    const token = this.#match(NUMBER);
    if (token === undefined || token[0] === '') throw this.#unexpected();
    const [digits, fraction, exponent] = token;
    const value = Number(digits);
    return fraction === undefined && exponent === undefined && !Number.isSafeInteger(value) ? BigInt(digits) : value;
  }

  #takes(sign: string): boolean {
    this.#match(SPACE);
    if (this.#text[this.#at] !== sign) return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at = pattern.lastIndex;
    return match;
  }

  #unexpected(): SyntaxError {
    const found = this.#text[this.#at];
    return new SyntaxError(
      found === undefined ? 'unexpected end of JSON' : `unexpected ${found} at position ${this.#at} of JSON`,
    );
  }
}
