import { configuredServer, readServicesConfig } from '@posthorn/services';
import { open, stopped } from './open.ts';
import type { CommandLine } from './options.ts';
import { UsageError } from './usage.ts';

/** `services run`: hosts what a file describes. */
export async function services({ words, options }: CommandLine): Promise<void> {
  const [verb = '', file = ''] = words;
  if (verb !== 'run') throw new UsageError(`services: "${verb}" is not run`);
  const config = await readServicesConfig(file);
  const transport = await open(config.url, options);
  try {
    const server = await configuredServer(transport, config);
    await server.start();
    process.stdout.write(`serving ${config.services.map(({ name }) => name).join(', ')}\n`);
    await stopped();
  } finally {
    await transport.close();
  }
}
