import type { Context } from '@posthorn/core';

/** What a call made while serving another inherits from it. */
export interface Scope {
  readonly signal: AbortSignal;
  /** On the clock of `performance.now()`. */
  readonly deadline: number | undefined;
}

/** A constructor that returns what it is given: who extends it adds private fields to that. */
class Given {
  constructor(given: object) {
    // biome-ignore lint/correctness/noConstructorReturn: the purpose of this class
    return given;
  }
}

/** A private field is seen by nobody else: not by enumeration, comparison or JSON. */
class Scoped extends Given {
  #scope: Scope | undefined;

  static enter(context: object, scope: Scope): void {
    const scoped = #scope in context ? context : new Scoped(context);
    scoped.#scope = scope;
  }

  static of(context: object): Scope | undefined {
    return #scope in context ? context.#scope : undefined;
  }
}

/**
 * Ties a call to the context that its method gets, so that `client.call(context, …)` inside the method inherits the
 * deadline and the cancellation. Invisible to enumeration, comparison and JSON.
 */
export function enterScope(context: Context, scope: Scope): void {
  if (typeof context === 'object' && context !== null && Object.isExtensible(context)) Scoped.enter(context, scope);
}

export function scopeOf(context: Context): Scope | undefined {
  return typeof context === 'object' && context !== null ? Scoped.of(context) : undefined;
}
