import { durationMs, fromQuery, parseConfig, type TransportUrl } from '@posthorn/core';
import { z } from 'zod';
import type { Topology } from './topology.ts';

export interface UserCredentials {
  readonly username: string;
  /** Or a token. */
  readonly password: string;
  /** Ask again before this long has passed, and tell the broker (`updateSecret`): for tokens. */
  readonly expiresInMs?: number | undefined;
}

/** Options of the RabbitMQ driver, all but the last two also as `?option=value` of the URL. Times in milliseconds. */
export interface RabbitOptions {
  /** A broker that is silent for twice this long is taken for dead. Whole seconds; 30,000. */
  readonly heartbeatMs?: number | undefined;
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
  /** `split` publishes on a connection of its own, so that a blocked broker still lets consumers settle. Default `one`. */
  readonly connections?: 'one' | 'split' | undefined;
  /** `create` exchanges and queues (the default); only `check` that they are there; or use them unseen: `none`. */
  readonly declare?: 'create' | 'check' | 'none' | undefined;
  /** How shared queues are kept: `durable` (the default) or `quorum`. */
  readonly durability?: 'durable' | 'quorum' | undefined;
  /** What to do about a queue that exists with other attributes: `adopt` it and log once (the default), or `fail`. */
  readonly onMismatch?: 'adopt' | 'fail' | undefined;
  /** Messages written and not yet confirmed, at most: 1,024. */
  readonly window?: number | undefined;
  /** Messages that wait for the connection or the window, at most: 10,000. */
  readonly lineMessages?: number | undefined;
  /** Their bytes, at most, and bytes written that the socket did not take yet: 64 MiB. */
  readonly lineBytes?: number | undefined;
  /**
   * When the line is full: `reject` the newcomer with `OVERLOADED` (the default), reject the oldest instead, or let the
   * newcomer `wait` as long as its deadline, beyond the bound.
   */
  readonly overflow?: 'reject' | 'dropOldest' | 'wait' | undefined;
  readonly frameMax?: number | undefined;
  /** The name that RabbitMQ shows for the connection. */
  readonly connectionName?: string | undefined;
  /** `PLAIN` (the default), `AMQPLAIN`, or `EXTERNAL` for the client certificate. */
  readonly mechanism?: 'PLAIN' | 'AMQPLAIN' | 'EXTERNAL' | undefined;
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
  /** Asked before each attempt to connect. */
  readonly credentials?: ((host: string) => UserCredentials | Promise<UserCredentials>) | undefined;
  /** Other names and flags than Posthorn's own. */
  readonly topology?: Topology | undefined;
}

type Defaulted =
  | 'heartbeatMs'
  | 'connectTimeoutMs'
  | 'reconnectMinMs'
  | 'reconnectMaxMs'
  | 'hosts'
  | 'connections'
  | 'declare'
  | 'durability'
  | 'onMismatch'
  | 'window'
  | 'lineMessages'
  | 'lineBytes'
  | 'overflow'
  | 'frameMax'
  | 'mechanism'
  | 'insecure';

/** The options, checked, with their defaults. */
export type RabbitSettings = RabbitOptions & { readonly [K in Defaulted]-?: NonNullable<RabbitOptions[K]> };

const pem = z.string().min(1).optional();

const schema: z.ZodType<RabbitSettings> = z.strictObject({
  heartbeatMs: durationMs.min(1_000).default(30_000),
  connectTimeoutMs: durationMs.default(10_000),
  connectWithinMs: durationMs.optional(),
  reconnectMinMs: durationMs.default(100),
  reconnectMaxMs: durationMs.default(30_000),
  hosts: z.enum(['random', 'given']).default('random'),
  connections: z.enum(['one', 'split']).default('one'),
  declare: z.enum(['create', 'check', 'none']).default('create'),
  durability: z.enum(['durable', 'quorum']).default('durable'),
  onMismatch: z.enum(['adopt', 'fail']).default('adopt'),
  // amqplib's own ledger of confirms grows quadratically slow above some thousands.
  window: z.int().positive().max(4_096).default(1_024),
  lineMessages: z.int().nonnegative().default(10_000),
  lineBytes: z
    .int()
    .positive()
    .default(64 * 1024 * 1024),
  overflow: z.enum(['reject', 'dropOldest', 'wait']).default('reject'),
  frameMax: z.int().min(8_192).default(131_072),
  connectionName: z.string().optional(),
  mechanism: z.enum(['PLAIN', 'AMQPLAIN', 'EXTERNAL']).default('PLAIN'),
  ca: pem,
  cert: pem,
  key: pem,
  passphrase: z.string().optional(),
  servername: z.string().optional(),
  insecure: z.boolean().default(false),
  credentials: z.custom<NonNullable<RabbitOptions['credentials']>>((value) => typeof value === 'function').optional(),
  topology: z.custom<Topology>((value) => typeof value === 'object' && value !== null).optional(),
});

const TEXTS: ReadonlySet<string> = new Set(['connectionName', 'ca', 'cert', 'key', 'passphrase', 'servername']);

/**
 * The settings out of the options in code and those in the URL, which win.
 *
 * @throws {ConfigError} naming the option
 */
export function rabbitSettings(options: RabbitOptions, url: TransportUrl): RabbitSettings {
  parseConfig(schema, options, 'options');
  return parseConfig(schema, { ...options, ...fromQuery(url.query), ...textsOf(url.query) }, 'url');
}

/** Options that stay as they are written: a passphrase of digits is no number. */
function textsOf(query: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(query).filter(([name]) => TEXTS.has(name)));
}
