import type { Address } from './address.ts';

/**
 * What went wrong, for programs. Act on the code, show the message to people.
 *
 * | code | meaning | may be tried again |
 * |---|---|---|
 * | `CONFIG` | an option, URL or declaration is wrong | no |
 * | `INVALID_TARGET` | a target lacks what the operation needs, or has what it forbids | no |
 * | `UNSUPPORTED` | this transport cannot do that | no |
 * | `ACCESS` | the broker refused the credentials, the vhost or the permission; or TLS verification failed | no |
 * | `CLOSED` | the object was closed by its owner | no |
 * | `CONNECTION` | no connection, and nothing was written | yes |
 * | `OVERLOADED` | a bound of ours was reached, and nothing was written | yes |
 * | `NOT_DELIVERED` | the broker refused the message | yes |
 * | `TIMEOUT` | the deadline passed | no |
 * | `UNKNOWN` | written, but the connection was lost or no confirmation came in time: it may or may not have happened | no |
 * | `UNROUTABLE` | nobody receives at that address | no |
 * | `MALFORMED` | bytes or values that do not follow the format | no |
 * | `TOO_LARGE` | above `maxMessageBytes` | no |
 * | `REMOTE` | the peer's method failed | no |
 * | `NO_SUCH_METHOD`, `UNSUPPORTED_VERSION` | the peer does not offer that | no |
 * | `VERSION_CAP` | the client's version cap forbids the call | no |
 */
export type ErrorCode =
  | 'CONFIG'
  | 'INVALID_TARGET'
  | 'UNSUPPORTED'
  | 'ACCESS'
  | 'CLOSED'
  | 'CONNECTION'
  | 'OVERLOADED'
  | 'NOT_DELIVERED'
  | 'TIMEOUT'
  | 'UNKNOWN'
  | 'UNROUTABLE'
  | 'MALFORMED'
  | 'TOO_LARGE'
  | 'REMOTE'
  | 'NO_SUCH_METHOD'
  | 'UNSUPPORTED_VERSION'
  | 'VERSION_CAP';

const RETRYABLE: ReadonlySet<ErrorCode> = new Set(['CONNECTION', 'OVERLOADED', 'NOT_DELIVERED']);

export interface ErrorOptions {
  readonly cause?: unknown;
}

/** The one base of every error that Posthorn makes. The subclasses are a comfort; `code` is the contract. */
export class MessagingError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.name = new.target.name;
  }

  /** True when nothing happened and the same operation may succeed later. */
  get retryable(): boolean {
    return RETRYABLE.has(this.code);
  }
}

export class ConfigError extends MessagingError {
  /** Where in the configuration, dotted: `hosts.1.port`. Empty when the whole is wrong. */
  readonly path: string;
  constructor(path: string, message: string, options?: ErrorOptions) {
    super('CONFIG', path === '' ? message : `${path}: ${message}`, options);
    this.path = path;
  }
}

export class TargetError extends MessagingError {
  constructor(message: string) {
    super('INVALID_TARGET', message);
  }
}

export class UnsupportedError extends MessagingError {
  constructor(driver: string, what: string) {
    super('UNSUPPORTED', `the ${driver} transport does not support ${what}`);
  }
}

export class AccessError extends MessagingError {
  constructor(message: string, options?: ErrorOptions) {
    super('ACCESS', message, options);
  }
}

export class ClosedError extends MessagingError {
  constructor(what: string) {
    super('CLOSED', `${what} is closed`);
  }
}

export class ConnectionError extends MessagingError {
  constructor(message: string, options?: ErrorOptions) {
    super('CONNECTION', message, options);
  }
}

export class OverloadedError extends MessagingError {
  constructor(message: string) {
    super('OVERLOADED', message);
  }
}

export class DeliveryError extends MessagingError {
  constructor(message: string, options?: ErrorOptions) {
    super('NOT_DELIVERED', message, options);
  }
}

export class TimeoutError extends MessagingError {
  readonly afterMs: number;
  constructor(what: string, afterMs: number) {
    super('TIMEOUT', `${what} timed out after ${Math.round(afterMs)} ms`);
    this.afterMs = afterMs;
  }
}

export class OutcomeUnknownError extends MessagingError {
  constructor(what: string, options?: ErrorOptions) {
    const { cause } = options ?? {};
    const lost = 'the connection was lost after it was written';
    const why =
      cause instanceof TimeoutError ? `it was written, but not confirmed in ${Math.round(cause.afterMs)} ms` : lost;
    super('UNKNOWN', `${what}: ${why}, so its outcome is unknown`, options);
  }
}

export class UnroutableError extends MessagingError {
  readonly address: Address | undefined;
  constructor(what: string, address?: Address) {
    super('UNROUTABLE', `${what}: nobody receives there`);
    this.address = address;
  }
}

export class MalformedError extends MessagingError {
  constructor(message: string, options?: ErrorOptions) {
    super('MALFORMED', message, options);
  }
}

export class TooLargeError extends MessagingError {
  readonly bytes: number;
  readonly limitBytes: number;
  constructor(what: string, bytes: number, limitBytes: number) {
    super('TOO_LARGE', `${what} is ${bytes} bytes, above the limit of ${limitBytes} (maxMessageBytes)`);
    this.bytes = bytes;
    this.limitBytes = limitBytes;
  }
}

/** The text of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Anything that was thrown, as an error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(messageOf(thrown));
}
