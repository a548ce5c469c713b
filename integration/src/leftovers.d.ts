/** Something outside of this process that must not outlive it. */
export interface Leftover {
    /** Ends it in good order; must be harmless when it has ended already. */
    stop(): Promise<void>;
    /** The same without waiting, for the last moments of this process. Must not throw. */
    kill(): void;
}
/** From now on `stopAll`, and the end of this process, end `leftover` too. Returns the function that takes this back. */
export declare function track(leftover: Leftover): () => void;
/**
 * Ends everything that was started, newest first: Python peers, brokers, their folders. For the end of a test process;
 * what was found before is not to be had again afterwards.
 */
export declare function stopAll(): Promise<void>;
//# sourceMappingURL=leftovers.d.ts.map