import { stderr } from 'node:process';
import { type BrokerOptions, serveBroker } from '@posthorn/amqp1';
import { pino } from 'pino';
import type { Command } from './help.ts';
import { stopped } from './open.ts';
import type { CommandLine, Options } from './options.ts';
import { told } from './print.ts';
import { UsageError } from './usage.ts';

export const broker: Command = {
  name: 'broker',
  synopsis: '',
  words: [0, 0],
  summary: 'is a broker for development, until SIGINT or SIGTERM',
  about:
    'Speaks AMQP 1.0 and can do whatever Posthorn can. It keeps messages in memory only, and forgets them when it ends. Prints its URL, for every other command to connect to.',
  options: ['port', 'host', 'user'],
  examples: ['posthorn broker --port 0', 'posthorn broker --host 0.0.0.0 --user me:secret'],
  run: serveOne,
};

/** Serves a broker until it is told to stop. Standard output gets its URL alone. */
async function serveOne({ options }: CommandLine): Promise<void> {
  const logger = pino({ name: 'posthorn-broker', level: 'warn' }, pino.destination({ dest: 2, sync: true }));
  const { host = '127.0.0.1' } = options;
  const user = userOf(options);
  const until = stopped();
  const served = await serveBroker({ port: portOf(options), host, user, logger });
  try {
    await told(options, { url: served.url }, served.url);
    stderr.write('for development: it keeps messages in memory only, and forgets them when it ends\n');
    if (user === undefined && !isLoopback(host))
      stderr.write(`whoever reaches ${host} can use it: --user name:password keeps others out\n`);
    await until;
  } finally {
    await served.close();
  }
}

function portOf({ port }: Options): number | undefined {
  if (port === undefined) return undefined;
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw new UsageError(`--port: "${port}" is not a port`);
  return Number(port);
}

function userOf({ user }: Options): BrokerOptions['user'] {
  if (user === undefined) return undefined;
  const colon = user.indexOf(':');
  if (colon < 1) throw new UsageError('--user: expected name:password');
  return { name: user.slice(0, colon), password: user.slice(colon + 1) };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
