import { MessagingError } from '@posthorn/core';
import type { Failure } from './codec.ts';

/** What the peer's method threw, when its class is not registered here. */
export class RemoteError extends MessagingError {
  /** The peer's class: `NotFound`, `builtins.ValueError`. */
  readonly type: string;
  /** The lines of the peer's stack or traceback. */
  readonly trace: readonly string[];
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;

  constructor({ type, message, trace, args = [], kwargs = {} }: Failure) {
    super('REMOTE', message);
    this.type = type;
    this.trace = trace;
    this.args = args;
    this.kwargs = kwargs;
  }
}

export class NoSuchMethodError extends MessagingError {
  constructor(message: string) {
    super('NO_SUCH_METHOD', message);
  }
}

export class UnsupportedVersionError extends MessagingError {
  constructor(message: string) {
    super('UNSUPPORTED_VERSION', message);
  }
}

export class VersionCapError extends MessagingError {
  constructor(version: string | undefined, cap: string) {
    super('VERSION_CAP', `version ${version ?? '(none)'} cannot be sent: the version cap is ${cap}`);
  }
}

/** A class that can be made from a message alone. */
export type ErrorClass = new (message: string) => Error;

/**
 * The errors that may cross the wire as classes, by the name they have there: `{ NotFound }`, or for Python peers
 * `{ 'builtins.ValueError': ValueError }`. Nothing else is ever made from a name that a peer sent.
 */
export type ErrorRegistry = Readonly<Record<string, ErrorClass>>;

const OURS: ErrorRegistry = { NoSuchMethodError, UnsupportedVersionError };

/** What a thrown value looks like on the wire. A `RemoteError` passes through under its own type. */
export function failureOf(thrown: unknown, registry: ErrorRegistry): Failure {
  if (thrown instanceof RemoteError) {
    const { type, message, trace, args, kwargs } = thrown;
    return { type, message, trace, args, kwargs };
  }
  if (!(thrown instanceof Error)) return { type: 'Error', message: String(thrown), trace: [] };
  const { message, stack = '' } = thrown;
  const kwargs =
    'kwargs' in thrown && typeof thrown.kwargs === 'object' && thrown.kwargs !== null
      ? { ...thrown.kwargs }
      : undefined;
  return { type: typeOf(thrown, registry), message, trace: stack.split('\n'), ...(kwargs && { kwargs }) };
}

/** The most derived registered class, or the class's own name. */
function typeOf(error: Error, registry: ErrorRegistry): string {
  const entries = Object.entries(registry);
  for (
    let prototype: unknown = Object.getPrototypeOf(error);
    prototype instanceof Error;
    prototype = Object.getPrototypeOf(prototype)
  ) {
    const found = entries.find(([, known]) => known.prototype === prototype);
    if (found !== undefined) return found[0];
  }
  return error.name;
}

/** The error to throw for a failure: of a registered class with the `RemoteError` as its cause, or the `RemoteError`. */
export function errorOf(failure: Failure, registry: ErrorRegistry): Error {
  const remote = new RemoteError(failure);
  const known = [registry, OURS].find((one) => Object.hasOwn(one, failure.type))?.[failure.type];
  if (known === undefined) return remote;
  const error = new known(failure.message);
  error.cause ??= remote;
  return error;
}
