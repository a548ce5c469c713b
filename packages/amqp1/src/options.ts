import { durationMs, fromQuery, parseConfig, type TransportUrl } from '@posthorn/core';
import { z } from 'zod';

export interface UserCredentials {
  readonly username: string;
  /** Or a token. */
  readonly password: string;
}

/** The families of brokers that are known. */
export const PROFILES = ['rabbitmq4', 'rabbitmq3', 'activemq', 'artemis', 'router', 'posthorn', 'plain'] as const;

/** Makes a WebSocket: the one of the package `ws`, or the one that Node 22 and later have. */
export type WebSocketConstructor = new (url: string, protocols: string[]) => object;

/** Options of the AMQP 1.0 driver, all but the last two also as `?option=value` of the URL. Times in milliseconds. */
export interface Amqp1Options {
  /** What kind of broker it is. Default: what it says when the connection is opened, else `plain`. */
  readonly profile?: (typeof PROFILES)[number] | undefined;
  /** A broker that is silent for this long is taken for dead: 60,000. */
  readonly idleTimeoutMs?: number | undefined;
  /** For one attempt to connect to one host: 10,000. */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * In which order several hosts are tried: each process in an order of its own (`random`, the default), so that a fleet
   * with one URL spreads over a cluster; or as `given`.
   */
  readonly hosts?: 'random' | 'given' | undefined;
  /** At start, go on trying for this long. Without it each host is tried once. */
  readonly connectWithinMs?: number | undefined;
  /** The pause before the first attempt to reconnect, doubled for each further one, with jitter: 100. */
  readonly reconnectMinMs?: number | undefined;
  /** The longest pause: 30,000. */
  readonly reconnectMaxMs?: number | undefined;
  /** RabbitMQ 4: `create` exchanges and queues (the default); only `check` that queues are there; or use them unseen: `none`. */
  readonly declare?: 'create' | 'check' | 'none' | undefined;
  /** RabbitMQ 4: how shared queues are kept: `durable` (the default) or `quorum`. */
  readonly durability?: 'durable' | 'quorum' | undefined;
  /** What to do about a queue that exists with other attributes: `adopt` it and log once (the default), or `fail`. */
  readonly onMismatch?: 'adopt' | 'fail' | undefined;
  /** Messages written whose outcome is not known yet, at most: 1,024. */
  readonly window?: number | undefined;
  /** Messages that wait for the connection, for credit or for the window, at most: 10,000. */
  readonly lineMessages?: number | undefined;
  /** Their bytes, at most, and bytes written that the socket did not take yet: 64 MiB. */
  readonly lineBytes?: number | undefined;
  /**
   * When the line is full: `reject` the newcomer with `OVERLOADED` (the default), reject the oldest instead, or let the
   * newcomer `wait` as long as its deadline, beyond the bound.
   */
  readonly overflow?: 'reject' | 'dropOldest' | 'wait' | undefined;
  /** Where lifetimes are kept by receivers: how much later than by the sender's clock a message is discarded. 1,000. */
  readonly clockToleranceMs?: number | undefined;
  /** Links to send by that are kept, where the broker wants one for each address: 64. */
  readonly senderLinks?: number | undefined;
  readonly maxFrameBytes?: number | undefined;
  /** The name that the broker shows for the connection. */
  readonly connectionName?: string | undefined;
  /** What the broker is told to be called. Default: `vhost:` and the vhost of the URL, as RabbitMQ wants it; else the host. */
  readonly hostname?: string | undefined;
  /** `PLAIN` (where there is a user), `ANONYMOUS` (where there is none), `EXTERNAL` for the client certificate, or `none`. */
  readonly mechanism?: 'PLAIN' | 'ANONYMOUS' | 'EXTERNAL' | 'none' | undefined;
  /** PEM text, or the path of a PEM file that is read again for each attempt to connect. Default: the system's. */
  readonly ca?: string | undefined;
  /** The client certificate, likewise. */
  readonly cert?: string | undefined;
  /** Its key, likewise. */
  readonly key?: string | undefined;
  readonly passphrase?: string | undefined;
  /** The name to look for in the broker's certificate, where it is not the host's. */
  readonly servername?: string | undefined;
  /** Verify nothing. Logged at each connection. */
  readonly insecure?: boolean | undefined;
  /** Speak over a WebSocket at this path, `/`. */
  readonly webSocketPath?: string | undefined;
  /** Default: Node's own, which is there from Node 22 on. */
  readonly webSocket?: WebSocketConstructor | undefined;
  /** Asked before each attempt to connect. */
  readonly credentials?: ((host: string) => UserCredentials | Promise<UserCredentials>) | undefined;
}

type Defaulted =
  | 'idleTimeoutMs'
  | 'connectTimeoutMs'
  | 'reconnectMinMs'
  | 'reconnectMaxMs'
  | 'hosts'
  | 'declare'
  | 'durability'
  | 'onMismatch'
  | 'window'
  | 'lineMessages'
  | 'lineBytes'
  | 'overflow'
  | 'clockToleranceMs'
  | 'senderLinks'
  | 'maxFrameBytes'
  | 'insecure';

/** The options, checked, with their defaults. */
export type Amqp1Settings = Amqp1Options & { readonly [K in Defaulted]-?: NonNullable<Amqp1Options[K]> };

const pem = z.string().min(1).optional();

const schema: z.ZodType<Amqp1Settings> = z.strictObject({
  profile: z.enum(PROFILES).optional(),
  idleTimeoutMs: durationMs.min(1_000).default(60_000),
  connectTimeoutMs: durationMs.default(10_000),
  connectWithinMs: durationMs.optional(),
  reconnectMinMs: durationMs.default(100),
  reconnectMaxMs: durationMs.default(30_000),
  hosts: z.enum(['random', 'given']).default('random'),
  declare: z.enum(['create', 'check', 'none']).default('create'),
  durability: z.enum(['durable', 'quorum']).default('durable'),
  onMismatch: z.enum(['adopt', 'fail']).default('adopt'),
  window: z.int().positive().max(65_536).default(1_024),
  lineMessages: z.int().nonnegative().default(10_000),
  lineBytes: z
    .int()
    .positive()
    .default(64 * 1024 * 1024),
  overflow: z.enum(['reject', 'dropOldest', 'wait']).default('reject'),
  clockToleranceMs: z.int().nonnegative().default(1_000),
  senderLinks: z.int().positive().max(1_024).default(64),
  maxFrameBytes: z.int().min(512).default(131_072),
  connectionName: z.string().optional(),
  hostname: z.string().optional(),
  mechanism: z.enum(['PLAIN', 'ANONYMOUS', 'EXTERNAL', 'none']).optional(),
  ca: pem,
  cert: pem,
  key: pem,
  passphrase: z.string().optional(),
  servername: z.string().optional(),
  insecure: z.boolean().default(false),
  webSocketPath: z.string().startsWith('/').optional(),
  webSocket: z.custom<WebSocketConstructor>((value) => typeof value === 'function').optional(),
  credentials: z.custom<NonNullable<Amqp1Options['credentials']>>((value) => typeof value === 'function').optional(),
});

const TEXTS: ReadonlySet<string> = new Set([
  'connectionName',
  'hostname',
  'ca',
  'cert',
  'key',
  'passphrase',
  'servername',
  'webSocketPath',
]);

/**
 * The settings out of the options in code and those in the URL, which win.
 *
 * @throws {ConfigError} naming the option
 */
export function amqp1Settings(options: Amqp1Options, url: TransportUrl): Amqp1Settings {
  parseConfig(schema, options, 'options');
  return parseConfig(schema, { ...options, ...fromQuery(url.query), ...textsOf(url.query) }, 'url');
}

/** Options that stay as they are written: a passphrase of digits is no number. */
function textsOf(query: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(query).filter(([name]) => TEXTS.has(name)));
}
