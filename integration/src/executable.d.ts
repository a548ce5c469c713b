/** The path of a program: the first of `places` that exists, else the first folder of PATH that has it. */
export declare function findExecutable(name: string, ...places: readonly string[]): Promise<string | undefined>;
//# sourceMappingURL=executable.d.ts.map