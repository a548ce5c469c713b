/** A new folder for temporary files, `posthorn-<name>-…`, that goes with `stopAll` or at the end of this process. */
export declare function makeTempFolder(name: string): string;
//# sourceMappingURL=temp-folder.d.ts.map