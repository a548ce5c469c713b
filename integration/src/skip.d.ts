import type { Context } from 'mocha';
/** A test or suite that could not run here, and why. */
export interface SkipRecord {
    readonly what: string;
    readonly why: string;
}
/** Where `skip` keeps its records: on `globalThis`, so that a reporter finds them without importing this file. */
export declare const SKIPS: unique symbol;
/** Everything skipped so far in this process, oldest first. */
export declare function skipped(): SkipRecord[];
/** Skips the running test, or the whole suite when called in a `before` hook, and puts it on record. */
export declare function skip(context: Context, what: string, why: string): never;
//# sourceMappingURL=skip.d.ts.map