import { parseArgs } from 'node:util';
import { type Context, messageOf, type Target } from '@posthorn/core';
import { parsePythonJson } from '@posthorn/oslo';
import { UsageError } from './usage.ts';

/** As they were given, not yet understood. */
export interface Options {
  readonly namespace?: string;
  readonly 'target-version'?: string;
  readonly exchange?: string;
  readonly timeout?: string;
  readonly context?: string;
  readonly wire?: string;
  readonly driver?: string;
  readonly wait?: string;
  readonly topic?: readonly string[];
  readonly priority?: readonly string[];
  readonly 'publisher-id'?: string;
  readonly pool?: string;
  readonly 'event-type'?: string;
  readonly type?: string;
  readonly 'type-version'?: string;
  readonly 'sign-key'?: string;
  readonly 'verify-key'?: readonly string[];
  readonly delay?: string;
  readonly ttl?: string;
  readonly 'cloud-events'?: string;
  readonly group?: string;
  readonly json?: boolean;
  readonly port?: string;
  readonly host?: string;
  readonly user?: string;
  readonly help?: boolean;
  readonly version?: boolean;
}

const OPTIONS = {
  namespace: { type: 'string' },
  'target-version': { type: 'string' },
  exchange: { type: 'string' },
  timeout: { type: 'string' },
  context: { type: 'string' },
  wire: { type: 'string' },
  driver: { type: 'string' },
  wait: { type: 'string' },
  topic: { type: 'string', multiple: true },
  priority: { type: 'string', multiple: true },
  'publisher-id': { type: 'string' },
  pool: { type: 'string' },
  'event-type': { type: 'string' },
  type: { type: 'string' },
  'type-version': { type: 'string' },
  'sign-key': { type: 'string' },
  'verify-key': { type: 'string', multiple: true },
  delay: { type: 'string' },
  ttl: { type: 'string' },
  'cloud-events': { type: 'string' },
  group: { type: 'string' },
  json: { type: 'boolean' },
  port: { type: 'string' },
  host: { type: 'string' },
  user: { type: 'string' },
  help: { type: 'boolean' },
  version: { type: 'boolean' },
} as const satisfies Record<keyof Options, { type: 'string' | 'boolean'; multiple?: true }>;

export interface CommandLine {
  readonly options: Options;
  readonly words: readonly string[];
}

/** @throws {UsageError} */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
    return { options: values, words: positionals };
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

export function targetOf(address: string, options: Options): Target {
  const [topic = '', server, ...more] = address.split('@');
  if (topic === '' || server === '' || more.length > 0)
    throw new UsageError(`"${address}" is not <topic> or <topic>@<server>`);
  const { exchange, namespace, 'target-version': version } = options;
  return {
    topic,
    ...(server !== undefined && { server }),
    ...(exchange !== undefined && { exchange }),
    ...(namespace !== undefined && { namespace }),
    ...(version !== undefined && { version }),
  };
}

/** Reads JSON; integers beyond 2^53 keep their digits, where the wire has room for them. */
export function jsonOf(what: string, text: string): unknown {
  try {
    return parsePythonJson(text);
  } catch (error) {
    throw new UsageError(`${what}: not JSON: ${messageOf(error)}`);
  }
}

export function objectOf(what: string, text: string): Context {
  const value = jsonOf(what, text);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UsageError(`${what}: expected a JSON object`);
  return { ...value };
}

/** Milliseconds out of `500ms`, `5s` or `2m`. */
export function duration(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text);
  const ms = Number(match?.[1]) * ({ ms: 1, s: 1_000, m: 60_000 }[match?.[2] ?? ''] ?? Number.NaN);
  if (!(ms > 0)) throw new UsageError(`${option}: "${text}" is not a duration like 500ms, 5s or 2m`);
  return ms;
}
