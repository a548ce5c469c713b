import { ServiceError } from './errors.ts';

/** What a name may not hold: the separator, the wildcards of topics, white space. */
const NAME = /^[^.*#\s]+$/;

/**
 * The address of a handler, `test_hello.hello`, or of a service as a whole, `test_hello`. Its text is the routing key.
 * There is no empty one: where a message names none, there is `undefined`.
 */
export class EntryPoint {
  readonly service: string;
  readonly method: string | undefined;

  constructor(service: string, method?: string) {
    if (!NAME.test(service) || (method !== undefined && !NAME.test(method)))
      throw new ServiceError(
        'WrongEntryPointFormat',
        `"${method === undefined ? service : `${service}.${method}`}" is no entry point: expected service.method, without *, # and spaces`,
      );
    this.service = service;
    this.method = method;
    Object.freeze(this);
  }

  /** Reads `service.method`, `service` or nothing. */
  static parse(text: string): EntryPoint | undefined {
    if (text === '') return undefined;
    const dot = text.indexOf('.');
    return dot === -1 ? new EntryPoint(text) : new EntryPoint(text.slice(0, dot), text.slice(dot + 1));
  }

  /** The same, where nothing is not enough. `field` is for the error: `source`. */
  static required(text: string, field: string): EntryPoint {
    const entryPoint = EntryPoint.parse(text);
    if (entryPoint === undefined)
      throw new ServiceError('FieldMustFullyDefined', `${field} is empty: expected an entry point`);
    return entryPoint;
  }

  equals(other: EntryPoint | undefined): boolean {
    return other !== undefined && this.service === other.service && this.method === other.method;
  }

  toString(): string {
    return this.method === undefined ? this.service : `${this.service}.${this.method}`;
  }
  toJSON(): string {
    return this.toString();
  }
}
