import { readFile } from 'node:fs/promises';
import { ConfigError, messageOf } from '@posthorn/core';
import { discoveryOf, parseDirectory, type Viewpoint } from './directory.ts';
import type { LocalDiscovery } from './discovery.ts';

/**
 * The services that a file lists, read once: `.ds` in sections, `.yaml` and `.json` as a map.
 *
 * @throws {ConfigError} the file cannot be read, or is wrong
 * @throws {ServiceError} `ServiceIsNotRegister` it lacks the service itself or one subscribed to;
 * `CantRegisterRemotePublisher` one subscribed to does not publish
 */
export async function fileDiscovery(file: string, viewpoint: Viewpoint = {}): Promise<LocalDiscovery> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new ConfigError(file, messageOf(error), { cause: error });
  }
  return discoveryOf(parseDirectory(text, file), viewpoint);
}
