/** A command line that makes no sense: exit code 2. */
export class UsageError extends Error {
  /** How the command is used that was meant, where one was. */
  readonly usage: string | undefined;

  constructor(message: string, usage?: string) {
    super(message);
    this.usage = usage;
  }
}
