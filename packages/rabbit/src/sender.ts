import { setTimeout as pause } from 'node:timers/promises';
import {
  type Address,
  bufferOf,
  ClosedError,
  ConnectionError,
  DeliveryError,
  type DriverContext,
  describe,
  MalformedError,
  type Message,
  type MessagingError,
  messageOf,
  newId,
  OutcomeUnknownError,
  OverloadedError,
  onAbort,
  type SendOptions,
  Sweeper,
  TimeoutError,
  UnroutableError,
} from '@posthorn/core';
import type { Channel, Incoming, Publish } from './amqplib.ts';
import type { Connection } from './connection.ts';
import { declareIntake, ExchangeMemo, isAdoptable, withChannel } from './declare.ts';
import { channelError, forbiddenExchange, isNotFound } from './errors.ts';
import { closeQuietly, type Link } from './link.ts';
import { delayIntake, isDelay } from './naming.ts';
import type { RabbitSettings } from './options.ts';
import type { Intake, Route, Topology } from './topology.ts';

const DEFAULT_TIMEOUT_MS = 30_000;
const REOPEN_MS = 100;
/** Channels are renewed after refusals, but no sooner than this after they were opened. */
const RENEW_MS = 500;

/** One message on its way to the broker. */
interface Item {
  readonly to: Address;
  readonly route: Route;
  readonly properties: Publish;
  readonly body: Buffer;
  readonly confirm: boolean;
  readonly options: SendOptions;
  readonly timeoutMs: number;
  /** On the clock of `performance.now()`. */
  readonly deadline: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  /** Stops listening to its signal. */
  unlisten: (() => void) | undefined;
  /** Set once the broker gave a mandatory message back; its confirm still follows. */
  returned: boolean;
  state: 'waiting' | 'written' | 'done';
}

/** A queue that was made for messages to wait in. */
interface Kept {
  readonly begunAt: number;
  readonly made: Promise<void>;
}

/** The channels of one link that messages leave by: confirmed ones and the others do not mix. */
interface Outlet {
  readonly link: Link;
  readonly exchanges: ExchangeMemo;
  readonly plain: Channel;
  readonly confirmed: Channel;
  /** What was written on the confirmed channel and is not confirmed, oldest first. */
  readonly unconfirmed: Set<Item>;
  /** How far the last one that came back was among them. Not for long: an iterator keeps what a set sheds. */
  returning: Iterator<Item> | undefined;
  /** New channels are on their way, or have come; what was written here is still confirmed here. */
  renewing: boolean;
  retired: boolean;
}

/**
 * Publishes. What cannot be written now (no connection, a blocked broker, a full window, a slow socket) waits in one
 * bounded line, in order, until its deadline.
 */
export class Sender {
  readonly #connection: Connection;
  readonly #settings: RabbitSettings;
  readonly #context: DriverContext;
  readonly #line = new Set<Item>();
  readonly #kept = new WeakMap<Link, Map<string, Kept>>();
  #lineBytes = 0;
  #outlet: Outlet | undefined;
  /** The one in use, and those before it that still wait for confirms. */
  readonly #outlets = new Set<Outlet>();
  /** What is told to all whose unconfirmed messages leave in one batch. */
  #written: Promise<void> | undefined;
  readonly #sweeper = new Sweeper((now) => this.#expire(now));
  /** What waits, or is not confirmed yet. */
  #pending = 0;
  #quiet: (() => void) | undefined;
  #closed = false;
  #reopen: NodeJS.Timeout | undefined;
  #renewal: NodeJS.Timeout | undefined;

  constructor(connection: Connection, settings: RabbitSettings, context: DriverContext) {
    this.#connection = connection;
    this.#settings = settings;
    this.#context = context;
    connection.listen({
      up: (link) => void this.#open(link),
      down: (_link, error) => this.#down(error),
      blocked: () => this.#drain(),
    });
  }

  /** Not async itself: each layer of promises is felt in every call. */
  send(topology: Topology, to: Address, message: Message, options: SendOptions): Promise<void> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#closed) return Promise.reject(new ClosedError('the transport'));
    try {
      const properties = propertiesOf(topology, message, options);
      if (options.unrouted !== 'keep' && options.delayMs === undefined)
        return this.#deliver(to, topology.route(to), properties, message.body, options, timeoutMs);
      return to.kind === 'topic' && options.delayMs === undefined && !topology.keepsAlways
        ? this.#deliverOrKeep(topology, to, properties, message.body, options, timeoutMs)
        : this.#counted(this.#deliverToQueue(topology, to, properties, message.body, options, timeoutMs));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #counted(sending: Promise<void>): Promise<void> {
    this.#pending++;
    try {
      await sending;
    } finally {
      this.#less();
    }
  }

  #less(): void {
    if (--this.#pending > 0) return;
    this.#sweeper.rest();
    this.#quiet?.();
  }

  /** What most often finds a listener: what a queue for it would be is asked when it does not. */
  #deliverOrKeep(
    topology: Topology,
    to: Address,
    properties: Publish,
    body: Uint8Array,
    options: SendOptions,
    timeoutMs: number,
  ): Promise<void> {
    const begunAt = performance.now();
    const sending = this.#deliver(to, topology.route(to), properties, body, options, timeoutMs);
    this.#pending++;
    return sending.then(
      () => this.#less(),
      async () => {
        try {
          await this.#deliverToQueue(topology, to, properties, body, options, timeoutMs, { begunAt, sending });
        } finally {
          this.#less();
        }
      },
    );
  }

  /**
   * Sends what must wait in a queue that may not exist: publish first; what comes back unrouted makes the queue, and is
   * sent to it with the same id. So nothing is declared for each message, and a queue that was deleted heals.
   *
   * @param first the first publishing, where that has been tried
   */
  async #deliverToQueue(
    topology: Topology,
    to: Address,
    properties: Publish,
    body: Uint8Array,
    options: SendOptions,
    timeoutMs: number,
    first?: { readonly begunAt: number; readonly sending: Promise<void> },
  ): Promise<void> {
    const { delayMs, signal } = options;
    const deadline = (first?.begunAt ?? performance.now()) + timeoutMs;
    const target = topology.route(to);
    const intake = delayMs === undefined ? topology.kept(to, options) : delayIntake(target, delayMs);
    const [binding] = intake.bindings;
    const straight: Route = delayMs === undefined ? target : { exchange: binding?.exchange, key: target.key };
    // A queue that is not bound gets only what nobody else did.
    const isBound = binding !== undefined || straight.exchange === undefined;
    const last: Route = isBound ? straight : { exchange: undefined, key: intake.queue.name };
    if (topology.keepsAlways && delayMs === undefined) await this.#keep(intake, to, deadline, signal);
    let route = straight;
    let tried = first;
    for (let left = 2; ; left--) {
      const begunAt = tried?.begunAt ?? performance.now();
      try {
        return await (tried?.sending ??
          this.#deliver(to, route, properties, body, options, Math.max(1, deadline - begunAt)));
      } catch (error) {
        const refused = isHalfMade(error, intake);
        if (left === 0 || !(error instanceof UnroutableError || refused)) throw error;
        // The channel goes on refusing; by then there is another.
        if (refused) await pause(2 * RENEW_MS, undefined, signal && { signal }).catch(() => undefined);
      }
      await this.#keep(intake, to, deadline, signal, route === last ? begunAt : undefined);
      tried = undefined;
      route = last;
    }
  }

  /** Waits for what is on its way, then refuses everything. */
  async close(signal?: AbortSignal): Promise<void> {
    this.#closed = true;
    if (this.#pending === 0 || signal?.aborted) return this.#sweeper.stop();
    await new Promise<void>((resolve) => {
      this.#quiet = resolve;
      signal?.addEventListener('abort', () => resolve(), { once: true });
      // Without a connection nothing will be sent any more.
      if (this.#connection.link === undefined) this.#abandon();
    });
    this.#sweeper.stop();
  }

  #abandon(): void {
    for (const item of [...this.#line]) this.#finish(item, new ClosedError('the transport'));
  }

  #deliver(
    to: Address,
    route: Route,
    properties: Publish,
    body: Uint8Array,
    options: SendOptions,
    timeoutMs: number,
  ): Promise<void> {
    const { signal, unrouted, delayMs } = options;
    // A message that must be kept is only known to have arrived once the broker says so. What a quorum queue refuses (see
    // `#renew`) would else be lost without a word.
    const confirm = options.confirm || unrouted === 'keep' || delayMs !== undefined || this.#isForQuorum(to);
    const bytes = bufferOf(body);
    if (!confirm && this.#line.size === 0 && this.#canWrite(route))
      return this.#writePlainly(route, properties, bytes, options);
    return new Promise((resolve, reject) => {
      const deadline = performance.now() + timeoutMs;
      const item: Item = {
        to,
        route,
        properties,
        body: bytes,
        confirm,
        options,
        timeoutMs,
        deadline,
        resolve,
        reject,
        unlisten: undefined,
        returned: false,
        state: 'waiting',
      };
      this.#pending++;
      if (this.#line.size === 0 && this.#canWrite(route)) this.#write(item);
      else this.#queue(item);
      if (item.state === 'done') return;
      this.#sweeper.by(deadline);
      if (signal !== undefined) item.unlisten = onAbort(signal, () => this.#finish(item, signal.reason));
    });
  }

  /** The way of most messages, which wait for nothing. */
  #writePlainly(route: Route, properties: Publish, body: Buffer, options: SendOptions): Promise<void> {
    const outlet = this.#outlet;
    if (outlet === undefined) throw new ConnectionError('sending a message: not connected');
    if (options.beforeWrite?.() === false) return Promise.resolve();
    const { batch } = outlet.link;
    batch.publish(outlet.plain.ch, route.exchange?.name ?? '', route.key, properties, body);
    if (this.#written === undefined) {
      const written = new Promise<void>((resolve, reject) => {
        batch.onWritten((isWritten) => {
          this.#written = undefined;
          if (isWritten) resolve();
          else reject(new OutcomeUnknownError('sending'));
        });
      });
      this.#written = written;
    }
    return this.#written;
  }

  #isForQuorum({ kind }: Address): boolean {
    return this.#settings.durability === 'quorum' && (kind === 'anycast' || kind === 'unicast');
  }

  #expire(now: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const items of [this.#line, ...[...this.#outlets].map(({ unconfirmed }) => unconfirmed)])
      for (const item of items) {
        if (item.deadline <= now) this.#finish(item, timeoutOf(item));
        else next = Math.min(next, item.deadline);
      }
    return next;
  }

  #queue(item: Item): void {
    const { lineMessages, lineBytes, overflow } = this.#settings;
    const isFull = (): boolean => this.#line.size >= lineMessages || this.#lineBytes + item.body.length > lineBytes;
    const overloaded = (what: string): OverloadedError =>
      new OverloadedError(`${what}: ${this.#line.size} messages wait already`);
    if (overflow === 'dropOldest') {
      for (const oldest of this.#line) {
        if (!isFull()) break;
        this.#finish(oldest, overloaded(`sending to ${describe(oldest.to)} was dropped for a newer message`));
      }
    }
    if (overflow !== 'wait' && isFull()) return this.#finish(item, overloaded(`sending to ${describe(item.to)}`));
    this.#line.add(item);
    this.#lineBytes += item.body.length;
    this.#drain();
  }

  #canWrite(route: Route): boolean {
    const outlet = this.#outlet;
    if (outlet === undefined || outlet.link.down !== undefined || this.#connection.blocked) return false;
    if (outlet.unconfirmed.size >= this.#settings.window) return false;
    if (outlet.link.batch.backlogBytes > this.#settings.lineBytes) return false;
    return route.exchange === undefined || outlet.exchanges.has(route.exchange);
  }

  #drain(): void {
    for (const item of this.#line) {
      if (!this.#canWrite(item.route)) return this.#unlock(item);
      this.#write(item);
    }
  }

  /** Does what the first in line waits for, where that is in our hands. */
  #unlock({ route: { exchange } }: Item): void {
    const outlet = this.#outlet;
    if (outlet === undefined) return;
    if (exchange !== undefined && !outlet.exchanges.has(exchange)) {
      outlet.exchanges.ensure(exchange).then(
        () => this.#drain(),
        (error: unknown) => this.#refuse(exchange.name, error, outlet),
      );
    } else if (outlet.link.batch.backlogBytes > this.#settings.lineBytes) {
      outlet.link.batch.onWritten((written) => written && this.#drain());
    }
  }

  /** The exchange cannot be had: whoever waits for it is told, the others go on. */
  #refuse(exchange: string, error: unknown, outlet: Outlet): void {
    if (this.#outlet !== outlet) return;
    for (const item of [...this.#line]) if (item.route.exchange?.name === exchange) this.#finish(item, error);
    this.#drain();
  }

  #write(item: Item): void {
    const outlet = this.#outlet;
    if (outlet === undefined) return;
    const { route, properties, body, confirm, options } = item;
    const exchange = route.exchange?.name ?? '';
    const { batch } = outlet.link;
    this.#leaveLine(item);
    if (options.beforeWrite?.() === false) return this.#finish(item, undefined);
    try {
      const channel = confirm ? outlet.confirmed : outlet.plain;
      batch.publish(channel.ch, exchange, route.key, properties, body);
      item.state = 'written';
      if (confirm) {
        outlet.unconfirmed.add(item);
        channel.pushConfirmCallback?.((error) => this.#confirmed(outlet, item, error));
      } else batch.onWritten((written) => this.#finish(item, written ? undefined : this.#lostOf(item)));
    } catch (error) {
      this.#finish(item, publishError(error, item.to));
    }
  }

  #confirmed(outlet: Outlet, item: Item, error: Error | null): void {
    outlet.unconfirmed.delete(item);
    outlet.returning = undefined;
    if (isRefusal(error)) this.#renew(outlet);
    if (outlet.retired && outlet.unconfirmed.size === 0) this.#leave(outlet);
    if (isRefusal(error)) this.#finish(item, new DeliveryError(`${describe(item.to)}: the broker refused the message`));
    else if (error !== null && error !== undefined)
      this.#finish(item, this.#lostOf(item, outlet.link.down ?? outlet.link.reasonOf(outlet.confirmed) ?? error));
    else this.#finish(item, item.returned ? new UnroutableError(describe(item.to), item.to) : undefined);
    this.#drain();
  }

  /** What is known of a message that was written before the end: nothing, but where the broker named what it refused. */
  #lostOf({ to, route }: Item, cause?: Error): MessagingError {
    const forbidden = forbiddenExchange(cause);
    if (forbidden !== undefined && route.exchange?.name === forbidden) return channelError(cause, describe(to));
    return new OutcomeUnknownError(`sending to ${describe(to)}`, cause && { cause });
  }

  #finish(item: Item, error: unknown): void {
    if (item.state === 'done') return;
    this.#leaveLine(item);
    item.state = 'done';
    item.unlisten?.();
    this.#less();
    if (error === undefined) item.resolve();
    else item.reject(error);
  }

  #leaveLine(item: Item): void {
    if (this.#line.delete(item)) this.#lineBytes -= item.body.length;
  }

  async #open(link: Link): Promise<void> {
    try {
      const [plain, confirmed] = await Promise.all([
        link.channel('plain', (error) => this.#channelLost(link, 'plain', error)),
        link.channel('confirm', (error) => this.#channelLost(link, 'confirm', error)),
      ]);
      const outlet: Outlet = {
        link,
        exchanges: new ExchangeMemo(link, this.#settings.declare),
        plain,
        confirmed,
        unconfirmed: new Set(),
        returning: undefined,
        renewing: false,
        retired: false,
      };
      plain.on('return', (message) => this.#returned(message));
      confirmed.on('return', (message) => markReturned(outlet, message));
      if (link.down !== undefined) return;
      this.#retire(this.#outlet);
      this.#outlet = outlet;
      this.#outlets.add(outlet);
      this.#drain();
    } catch (error) {
      if (link.down !== undefined) return;
      this.#context.logger.error({ err: error }, 'cannot open the channels to publish on');
      link.destroy();
    }
  }

  /**
   * New channels, while what was written on the old ones is confirmed there. RabbitMQ 3.10 asks the former leader of a
   * quorum queue when a channel first publishes to it: if that node has just died, the channel refuses (a confirmed
   * message) or drops (any other) whatever is for that queue until the node is back.
   */
  #renew(outlet: Outlet): void {
    if (this.#outlet !== outlet || outlet.renewing) return;
    outlet.renewing = true;
    this.#renewal = setTimeout(() => {
      if (this.#outlet === outlet) void this.#open(outlet.link);
    }, RENEW_MS);
  }

  #leave(outlet: Outlet): void {
    this.#outlets.delete(outlet);
    closeQuietly(outlet.link, outlet.confirmed);
  }

  #retire(outlet: Outlet | undefined): void {
    if (outlet === undefined) return;
    outlet.retired = true;
    closeQuietly(outlet.link, outlet.plain);
    if (outlet.unconfirmed.size === 0) this.#leave(outlet);
  }

  /** The broker closed a channel of ours, while the connection lives: an exchange has gone, or a permission. */
  #channelLost(link: Link, kind: 'plain' | 'confirm', error: Error): void {
    if (link.down !== undefined || this.#outlet?.link !== link) return;
    const { unconfirmed, plain, confirmed } = this.#outlet;
    this.#outlets.delete(this.#outlet);
    this.#outlet = undefined;
    const cause = channelError(error, 'publishing');
    this.#context.logger[isNotFound(error) ? 'info' : 'warn']({ err: cause }, 'a channel was closed by the broker');
    for (const item of [...unconfirmed]) this.#finish(item, this.#lostOf(item, error));
    // The broker reads the other channel to its end: what was written on that one is not lost.
    if (kind === 'plain') this.#context.onLost(cause);
    for (const channel of [plain, confirmed]) closeQuietly(link, channel);
    this.#reopen = setTimeout(() => void this.#open(link), REOPEN_MS);
  }

  #returned({ fields, properties: { messageId } }: Incoming): void {
    const { exchange, routingKey } = fields;
    const to: Address =
      exchange === '' ? { kind: 'reply', name: routingKey } : { kind: 'topic', exchange, key: routingKey };
    this.#context.onReturned(messageId, to);
  }

  #down(error: Error): void {
    clearTimeout(this.#reopen);
    clearTimeout(this.#renewal);
    const outlet = this.#outlet;
    this.#outlet = undefined;
    for (const item of outlet?.unconfirmed ?? []) this.#finish(item, this.#lostOf(item, error));
    // In `split` mode the inbox lives on: it does not know that requests may have been lost.
    this.#context.onLost(error);
    if (this.#closed) this.#abandon();
  }

  /** Makes the queue, once for each link, or anew where it was missing at a moment after it was made. */
  async #keep(
    intake: Intake,
    to: Address,
    deadline: number,
    signal: AbortSignal | undefined,
    missingAt = Number.NEGATIVE_INFINITY,
  ): Promise<void> {
    const link = await this.#linkWithin(to, deadline, signal);
    const { name } = intake.queue;
    const kept = keptOn(this.#kept, link);
    const known = kept.get(name);
    if (known !== undefined && known.begunAt >= missingAt) return known.made;
    const made = this.#make(link, intake, to);
    const entry = { begunAt: performance.now(), made };
    kept.set(name, entry);
    made.catch(() => kept.get(name) === entry && kept.delete(name));
    return made;
  }

  async #make(link: Link, intake: Intake, to: Address): Promise<void> {
    const { declare, onMismatch } = this.#settings;
    const attempt = (adopt: boolean): Promise<number | undefined> =>
      withChannel(link, (channel) => declareIntake(link, channel, intake, { declare, adopt }));
    const consumers = await attempt(false).catch((error: unknown) => {
      if (isAdoptable(error, intake.queue, onMismatch)) return attempt(true);
      throw channelError(error, `the queue that keeps ${describe(to)}`);
    });
    if (consumers === 0 && !isDelay(intake))
      this.#context.logger.warn(
        { to: describe(to), queue: intake.queue.name },
        'nobody listens: messages are kept in a queue',
      );
  }

  async #linkWithin(to: Address, deadline: number, signal: AbortSignal | undefined): Promise<Link> {
    const leftMs = Math.max(1, Math.ceil(deadline - performance.now()));
    const timeout = AbortSignal.timeout(leftMs);
    try {
      return await this.#connection.ready(signal === undefined ? timeout : AbortSignal.any([timeout, signal]));
    } catch (error) {
      throw timeout.aborted && !signal?.aborted ? new TimeoutError(`sending to ${describe(to)}`, leftMs) : error;
    }
  }
}

/** RabbitMQ 3.10 refuses what comes while a quorum queue is there by name, but still being made for somebody else. */
function isHalfMade(error: unknown, { queue }: Intake): boolean {
  return error instanceof DeliveryError && queue.arguments['x-queue-type'] === 'quorum';
}

function isRefusal(error: Error | null): boolean {
  return error?.message === 'message nacked';
}

function keptOn(kept: WeakMap<Link, Map<string, Kept>>, link: Link): Map<string, Kept> {
  const known = kept.get(link) ?? new Map<string, Kept>();
  kept.set(link, known);
  return known;
}

function propertiesOf(
  topology: Topology,
  message: Message,
  { unrouted, confirm, persistent, delayMs, priority = topology.priority }: SendOptions,
): Publish {
  // Where the queue was declared before, a message without an id is sent as it is: it could not be recognised.
  const isDeclared = topology.keepsAlways === true && message.messageId === undefined;
  const queued = (unrouted === 'keep' && !isDeclared) || delayMs !== undefined;
  const mandatory = unrouted === 'fail' || queued;
  return {
    contentType: message.contentType,
    contentEncoding: message.contentEncoding,
    headers: message.headers,
    // A message that may come back is recognised by its id.
    messageId: message.messageId ?? (mandatory && (confirm || queued) ? newId() : undefined),
    type: message.type,
    correlationId: message.correlationId,
    replyTo: message.replyTo,
    expiration: message.ttlMs === undefined ? undefined : String(Math.ceil(message.ttlMs)),
    deliveryMode: persistent || topology.persistent ? 2 : 1,
    priority,
    mandatory,
  };
}

/**
 * Messages come back in the order in which they were written, and are confirmed next: so each is looked for from where
 * the last one was, and no index of all that may come back is needed.
 */
function markReturned(outlet: Outlet, message: Incoming): void {
  for (const from of [outlet.returning, outlet.unconfirmed.values()]) {
    for (let next = from?.next(); next !== undefined && !next.done; next = from?.next()) {
      if (!isSame(next.value, message)) continue;
      next.value.returned = true;
      outlet.returning = from;
      return;
    }
  }
}

/** One message may go to several. */
function isSame({ route, properties }: Item, { fields, properties: { messageId } }: Incoming): boolean {
  return (
    properties.mandatory === true &&
    properties.messageId === messageId &&
    route.key === fields.routingKey &&
    (route.exchange?.name ?? '') === fields.exchange
  );
}

function timeoutOf({ to, timeoutMs, state }: Item): Error {
  const what = `sending to ${describe(to)}`;
  const timeout = new TimeoutError(state === 'waiting' ? what : 'the confirmation', timeoutMs);
  return state === 'waiting' ? timeout : new OutcomeUnknownError(what, { cause: timeout });
}

function publishError(error: unknown, to: Address): Error {
  return new MalformedError(`sending to ${describe(to)}: ${messageOf(error)}`, { cause: error });
}
