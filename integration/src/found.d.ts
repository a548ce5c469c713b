/** Why something that tests need is not to be had on this machine. */
export interface Skip {
    readonly skip: string;
}
export declare function isSkip<T extends object>(found: T | Skip): found is Skip;
//# sourceMappingURL=found.d.ts.map