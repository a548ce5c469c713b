type LogMethod = (fields: object, message?: string) => void;

/** The port for logs. A pino logger fits as it is. */
export interface Logger {
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
}

const nothing = (): void => {};

export const silent: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };
