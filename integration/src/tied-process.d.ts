import { type SpawnOptions } from 'node:child_process';
/** A child process that ends with us, whatever our end. It keeps our event loop alive only while `wait` or `stop` waits. */
export declare class TiedProcess {
    #private;
    readonly pid: number;
    /** The last lines of standard output and standard error, for error messages. */
    readonly tail: string[];
    /** How it ended: "code 1" or "signal SIGKILL". Never rejects. Does not keep the event loop alive: see `wait`. */
    readonly exited: Promise<string>;
    /** Starts `command`; rejects when there is no such program. `onLine` gets each whole line of standard output. */
    static start(command: string, args: readonly string[], options?: SpawnOptions & {
        onLine?: (line: string) => void;
    }): Promise<TiedProcess>;
    private constructor();
    /** How it ended, or undefined while it runs. */
    get ended(): string | undefined;
    /** Resolves when it has ended, and with how it ended. */
    wait(): Promise<string>;
    write(text: string): void;
    signal(signal: NodeJS.Signals): void;
    /** Sends `signal`, then SIGKILL if it still runs after `graceMs`; resolves when it has ended. */
    stop(signal?: NodeJS.Signals, graceMs?: number): Promise<void>;
}
//# sourceMappingURL=tied-process.d.ts.map