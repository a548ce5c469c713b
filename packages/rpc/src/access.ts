import type { ErrorClass } from './errors.ts';

const EXPOSED = Symbol('posthorn.exposed');
const EXPECTED = Symbol('posthorn.expected');

type Method = (...args: never[]) => unknown;

interface Marks {
  [EXPOSED]?: true;
  [EXPECTED]?: readonly ErrorClass[];
}

/** Marks a method as callable from outside, for servers with `access: 'explicit'`. Also a decorator. */
export function expose<M extends Method>(method: M, _context?: unknown): M {
  (method as M & Marks)[EXPOSED] = true;
  return method;
}

/**
 * Marks the errors that a method throws in the ordinary course of things: they reach the caller, and are not logged as
 * failures of the server. `@expected(NotFound)` or `expected(NotFound)(method)`.
 */
export function expected(
  ...classes: readonly (abstract new (
    ...args: never[]
  ) => Error)[]
): <M extends Method>(method: M, context?: unknown) => M {
  return (method) => {
    (method as typeof method & Marks)[EXPECTED] = classes as readonly ErrorClass[];
    return method;
  };
}

/** @internal */
export function isExposed(method: Method): boolean {
  return (method as Method & Marks)[EXPOSED] === true;
}

/** @internal */
export function isExpected(method: Method, thrown: unknown): boolean {
  return (method as Method & Marks)[EXPECTED]?.some((known) => thrown instanceof known) ?? false;
}
