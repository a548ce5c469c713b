import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError, concurrent, messageOf, parseConfig, serial, type Transport } from '@posthorn/core';
import { parse } from 'yaml';
import { z } from 'zod';
import type { Controller } from './controller.ts';
import { serviceMark } from './decorators.ts';
import { fileDiscovery } from './file-discovery.ts';
import { HttpDiscovery } from './http-discovery.ts';
import { ServiceServer } from './server.ts';

const name = z.string().min(1);
const schema = z.strictObject({
  url: name,
  exchange: name,
  lanes: z.enum(['split', 'shared']).optional(),
  queue: name.optional(),
  executor: z.enum(['serial', 'concurrent']).default('concurrent'),
  concurrency: z.int().positive().default(100),
  prefetch: z.int().positive().optional(),
  services: z
    .array(
      z.strictObject({
        name,
        controller: name,
        discovery: name,
        subscriptions: z.array(name).default([]),
      }),
    )
    .min(1),
});

/** A server and its services, as a file describes them. */
export interface ServicesConfig {
  /** The file: what it names is found relative to it. */
  readonly file: string;
  /** The transport's. */
  readonly url: string;
  readonly exchange: string;
  readonly lanes?: 'split' | 'shared' | undefined;
  readonly queue?: string | undefined;
  readonly executor: 'serial' | 'concurrent';
  readonly concurrency: number;
  readonly prefetch?: number | undefined;
  readonly services: readonly {
    readonly name: string;
    /** `./world.js#WorldController`; without a name the default export. */
    readonly controller: string;
    /** A file of services, or a URL. */
    readonly discovery: string;
    readonly subscriptions: readonly string[];
  }[];
}

/**
 * Reads a YAML or JSON file.
 *
 * @throws {ConfigError} naming the file and the wrong option: `services.yaml.services.1.controller`
 */
export async function readServicesConfig(file: string): Promise<ServicesConfig> {
  let value: unknown;
  try {
    value = parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new ConfigError(file, messageOf(error), { cause: error });
  }
  return { ...parseConfig(schema, value, file), file };
}

/**
 * The server of a configuration, not started. Loads the modules of its controllers.
 *
 * @throws {ConfigError} naming the service whose controller or discovery is wrong
 */
export async function configuredServer(transport: Transport, config: ServicesConfig): Promise<ServiceServer> {
  const { file, exchange, lanes, queue, executor, concurrency, prefetch, services } = config;
  const server = new ServiceServer(transport, {
    exchange,
    executor: executor === 'serial' ? serial() : concurrent(concurrency),
    ...(lanes && { lanes }),
    ...(queue !== undefined && { queue }),
    ...(prefetch !== undefined && { prefetch }),
  });
  for (const [index, { name: service, controller, discovery, subscriptions }] of services.entries()) {
    const path = `${file}.services.${index}`;
    const loaded = await load(controller, file, `${path}.controller`);
    const found = typeof loaded === 'function' ? serviceMark(loaded)?.service : loaded.service;
    if (found !== service)
      throw new ConfigError(`${path}.name`, `"${service}", but ${controller} is the service ${found ?? 'of no name'}`);
    const viewpoint = { service, subscriptions };
    const at = /^https?:/.test(discovery)
      ? new HttpDiscovery(discovery, { ...viewpoint, logger: transport.logger })
      : await fileDiscovery(resolve(dirname(file), discovery), viewpoint);
    server.registry.add(loaded, at);
  }
  return server;
}

async function load(controller: string, file: string, path: string): Promise<Controller> {
  const [module = '', exported = 'default'] = controller.split('#');
  let loaded: Readonly<Record<string, unknown>>;
  try {
    // A file, from the configuration's folder, or a package.
    loaded = await import(/^\.{0,2}\//.test(module) ? pathToFileURL(resolve(dirname(file), module)).href : module);
  } catch (error) {
    throw new ConfigError(path, `cannot load ${module}: ${messageOf(error)}`, { cause: error });
  }
  const found = loaded[exported];
  if (typeof found !== 'function' && (typeof found !== 'object' || found === null))
    throw new ConfigError(path, `${module} does not export ${exported}`);
  return found as Controller;
}
