import type { Context } from '@posthorn/core';

/** What a call made while serving another inherits from it. */
export interface Scope {
  readonly signal: AbortSignal;
  /** On the clock of `performance.now()`. */
  readonly deadline: number | undefined;
}

const SCOPE = Symbol('posthorn.scope');

/**
 * Ties a call to the context that its method gets, so that `client.call(context, …)` inside the method inherits the
 * deadline and the cancellation. Invisible to enumeration, comparison and JSON.
 */
export function enterScope(context: Context, scope: Scope): void {
  if (typeof context === 'object' && context !== null && Object.isExtensible(context)) {
    Object.defineProperty(context, SCOPE, { value: scope, configurable: true });
  }
}

export function scopeOf(context: Context): Scope | undefined {
  return (context as { readonly [SCOPE]?: Scope })[SCOPE];
}
