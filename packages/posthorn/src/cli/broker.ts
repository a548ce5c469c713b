import { stderr, stdout } from 'node:process';
import { type BrokerOptions, serveBroker } from '@posthorn/amqp1';
import { pino } from 'pino';
import { stopped } from './open.ts';
import type { CommandLine, Options } from './options.ts';
import { UsageError } from './usage.ts';

/** Serves a broker until it is told to stop. Standard output gets its URL alone. */
export async function broker({ options }: CommandLine): Promise<void> {
  const logger = pino({ name: 'posthorn-broker', level: 'warn' }, pino.destination({ dest: 2, sync: true }));
  const { host = '127.0.0.1' } = options;
  const user = userOf(options);
  const until = stopped();
  const served = await serveBroker({ port: portOf(options), host, user, logger });
  try {
    stdout.write(`${served.url}\n`);
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
