import { type Address, describe, type Source } from './address.ts';
import type { Agreed, Comparison, Declaration, Inspection, PlanOptions } from './declaration.ts';
import type { Driver, DriverContext, Features, SendOptions, SubscribeOptions, Subscription } from './driver.ts';
import { ClosedError, ConfigError, TooLargeError, UnroutableError, UnsupportedError } from './errors.ts';
import { type Health, HealthRecord } from './health.ts';
import { Inbox } from './inbox.ts';
import { type Logger, silent } from './logger.ts';
import type { Delivery, Message } from './message.ts';
import { RecentIds } from './recent-ids.ts';
import type { CloseOptions, CloseReport } from './server.ts';
import type { Status } from './status.ts';
import { native, type Wire } from './wire.ts';

export interface TransportOptions {
  readonly wire?: Wire;
  readonly logger?: Logger;
  /** Bodies above this many bytes are neither sent nor handled. Default 16 MiB, RabbitMQ 4's own limit. */
  readonly maxMessageBytes?: number;
  readonly onStatus?: (status: Status) => void;
}

/** Something that a transport closes with itself: a server. */
export interface Child {
  close(options?: CloseOptions): Promise<CloseReport>;
}

/** Makes a driver; resolves when it is connected. */
export type OpenDriver = (context: DriverContext) => Promise<Driver>;

const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const DEAD_REPLY_MS = 60_000;
const DEAD_REPLIES = 1_000;

/** What the views of one connection share. */
interface Connection {
  readonly driver: Driver;
  readonly logger: Logger;
  readonly maxMessageBytes: number;
  readonly children: Set<Child>;
  readonly views: Set<Transport>;
  /** Reply addresses that nobody reads any more, and until when they are remembered. */
  readonly deadReplies: Map<string, number>;
  readonly startedIds: RecentIds;
  readonly health: HealthRecord;
  status: Status;
  /** True once the servers have ended: until then, work that runs may still send. */
  ended: boolean;
  closing: Promise<CloseReport> | undefined;
}

/**
 * One connection to a broker, shared by all the clients and servers that are built on it. It owns the driver, the inbox
 * for replies, and its servers, which it closes with itself.
 */
export class Transport implements AsyncDisposable {
  readonly wire: Wire;
  readonly inbox: Inbox;
  readonly #driver: Driver;
  readonly #connection: Connection;

  private constructor(connection: Connection, given: Wire) {
    const wire = given.on?.(connection.driver) ?? given;
    const driver = topologyView(connection.driver, wire);
    this.#connection = connection;
    this.wire = wire;
    this.#driver = driver;
    const correlate = wire.correlate ?? ((message: Message) => message.correlationId);
    this.inbox = new Inbox(driver, correlate, (message) =>
      connection.logger.debug({ correlationId: message.correlationId }, 'a reply that nobody waits for'),
    );
    connection.views.add(this);
  }

  /** Connects. Most applications call `connect(url)` of the package `posthorn`, which picks the driver. */
  static async open(openDriver: OpenDriver, options: TransportOptions = {}): Promise<Transport> {
    const { logger = silent, wire = native(), maxMessageBytes = MAX_MESSAGE_BYTES } = options;
    const views = new Set<Transport>();
    const deadReplies = new Map<string, number>();
    const health = new HealthRecord();
    let status: Status | undefined;
    let connection: Connection | undefined;
    const driver = await openDriver({
      logger,
      onStatus: (next) => {
        status = next;
        health.tell(next);
        if (connection !== undefined) connection.status = next;
        tell(options.onStatus, next, logger);
      },
      onReturned: (id, to) => {
        if (to.kind === 'reply') return rememberDead(deadReplies, to.name, logger);
        if (id === undefined) return;
        for (const view of views) view.inbox.unroutable(id, to);
      },
      onLost: (error) => {
        for (const view of views) view.inbox.lose(error);
      },
      onLateSettle: () => health.settledLate(),
    });
    connection = {
      driver,
      logger,
      maxMessageBytes,
      children: new Set(),
      views,
      deadReplies,
      startedIds: new RecentIds(),
      health,
      status: status ?? { state: 'connected', host: driver.name, generation: 1 },
      ended: false,
      closing: undefined,
    };
    try {
      return new Transport(connection, wire);
    } catch (error) {
      await driver.close();
      throw error;
    }
  }

  /** The same connection speaking another wire: for a service that serves two kinds of peers. */
  with({ wire }: { readonly wire: Wire }): Transport {
    return new Transport(this.#connection, wire);
  }

  /**
   * Whether both are views of one connection, or one and the same. A transport of another copy of this package, whose
   * activities the channels of the process tell as well, is neither.
   */
  sharesConnection(other: Transport): boolean {
    return #connection in other && this.#connection === other.#connection;
  }

  /** The driver's name. */
  get name(): string {
    return this.#driver.name;
  }

  /** What the broker says it is, where there are several that the driver speaks to. */
  get product(): string | undefined {
    return this.#driver.product;
  }

  get features(): Features {
    return this.#driver.features;
  }

  get logger(): Logger {
    return this.#connection.logger;
  }

  get maxMessageBytes(): number {
    return this.#connection.maxMessageBytes;
  }

  /** The ids of messages whose work was started on this connection. */
  get startedIds(): RecentIds {
    return this.#connection.startedIds;
  }

  get status(): Status {
    return this.#connection.status;
  }

  /** How the connection is, for probes. */
  health(): Health {
    return this.#connection.health.snapshot();
  }

  /** Hands a message to the broker. See `Driver.send`; bodies above `maxMessageBytes` are refused. */
  send(to: Address, message: Message, options?: SendOptions): Promise<void> {
    const { ended, maxMessageBytes, deadReplies } = this.#connection;
    if (ended) return Promise.reject(new ClosedError('the transport'));
    if (message.body.length > maxMessageBytes) {
      return Promise.reject(new TooLargeError(`a message to ${describe(to)}`, message.body.length, maxMessageBytes));
    }
    if (to.kind === 'reply' && deadReplies.size > 0 && isDead(deadReplies, to.name)) {
      return Promise.reject(new UnroutableError(`no reply to ${describe(to)}`, to));
    }
    return this.#driver.send(to, message, options);
  }

  subscribe(
    from: readonly Source[],
    receive: (delivery: Delivery) => void,
    options?: SubscribeOptions,
  ): Promise<Subscription> {
    if (this.#connection.closing !== undefined) return Promise.reject(new ClosedError('the transport'));
    return this.#driver.subscribe(from, receive, options);
  }

  /** For tools. See `Driver.agreed`. */
  get agreed(): Agreed | undefined {
    return this.#driver.agreed;
  }

  /** For tools. See `Driver.inspect`. @throws {UnsupportedError} */
  async inspect(address: Address): Promise<Inspection | undefined> {
    if (!this.features.inspect || this.#driver.inspect === undefined)
      throw new UnsupportedError(this.name, 'looking at queues');
    return await this.#driver.inspect(address);
  }

  /** For tools. See `Driver.plan`. @throws {UnsupportedError} */
  plan(what: readonly Source[] | Address, options?: PlanOptions): readonly Declaration[] {
    if (!this.features.plan || this.#driver.plan === undefined)
      throw new UnsupportedError(this.name, 'telling what it declares');
    return this.#driver.plan(what, options);
  }

  /** For tools. See `Driver.declare`. @throws {UnsupportedError} */
  async declare(declaration: Declaration, verb: 'compare' | 'create' | 'remove'): Promise<Comparison> {
    if (!this.features.declare || this.#driver.declare === undefined)
      throw new UnsupportedError(this.name, 'declaring apart from sending and subscribing');
    return await this.#driver.declare(declaration, verb);
  }

  /** Closes the child with this transport. Returns how to undo that. */
  adopt(child: Child): () => void {
    this.#connection.children.add(child);
    return () => this.#connection.children.delete(child);
  }

  /**
   * Closes the servers, newest first, then the connection. Work that runs is waited for, at most `timeoutMs` in all;
   * calls that wait for replies reject with `CLOSED`. Views share their connection: closing one closes all.
   */
  close(options: CloseOptions = {}): Promise<CloseReport> {
    this.#connection.closing ??= shut(this.#connection, options);
    return this.#connection.closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

async function shut(connection: Connection, { timeoutMs, signal }: CloseOptions): Promise<CloseReport> {
  const deadline = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
  const abandoned: string[] = [];
  for (const child of [...connection.children].reverse()) {
    const left = deadline === undefined ? {} : { timeoutMs: Math.max(1, deadline - performance.now()) };
    const report = await child.close({ ...left, ...(signal && { signal }) });
    abandoned.push(...report.abandoned);
  }
  connection.ended = true;
  const giveUp = deadline === undefined ? signal : anySignal(deadline, signal);
  for (const view of connection.views) view.inbox.close();
  await connection.driver.close(giveUp && { signal: giveUp });
  return { abandoned };
}

/** Aborts at the deadline or with the signal. `AbortSignal.timeout` keeps no process alive. */
function anySignal(deadline: number, signal: AbortSignal | undefined): AbortSignal {
  const timeout = AbortSignal.timeout(Math.max(1, Math.ceil(deadline - performance.now())));
  return signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
}

function topologyView(driver: Driver, wire: Wire): Driver {
  const topology = wire.topology?.[driver.name];
  if (topology === undefined) return driver;
  if (driver.view === undefined)
    throw new ConfigError('wire', `the ${driver.name} transport cannot speak the wire ${wire.name}`);
  return driver.view(topology);
}

function tell(listener: ((status: Status) => void) | undefined, status: Status, logger: Logger): void {
  try {
    listener?.(status);
  } catch (error) {
    logger.error({ err: error }, 'onStatus threw');
  }
}

function isDead(dead: Map<string, number>, name: string): boolean {
  const until = dead.get(name);
  if (until === undefined) return false;
  if (until > performance.now()) return true;
  dead.delete(name);
  return false;
}

function rememberDead(dead: Map<string, number>, name: string, logger: Logger): void {
  if (dead.has(name)) return;
  const oldest = dead.keys().next();
  if (dead.size >= DEAD_REPLIES && !oldest.done) dead.delete(oldest.value);
  dead.set(name, performance.now() + DEAD_REPLY_MS);
  logger.info({ replyTo: name }, 'the caller is gone: its replies are dropped');
}
