import { createHash, timingSafeEqual } from 'node:crypto';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { ConfigError, type Logger, MemoryBroker, messageOf, parseConfig, silent } from '@posthorn/core';
import { z } from 'zod';
import { Client, type House } from './client.ts';

const MAX_CLIENTS = 1_000;
const MEBIBYTE = 1024 * 1024;

export interface BrokerOptions {
  /** Default 5672; 0 for any that is free. */
  readonly port?: number | undefined;
  /** Where to listen. Default 127.0.0.1, which only this machine reaches. */
  readonly host?: string | undefined;
  /** The only ones who may come in. Default: everybody. */
  readonly user?: { readonly name: string; readonly password: string } | undefined;
  /** Larger messages end the link that they come by. Default 16 MiB. */
  readonly maxMessageBytes?: number | undefined;
  /** Above this many bytes of messages the broker rejects more of them. Default 512 MiB. */
  readonly maxBytes?: number | undefined;
  readonly logger?: Logger | undefined;
}

/** A broker for development, which keeps everything in memory. */
export interface Broker extends AsyncDisposable {
  /** What `connect` takes: `amqp1://127.0.0.1:5672`. Without the password. */
  readonly url: string;
  readonly port: number;
  /** Ends all connections and forgets all messages. Always the same promise. */
  close(): Promise<void>;
}

const schema = z.strictObject({
  port: z.int().min(0).max(65_535).default(5672),
  host: z.string().min(1).default('127.0.0.1'),
  user: z.strictObject({ name: z.string().min(1), password: z.string() }).optional(),
  maxMessageBytes: z
    .int()
    .positive()
    .default(16 * MEBIBYTE),
  maxBytes: z
    .int()
    .positive()
    .default(512 * MEBIBYTE),
  logger: z.custom<Logger>((value) => typeof value === 'object' && value !== null && 'warn' in value).optional(),
});

/**
 * Serves the broker of `memory://` over AMQP 1.0, so that several processes of one machine talk with nothing installed.
 *
 * @throws {ConfigError} an option is wrong, or nobody can listen there: the port is taken, the host is not ours
 */
export async function serveBroker(options: BrokerOptions = {}): Promise<Broker> {
  const { port, host, user, maxMessageBytes, maxBytes, logger = silent } = parseConfig(schema, options, 'options');
  const { version } = createRequire(import.meta.url)('../../package.json') as { readonly version: string };
  const house: House = {
    broker: new MemoryBroker(),
    logger,
    version,
    limits: { maxMessageBytes, maxBytes },
    authenticate: user && ((name, password) => isSame(name, user.name) && isSame(password, user.password)),
  };
  const clients = new Set<Client>();
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', (error) => logger.debug({ err: error }, 'a client was lost'));
    if (clients.size >= MAX_CLIENTS) {
      logger.warn({ clients: clients.size }, 'too many clients: a connection was refused');
      return void socket.destroy();
    }
    const client = new Client(socket, house);
    clients.add(client);
    void client.gone.then(() => clients.delete(client));
  });
  const bound = await listen(server, port, host);
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= shutDown(server, clients, house.broker);
    return closing;
  };
  const name = user === undefined ? '' : `${encodeURIComponent(user.name)}@`;
  return {
    url: `amqp1://${name}${host.includes(':') ? `[${host}]` : host}:${bound}`,
    port: bound,
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function listen(server: Server, port: number, host: string): Promise<number> {
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
    const what = isTaken ? `port ${port} of ${host} is in use: choose another with port` : messageOf(error);
    throw new ConfigError(isTaken ? 'port' : 'host', what, { cause: error });
  }
  return (server.address() as AddressInfo).port;
}

async function shutDown(server: Server, clients: ReadonlySet<Client>, broker: MemoryBroker): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  await Promise.all([...clients].map((client) => client.close()));
  await closed;
  broker.dispose();
}

/** In a time that tells nothing of where they differ. */
function isSame(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}
