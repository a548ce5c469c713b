import { MalformedError } from '@posthorn/core';

/** Deeper than stacks take, and where a circle is told from a tree. */
const DEEPEST = 1_000;

type Path = (string | number)[];

/**
 * The one text that a JSON value has by RFC 8785 (JCS), whoever writes it: members sorted by the UTF-16 code units of
 * their names, numbers and strings as ECMAScript writes them, no white space.
 *
 * Takes what `JSON.parse` gives: plain objects and lists of null, booleans, finite numbers and well-formed strings.
 *
 * @throws {MalformedError} with the path of anything else: `value.a.0: a Date`
 */
export function canonicalJson(value: unknown): string {
  return write(value, ['value']);
}

function write(value: unknown, path: Path): string {
  switch (typeof value) {
    case 'string':
      return quote(value, path);
    case 'number':
      if (!Number.isFinite(value)) throw unwritable(path, String(value));
      return String(value);
    case 'boolean':
      return String(value);
    case 'object':
      if (value === null) return 'null';
      if (path.length > DEEPEST) throw new MalformedError(`value is nested deeper than ${DEEPEST}, or circular`);
      return Array.isArray(value) ? writeList(value, path) : writeObject(value, path);
    default:
      throw unwritable(path, value === undefined ? 'undefined' : `a ${typeof value}`);
  }
}

function writeList(list: readonly unknown[], path: Path): string {
  let text = '';
  for (let index = 0; index < list.length; index++) {
    path.push(index);
    text += `${index === 0 ? '' : ','}${write(list[index], path)}`;
    path.pop();
  }
  return `[${text}]`;
}

function writeObject(object: object, path: Path): string {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null)
    throw unwritable(path, `a ${object.constructor?.name ?? 'class'}`);
  let text = '';
  for (const name of Object.keys(object).sort()) {
    path.push(name);
    text += `${text === '' ? '' : ','}${quote(name, path)}:${write(Reflect.get(object, name), path)}`;
    path.pop();
  }
  return `{${text}}`;
}

/** Printable ASCII without quotes and backslashes stands for itself: most names and texts. */
const PLAIN = /^[ !#-[\]-~]*$/;

function quote(text: string, path: Path): string {
  if (PLAIN.test(text)) return `"${text}"`;
  if (/\p{Surrogate}/u.test(text)) throw unwritable(path, 'a lone surrogate');
  return JSON.stringify(text);
}

function unwritable(path: Path, what: string): MalformedError {
  return new MalformedError(`${path.join('.')}: ${what} cannot be written as canonical JSON`);
}
