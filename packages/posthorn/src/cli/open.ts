import { isAbsolute, resolve } from 'node:path';
import { stdout } from 'node:process';
import { pathToFileURL } from 'node:url';
import { messageOf, native, type Transport, type Wire } from '@posthorn/core';
import { oslo } from '@posthorn/oslo';
import { type ConnectOptions, connect, type DriverFactory } from '../connect.ts';
import type { Options } from './options.ts';
import { UsageError } from './usage.ts';

/** Connects. `more`: where to log (default: standard error), and who is told of the connection. */
export async function open(
  url: string,
  options: Options,
  more: Pick<ConnectOptions, 'logger' | 'onStatus'> = {},
): Promise<Transport> {
  const drivers = options.driver === undefined ? {} : await driversOf(options.driver);
  const wire = wireOf(options.wire);
  return await connect(url, { drivers, ...(wire && { wire }), ...more });
}

function wireOf(name: string | undefined): Wire | undefined {
  if (name === undefined) return undefined;
  if (name === 'oslo') return oslo();
  if (name === 'native') return native();
  throw new UsageError(`--wire: "${name}" is neither native nor oslo`);
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
export async function load(name: string): Promise<Readonly<Record<string, unknown>>> {
  const isFile = isAbsolute(name) || /^\.{1,2}\//.test(name) || /\.[cm]?[jt]s$/.test(name);
  try {
    return await import(isFile ? pathToFileURL(resolve(name)).href : name);
  } catch (error) {
    const hint = /Unknown file extension "\.[cm]?ts"/.test(messageOf(error))
      ? ' (NODE_OPTIONS=--import=tsx helps, with tsx installed)'
      : '';
    throw new Error(`cannot load ${name}: ${messageOf(error)}${hint}`, { cause: error });
  }
}

/** Resolves at SIGINT or SIGTERM, or when nobody reads our output any more. A second signal ends the process as usual. */
export function stopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
    stdout.on('error', () => resolve());
  });
}
