/**
 * Asks `probe` again and again until it answers with something truthy, and returns that answer.
 * For facts that can only be polled (an HTTP API, a port of another process); what emits an event is awaited instead.
 * A probe that throws counts as "not yet"; its last error becomes the cause of the time-out.
 *
 * @param what names the awaited fact in the error: `waitFor('the queue q1 to vanish', …)`
 */
export declare function waitFor<T>(what: string, probe: () => T | Promise<T>, timeoutMs?: number): Promise<Exclude<T, undefined | null | false | 0 | ''>>;
//# sourceMappingURL=wait-for.d.ts.map