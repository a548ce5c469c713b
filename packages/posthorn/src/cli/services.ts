import { configuredServer, readServicesConfig } from '@posthorn/services';
import { CONNECTING, type Command } from './help.ts';
import { open, stopped } from './open.ts';
import type { CommandLine } from './options.ts';
import { told } from './print.ts';
import { UsageError } from './usage.ts';

export const services: Command = {
  name: 'services',
  synopsis: 'run <config>',
  words: [2, 2],
  summary: 'hosts the services that a file describes, until SIGINT or SIGTERM',
  about:
    'The file is YAML or JSON: url, exchange, and services, each with a name, a controller (module#Class) and a discovery. Prints a line once messages are certain to arrive; work that runs is finished at the end.',
  options: [...CONNECTING],
  examples: ['posthorn services run ./services.yaml'],
  run: host,
};

/** `services run`: hosts what a file describes. */
async function host({ words, options }: CommandLine): Promise<void> {
  const [verb = '', file = ''] = words;
  if (verb !== 'run') throw new UsageError(`services: "${verb}" is not run`);
  const config = await readServicesConfig(file);
  const transport = await open(config.url, options);
  try {
    const server = await configuredServer(transport, config);
    await server.start();
    const serving = config.services.map(({ name }) => name);
    await told(options, { serving }, `serving ${serving.join(', ')}`);
    await stopped();
  } finally {
    await transport.close();
  }
}
