import { ConfigError, messageOf, parseConfig } from '@posthorn/core';
import { parse } from 'yaml';
import { z } from 'zod';
import { LocalDiscovery } from './discovery.ts';
import { ServiceError } from './errors.ts';

/** Every service of a system: its exchange, and that of its notifications where it publishes. */
export type Directory = Readonly<Record<string, { readonly exchange: string; readonly notifications?: string }>>;

/** Who looks at a directory. */
export interface Viewpoint {
  /** The local service. Without it (a client) all services are remote. */
  readonly service?: string;
  /** The services whose notifications it subscribes to. */
  readonly subscriptions?: readonly string[];
}

const name = z.string().min(1);
const schema = z.record(name, z.strictObject({ exchange: name, notifications: name.optional() }));

/** @throws {ConfigError} naming the wrong entry: `services.ds.test_hello.exchange` */
export function checkDirectory(value: unknown, path: string): Directory {
  const checked = parseConfig(schema, value, path);
  return Object.fromEntries(
    Object.entries(checked).map(([service, { exchange, notifications }]) => [
      service,
      { exchange, ...(notifications !== undefined && { notifications }) },
    ]),
  );
}

/**
 * The text of a file of services: YAML where its name says so, else sections with `exchange=` and `notifications=`.
 *
 * @throws {ConfigError}
 */
export function parseDirectory(text: string, file: string): Directory {
  if (!/\.(ya?ml|json)$/i.test(file)) return checkDirectory(parseSections(text, file), file);
  try {
    return checkDirectory(parse(text) ?? {}, file);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(file, messageOf(error), { cause: error });
  }
}

/**
 * What one service sees: all others are remote services, those it subscribes to are remote publishers, and it publishes
 * itself where it has an exchange for that.
 */
export function discoveryOf(directory: Directory, { service, subscriptions = [] }: Viewpoint): LocalDiscovery {
  const entryOf = (one: string): Directory[string] => {
    const entry = Object.hasOwn(directory, one) ? directory[one] : undefined;
    if (entry === undefined)
      throw new ServiceError('ServiceIsNotRegister', `${one} is not among the services that the discovery lists`);
    return entry;
  };
  const discovery = new LocalDiscovery();
  for (const [other, { exchange }] of Object.entries(directory))
    if (other !== service) discovery.registerRemoteService(other, exchange);
  for (const publisher of subscriptions) {
    const { notifications } = entryOf(publisher);
    if (notifications === undefined)
      throw new ServiceError(
        'CantRegisterRemotePublisher',
        `${service} cannot subscribe to ${publisher}, which has no exchange for notifications`,
      );
    discovery.registerRemotePublisher(publisher, notifications);
  }
  if (service !== undefined) {
    const { notifications } = entryOf(service);
    if (notifications !== undefined) discovery.registerLocalPublisher(service, notifications);
  }
  return discovery;
}

function parseSections(text: string, file: string): unknown {
  const sections: Record<string, Record<string, string>> = {};
  let current: Record<string, string> | undefined;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || /^[#;]/.test(line)) continue;
    const header = /^\[([^\]]+)\]$/.exec(line)?.[1]?.trim();
    const [, key, value] = /^([^=]+?)\s*=\s*(.*)$/.exec(line) ?? [];
    if (header !== undefined) {
      if (Object.hasOwn(sections, header)) throw new ConfigError(`${file}.${header}`, 'is there twice');
      current = sections[header] = {};
    } else if (key !== undefined && value !== undefined && current !== undefined) current[key] = value;
    else throw new ConfigError(`${file}:${index + 1}`, 'expected [service] or name=value in a section');
  }
  return sections;
}
