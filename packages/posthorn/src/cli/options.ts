import { parseArgs } from 'node:util';
import { type Context, messageOf, type Target } from '@posthorn/core';
import { parsePythonJson } from '@posthorn/oslo';
import { UsageError } from './usage.ts';

/** One option, with the text for help. Commands may say it in words of their own. */
export interface Option {
  readonly type: 'string' | 'boolean';
  readonly multiple?: true;
  /** What follows it, for help: `<name>`. */
  readonly value?: string;
  readonly help: string;
}

/** Every option there is. Each command lists those that it understands; the others are refused. */
export const OPTIONS = {
  namespace: { type: 'string', value: '<name>', help: "the endpoint's namespace" },
  'target-version': { type: 'string', value: '<v>', help: 'the version that the method must offer, like 1.0' },
  exchange: { type: 'string', value: '<name>', help: 'default: posthorn, with --wire oslo openstack' },
  timeout: { type: 'string', value: '<duration>', help: 'give up after this long, like 500ms, 5s, 2m; default 60s' },
  context: { type: 'string', value: '<json>', help: 'an object that travels along; default {}' },
  wire: { type: 'string', value: '<name>', help: "native (default), or oslo for Python's oslo.messaging" },
  driver: { type: 'string', value: '<module>', help: 'a module that exports { scheme: factory }, for other URLs' },
  wait: { type: 'string', value: '<duration>', help: 'wait that long for a server to appear; default: not at all' },
  topic: { type: 'string', multiple: true, value: '<name>', help: 'default notifications; may be repeated' },
  priority: { type: 'string', multiple: true, value: '<p>', help: 'default: all; may be repeated' },
  'publisher-id': { type: 'string', value: '<id>', help: 'default posthorn.<host>' },
  pool: {
    type: 'string',
    value: '<name>',
    help: 'share with other listeners of the pool; default: with all of no pool',
  },
  'event-type': { type: 'string', value: '<regex>', help: 'only these; default: all' },
  type: { type: 'string', value: '<name>', help: 'the type of the message; default its routing key' },
  'type-version': { type: 'string', value: '<v>', help: 'the version of the type; default 1.0' },
  'sign-key': {
    type: 'string',
    value: '<key>',
    help: 'sign it (HMAC-SHA256); default: unsigned. A key is id:env:NAME, its secret in the environment; id:file:path, the first line of a file; or id:secret, which others on the machine can see',
  },
  'verify-key': {
    type: 'string',
    multiple: true,
    value: '<key>',
    help: 'refuse what is not signed with one of these keys; may be repeated. A key is id:env:NAME, id:file:path or id:secret',
  },
  delay: { type: 'string', value: '<duration>', help: 'deliver it no sooner than this; default: at once' },
  ttl: { type: 'string', value: '<duration>', help: 'after this long nobody wants it; default: it stays' },
  'cloud-events': { type: 'string', value: '<mode>', help: 'as a CloudEvent, structured or binary' },
  group: { type: 'string', value: '<name>', help: 'share with others of the group; its messages wait for it' },
  port: { type: 'string', value: '<number>', help: 'default 5672, 0 for any that is free' },
  host: { type: 'string', value: '<name>', help: 'where to listen; default 127.0.0.1, this machine alone' },
  user: { type: 'string', value: '<name:password>', help: 'the only one to be let in; default everybody' },
  api: { type: 'string', value: '<url>', help: "RabbitMQ's management API: http://user:password@host:15672" },
  count: { type: 'string', value: '<n>', help: 'how many' },
  seconds: { type: 'string', value: '<n>', help: 'for each figure; default 2' },
  once: { type: 'boolean', help: 'one look, and end' },
  sort: { type: 'string', value: '<by>', help: 'rate (default), errors, p99, flight or name' },
  telemetry: { type: 'boolean', help: 'report to posthorn top and posthorn trace; default: not' },
  id: {
    type: 'string',
    value: '<trace>',
    help: 'the trace to follow, 32 hexadecimal digits; default: the next that comes by',
  },
  svg: { type: 'string', value: '<file>', help: 'write the picture there, too' },
  html: { type: 'string', value: '<file>', help: 'write a page with the picture there, too' },
  out: { type: 'string', value: '<file>', help: 'write to this file; default: standard output' },
  json: { type: 'boolean', help: 'lines of JSON for programs, errors (on standard error) too' },
  help: { type: 'boolean', help: 'this page' },
  version: { type: 'boolean', help: 'the version of Posthorn' },
} as const;

export type OptionName = keyof typeof OPTIONS;

type ValueOf<O extends Option> = O['type'] extends 'boolean'
  ? boolean
  : O extends { readonly multiple: true }
    ? readonly string[]
    : string;

/** As they were given, not yet understood. */
export type Options = { readonly [Name in OptionName]?: ValueOf<(typeof OPTIONS)[Name]> };

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

/** A number above 0 and at most `most`. */
export function numberOf(option: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value <= 0 || value > most)
    throw new UsageError(`${option}: "${text}" is not a number above 0 and at most ${most}`);
  return value;
}
