/**
 * A deep copy of what JSON would write. What has a form of its own there (`toJSON`) is kept as it is; so are circles, for
 * the codec to refuse.
 */
export function copied<T>(value: T): T {
  return copyOf(value, new Map()) as T;
}

function copyOf(value: unknown, copies: Map<object, unknown>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return new Date(value);
  if (value instanceof Uint8Array || value instanceof Map || value instanceof Set) return structuredClone(value);
  if ('toJSON' in value) return value;
  const known = copies.get(value);
  if (known !== undefined) return known;
  const copy: object = Array.isArray(value) ? [] : Object.create(Object.getPrototypeOf(value));
  copies.set(value, copy);
  for (const [key, item] of Object.entries(value)) Reflect.set(copy, key, copyOf(item, copies));
  return copy;
}
