import { type Amqp1Options, amqp1 } from '@posthorn/amqp1';
import {
  ConfigError,
  type Driver,
  type DriverContext,
  fromQuery,
  type Logger,
  type MemoryOptions,
  memory,
  native,
  parseConfig,
  parseTransportUrl,
  type Status,
  Transport,
  type TransportUrl,
  type Wire,
} from '@posthorn/core';
import { oslo } from '@posthorn/oslo';
import { type RabbitOptions, rabbit } from '@posthorn/rabbit';
import { pino } from 'pino';
import { z } from 'zod';

/** Makes a connected driver for a URL of its scheme. */
export type DriverFactory = (url: TransportUrl, context: DriverContext) => Promise<Driver>;

export interface ConnectOptions {
  /** How messages look and where they go. Default `native()`; `?wire=oslo` in the URL chooses `oslo()`. */
  readonly wire?: Wire;
  /** Default: pino, warnings and errors, on standard error. */
  readonly logger?: Logger;
  /** Told each change of the connection's state. */
  readonly onStatus?: (status: Status) => void;
  /** Bodies above this many bytes are neither sent nor handled. Default 16 MiB. */
  readonly maxMessageBytes?: number;
  /** Options of the RabbitMQ transport that do not fit into a URL. */
  readonly rabbit?: RabbitOptions;
  /** Options of the AMQP 1.0 transport that do not fit into a URL. */
  readonly amqp1?: Amqp1Options;
  /** Options of the memory transport: troubles for tests to make. */
  readonly memory?: Omit<MemoryOptions, 'name'>;
  /** Further transports by URL scheme. */
  readonly drivers?: Readonly<Record<string, DriverFactory>>;
}

const schema = z.strictObject({
  wire: z.custom<Wire>((value) => typeof value === 'object' && value !== null && 'codecs' in value).optional(),
  logger: z.custom<Logger>((value) => typeof value === 'object' && value !== null && 'warn' in value).optional(),
  onStatus: z.custom<(status: Status) => void>((value) => typeof value === 'function').optional(),
  maxMessageBytes: z.int().positive().optional(),
  memory: z.custom<MemoryOptions>((value) => typeof value === 'object' && value !== null).optional(),
  rabbit: z.custom<RabbitOptions>((value) => typeof value === 'object' && value !== null).optional(),
  amqp1: z.custom<Amqp1Options>((value) => typeof value === 'object' && value !== null).optional(),
  drivers: z
    .record(
      z.string(),
      z.custom<DriverFactory>((value) => typeof value === 'function'),
    )
    .optional(),
});

/**
 * Connects to the broker that the URL names: `rabbit://`, `rabbits://` (TLS), `amqp1://`, `amqp1s://` (TLS), `memory://`,
 * or a scheme of `drivers`.
 *
 * @throws {MessagingError} `CONFIG` the URL or an option is wrong; `CONNECTION` no host answered; `ACCESS` the broker
 * refused, or TLS verification failed
 */
export async function connect(url: string, options: ConnectOptions = {}): Promise<Transport> {
  const {
    drivers = {},
    memory: memoryOptions,
    rabbit: rabbitOptions,
    amqp1: amqp1Options,
    wire,
    ...rest
  } = parseConfig(schema, options, 'options');
  const parsed = parseTransportUrl(url);
  const { wire: wireName, maxMessageBytes, ...query } = parsed.query;
  const driverUrl: TransportUrl = { ...parsed, query };
  const factory = factoryOf(parsed.scheme, drivers, rabbitOptions, memoryOptions, amqp1Options);
  return await Transport.open((context) => factory(driverUrl, context), {
    logger: defaultLogger(rest.logger),
    wire: wireOf(wireName) ?? wire ?? native(),
    ...(rest.onStatus && { onStatus: rest.onStatus }),
    ...limitOf(maxMessageBytes, rest.maxMessageBytes),
  });
}

function factoryOf(
  scheme: string,
  drivers: Readonly<Record<string, DriverFactory>>,
  options?: RabbitOptions,
  memoryOptions?: MemoryOptions,
  amqp1Options?: Amqp1Options,
): DriverFactory {
  if (Object.hasOwn(drivers, scheme)) {
    const own = drivers[scheme];
    if (own !== undefined) return own;
  }
  switch (scheme) {
    case 'rabbit':
    case 'rabbits':
      return (url, context) => rabbit(url, context, options);
    case 'amqp1':
    case 'amqp1s':
      return (url, context) => amqp1(url, context, amqp1Options);
    case 'memory':
      return (url, context) => openMemory(url, context, memoryOptions);
    case 'amqp':
    case 'amqps':
      throw new ConfigError(
        'url',
        `"${scheme}://" can mean two protocols: use rabbit:// for AMQP 0-9-1 (RabbitMQ) or amqp1:// for AMQP 1.0`,
      );
    default: {
      const known = ['rabbit', 'rabbits', 'amqp1', 'amqp1s', 'memory', ...Object.keys(drivers)]
        .map((name) => `${name}://`)
        .join(', ');
      throw new ConfigError('url', `unknown scheme "${scheme}://": known are ${known}`);
    }
  }
}

async function openMemory(
  { hosts, query }: TransportUrl,
  context: DriverContext,
  options?: MemoryOptions,
): Promise<Driver> {
  const [unknown] = Object.keys(query);
  if (unknown !== undefined) throw new ConfigError(`url.${unknown}`, 'no such option');
  const name = hosts[0]?.host;
  return await memory(context, { ...options, ...(name !== undefined && { name }) });
}

function wireOf(name: string | undefined): Wire | undefined {
  if (name === undefined) return undefined;
  if (name === 'oslo') return oslo();
  if (name === 'native') return native();
  throw new ConfigError('url.wire', `unknown wire "${name}": known are native, oslo`);
}

function limitOf(fromUrl: string | undefined, fromOptions: number | undefined): { readonly maxMessageBytes?: number } {
  if (fromUrl === undefined) return fromOptions === undefined ? {} : { maxMessageBytes: fromOptions };
  return { maxMessageBytes: parseConfig(z.int().positive(), fromQuery({ fromUrl })['fromUrl'], 'url.maxMessageBytes') };
}

function defaultLogger(logger: Logger | undefined): Logger {
  return logger ?? pino({ name: 'posthorn', level: 'warn' }, pino.destination({ dest: 2, sync: true }));
}
