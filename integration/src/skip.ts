import type { Context } from 'mocha';

/** A test or suite that could not run here, and why. */
export interface SkipRecord {
  readonly what: string;
  readonly why: string;
}

/** Where `skip` keeps its records: on `globalThis`, so that a reporter finds them without importing this file. */
export const SKIPS: unique symbol = Symbol.for('posthorn.skips');

/** Everything skipped so far in this process, oldest first. */
export function skipped(): SkipRecord[] {
  const place = globalThis as { [SKIPS]?: SkipRecord[] };
  place[SKIPS] ??= [];
  return place[SKIPS];
}

/** Skips the running test, or the whole suite when called in a `before` hook, and puts it on record. */
export function skip(context: Context, what: string, why: string): never {
  skipped().push({ what, why });
  return context.skip();
}
