/** Why `installDebian` cannot work here, or undefined when it may. `POSTHORN_NO_INSTALL=1` forbids it. */
export declare function cannotInstall(): string | undefined;
/** Installs Debian packages without starting their services. Concurrent test processes take turns. Minutes at worst. */
export declare function installDebian(...packages: readonly string[]): Promise<void>;
//# sourceMappingURL=debian.d.ts.map