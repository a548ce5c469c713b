const SECRET = /^(proxy-)?authorization$/i;

/** A value as logs may show it. Made only when a logger writes it; the value itself is untouched. */
export class Masked {
  readonly #value: unknown;

  constructor(value: unknown) {
    this.#value = value;
  }

  toJSON(): unknown {
    return masked(this.#value);
  }
}

function masked(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return value;
  if (Array.isArray(value)) return value.map(masked);
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, SECRET.test(key) ? '***' : masked(one)]));
}
