import { createRequire } from 'node:module';
import { isAbsolute, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { type Context, describe, messageOf, native, type Target, type Transport, type Wire } from '@posthorn/core';
import { oslo, parsePythonJson, stringifyPythonJson } from '@posthorn/oslo';
import { PING_METHOD, RPCClient, RPCServer, waitUntilReady } from '@posthorn/rpc';
import { connect, type DriverFactory } from './connect.ts';
import { endpointsOf } from './endpoints-of.ts';
import { UsageError, usage } from './usage.ts';

const OPTIONS = {
  namespace: { type: 'string' },
  'target-version': { type: 'string' },
  exchange: { type: 'string' },
  timeout: { type: 'string' },
  context: { type: 'string' },
  wire: { type: 'string' },
  driver: { type: 'string' },
  wait: { type: 'string' },
  help: { type: 'boolean' },
  version: { type: 'boolean' },
} as const;

type Options = {
  readonly [K in keyof typeof OPTIONS]?: (typeof OPTIONS)[K]['type'] extends 'boolean' ? boolean : string;
};

/** How many words each command takes after its name: at least, at most. */
const WORDS: Readonly<Record<string, readonly [number, number]>> = {
  call: [3, 4],
  cast: [3, 4],
  fanout: [3, 4],
  ping: [2, 2],
  serve: [4, 4],
};

const DEFAULT_TIMEOUT_MS = 60_000;

/**
 * Runs one command line.
 *
 * @throws {UsageError} when it makes no sense
 * @throws what the command met
 */
export async function run(argv: readonly string[]): Promise<void> {
  const { values, positionals } = parse(argv);
  if (values.help) return void process.stdout.write(usage);
  if (values.version)
    return void process.stdout.write(`${createRequire(import.meta.url)('../package.json').version}\n`);
  const [command = '', ...words] = positionals;
  const count = Object.hasOwn(WORDS, command) ? WORDS[command] : undefined;
  if (count === undefined) throw new UsageError(command === '' ? 'which command?' : `no such command: ${command}`);
  if (words.length < count[0]) throw new UsageError(`${command}: too few arguments`);
  if (words.length > count[1])
    throw new UsageError(`${command}: too many arguments: ${words.slice(count[1]).join(' ')}`);
  if (command === 'serve') await serve(words, values);
  else await ask(command, words, values);
}

function parse(argv: readonly string[]): { readonly values: Options; readonly positionals: readonly string[] } {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

async function ask(
  command: string,
  [url = '', address = '', method = '', args]: readonly string[],
  options: Options,
): Promise<void> {
  const timeoutMs = duration('--timeout', options.timeout) ?? DEFAULT_TIMEOUT_MS;
  const waitMs = duration('--wait', options.wait);
  const target = { ...targetOf(address, options), ...(command === 'fanout' && { fanout: true }) };
  const context = objectOf('--context', options.context ?? '{}');
  const named = objectOf('the arguments', args ?? '{}');
  const transport = await open(url, options);
  try {
    const client = new RPCClient(transport, { target, timeoutMs, unrouted: 'fail' });
    if (command === 'call') print(await client.call(context, method, named));
    else if (command === 'ping') await ping(client, address, waitMs);
    else await client.cast(context, method, named);
  } finally {
    await transport.close();
  }
}

async function ping(client: RPCClient, address: string, waitMs: number | undefined): Promise<void> {
  const began = performance.now();
  if (waitMs !== undefined) await waitUntilReady(client, { timeoutMs: waitMs });
  const asked = waitMs === undefined ? began : performance.now();
  const answer = await client.call({}, PING_METHOD, {});
  process.stdout.write(`${answer} from ${address} in ${(performance.now() - asked).toFixed(1)} ms\n`);
}

async function serve(
  [url = '', topic = '', server = '', module = '']: readonly string[],
  options: Options,
): Promise<void> {
  const endpoints = endpointsOf(await load(module), module);
  const transport = await open(url, options);
  const target = { ...targetOf(topic, options), server };
  try {
    await new RPCServer(transport, { target, endpoints }).start();
    const { exchange = transport.wire.exchange } = target;
    const address = describe({ kind: 'unicast', exchange, topic, server });
    process.stdout.write(`serving ${address}\n`);
    await stopped();
  } finally {
    await transport.close();
  }
}

/** Resolves at SIGINT or SIGTERM. A second one ends the process as usual. */
function stopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}

async function open(url: string, options: Options): Promise<Transport> {
  const drivers = options.driver === undefined ? {} : await driversOf(options.driver);
  const wire = wireOf(options.wire);
  return await connect(url, { drivers, ...(wire && { wire }) });
}

function wireOf(name: string | undefined): Wire | undefined {
  if (name === undefined) return undefined;
  if (name === 'oslo') return oslo();
  if (name === 'native') return native();
  throw new UsageError(`--wire: "${name}" is neither native nor oslo`);
}

function targetOf(address: string, options: Options): Target {
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
function objectOf(what: string, text: string): Context {
  let value: unknown;
  try {
    value = parsePythonJson(text);
  } catch (error) {
    throw new UsageError(`${what}: not JSON: ${messageOf(error)}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UsageError(`${what}: expected a JSON object`);
  return { ...value };
}

function duration(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text);
  const ms = Number(match?.[1]) * ({ ms: 1, s: 1_000, m: 60_000 }[match?.[2] ?? ''] ?? Number.NaN);
  if (!(ms > 0)) throw new UsageError(`${option}: "${text}" is not a duration like 500ms, 5s or 2m`);
  return ms;
}

async function driversOf(name: string): Promise<Readonly<Record<string, DriverFactory>>> {
  const module = await load(name);
  const exported =
    'default' in module && typeof module['default'] === 'object' && module['default'] !== null
      ? module['default']
      : module;
  const factories = Object.entries(exported).filter(
    (entry): entry is [string, DriverFactory] => typeof entry[1] === 'function',
  );
  if (factories.length === 0) throw new UsageError(`--driver: ${name} exports no { scheme: factory }`);
  return Object.fromEntries(factories);
}

/** A file by its path, or a package by its name. */
async function load(name: string): Promise<Readonly<Record<string, unknown>>> {
  const isFile = isAbsolute(name) || /^\.{1,2}\//.test(name) || /\.[cm]?[jt]s$/.test(name);
  try {
    return await import(isFile ? pathToFileURL(resolve(name)).href : name);
  } catch (error) {
    throw new Error(`cannot load ${name}: ${messageOf(error)}`, { cause: error });
  }
}

function print(result: unknown): void {
  if (result instanceof Uint8Array) process.stdout.write(result);
  else process.stdout.write(`${stringifyPythonJson(result)}\n`);
}
