import {
  type Address,
  ClosedError,
  DeliveryError,
  type DriverContext,
  describe,
  MalformedError,
  type Message,
  MessagingError,
  messageOf,
  OutcomeUnknownError,
  OverloadedError,
  onAbort,
  type SendOptions,
  TimeoutError,
  UnroutableError,
  type Unrouted,
} from '@posthorn/core';
import type { Connection } from './connection.ts';
import { Encoder } from './encoder.ts';
import { isNotFound, linkError, refusal } from './errors.ts';
import type { Link } from './link.ts';
import type { Management } from './management.ts';
import type { Amqp1Settings } from './options.ts';
import type { SendOutcome } from './outgoing.ts';
import { Outlet } from './outlet.ts';
import type { ExchangeDeclaration, Profile, Route, Shelf } from './profile.ts';

const DEFAULT_TIMEOUT_MS = 30_000;
const MOST_ATTEMPTS = 5;
/** Lanes that are kept where they share one link: each remembers an exchange that was declared. */
const MOST_LANES = 1_024;

/** One message on its way to the broker. */
interface Item {
  readonly profile: Profile;
  readonly to: Address;
  readonly route: Route;
  readonly message: Message;
  /** When its lifetime began. */
  readonly sentAt: number;
  readonly options: SendOptions;
  readonly confirm: boolean;
  /** What happens when nobody receives it. */
  readonly unrouted: Unrouted;
  readonly lane: Lane;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  /** Ends what was begun for a message that has to wait: its timer, its listener. */
  forget: (() => void) | undefined;
  written: { readonly outlet: Outlet<Item>; readonly id: number } | undefined;
  state: 'waiting' | 'written' | 'done';
}

/** The message with what is left of its lifetime after it had to wait. */
function inItsTime({ message, sentAt }: Item): Message {
  if (message.ttlMs === undefined) return message;
  const ttlMs = message.ttlMs - (performance.now() - sentAt);
  return ttlMs > message.ttlMs - 1 ? message : { ...message, ttlMs: Math.max(1, ttlMs) };
}

/** Messages that need the same before they can be written, in order. */
interface Lane {
  readonly key: string;
  /** The target of its link; undefined for the anonymous one. */
  readonly address: string | undefined;
  readonly durable: number | undefined;
  readonly capabilities: readonly string[] | undefined;
  readonly exchange: ExchangeDeclaration | undefined;
  readonly links: number | undefined;
  readonly line: Set<Item>;
  outlet: Outlet<Item> | undefined;
  preparing: boolean;
}

/**
 * Sends. What cannot be written now (no connection, no credit, a full window, a slow socket) waits in one bounded line for
 * each address, or for each exchange where one link serves all, until its deadline.
 */
export class Sender {
  readonly #connection: Connection;
  readonly #settings: Amqp1Settings;
  readonly #context: DriverContext;
  readonly #managementOf: (link: Link) => Management;
  readonly #encoder = new Encoder();
  /** The least recently used first. */
  readonly #lanes = new Map<string, Lane>();
  readonly #busy = new Set<Lane>();
  readonly #shelves = new WeakMap<Link, Map<string, { readonly begunAt: number; readonly made: Promise<void> }>>();
  #link: Link | undefined;
  /** Whether one link can serve all addresses. What the peer offered first stays so: it is the same kind of broker. */
  #isRelay = false;
  #anonymous: Promise<Outlet<Item>> | undefined;
  #lineMessages = 0;
  #lineBytes = 0;
  #unsettled = 0;
  #sending = 0;
  #awaitsFlush = false;
  #quiet: (() => void) | undefined;
  #closed = false;

  constructor(
    connection: Connection,
    settings: Amqp1Settings,
    context: DriverContext,
    managementOf: (link: Link) => Management,
  ) {
    this.#connection = connection;
    this.#settings = settings;
    this.#context = context;
    this.#managementOf = managementOf;
    connection.listen({ up: (link) => this.#up(link), down: (_link, error) => this.#down(error) });
  }

  send(profile: Profile, to: Address, message: Message, options: SendOptions): Promise<void> {
    const sent = this.#start(profile, to, message, options);
    this.#sending++;
    sent.then(this.#sent, this.#sent);
    return sent;
  }

  readonly #sent = (): void => {
    if (--this.#sending === 0) this.#quiet?.();
  };

  /** Not async itself: each layer of promises is felt in every call. */
  #start(profile: Profile, to: Address, message: Message, options: SendOptions): Promise<void> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, signal, unrouted, delayMs } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#closed) return Promise.reject(new ClosedError('the transport'));
    try {
      return profile.shelf !== undefined && (unrouted === 'keep' || delayMs !== undefined)
        ? this.#deliverToShelf(profile, to, message, profile.shelf(to, options), { ...options, timeoutMs })
        : this.#deliver(profile, to, profile.route(to, options), message, options, timeoutMs);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Sends what must wait in a queue that may not exist: send first; what comes back unrouted makes the queue, and is sent
   * to it with the same id. So nothing is declared for each message, and a queue that was deleted heals.
   */
  async #deliverToShelf(
    profile: Profile,
    to: Address,
    message: Message,
    shelf: Shelf,
    options: SendOptions & { readonly timeoutMs: number },
  ): Promise<void> {
    const deadline = performance.now() + options.timeoutMs;
    let route = shelf.first;
    for (let attempt = 1; ; attempt++) {
      const begunAt = performance.now();
      try {
        return await this.#deliver(profile, to, route, message, options, Math.max(1, deadline - begunAt));
      } catch (error) {
        if (!isMissing(error) || attempt === MOST_ATTEMPTS) throw error;
      }
      if (attempt > 1) await new Promise((resolve) => setTimeout(resolve, 2 ** attempt * 10));
      await this.#make(shelf, to, deadline, options, route === shelf.last ? begunAt : undefined);
      route = shelf.last;
    }
  }

  /** Waits for what is on its way, then refuses everything. */
  async close(signal?: AbortSignal): Promise<void> {
    this.#closed = true;
    if (this.#sending > 0 && signal?.aborted !== true)
      await new Promise<void>((resolve) => {
        this.#quiet = resolve;
        onAbort(signal, resolve);
        // Without a connection nothing will be sent any more.
        if (this.#connection.link === undefined) this.#abandon();
      });
    this.#abandon();
  }

  #abandon(): void {
    for (const { line } of [...this.#busy])
      for (const item of [...line]) this.#finish(item, new ClosedError('the transport'));
  }

  #deliver(
    profile: Profile,
    to: Address,
    route: Route,
    message: Message,
    options: SendOptions,
    timeoutMs: number,
  ): Promise<void> {
    const { confirm = false, signal, unrouted = 'drop', delayMs } = options;
    const waits = unrouted === 'keep' || delayMs !== undefined;
    return new Promise((resolve, reject) => {
      const item: Item = {
        profile,
        to,
        route,
        message,
        sentAt: message.ttlMs === undefined ? 0 : performance.now(),
        options,
        // A message that must be kept is only known to have arrived once the broker says so.
        confirm: confirm || waits,
        unrouted: waits && profile.shelf !== undefined ? 'keep' : unrouted,
        lane: this.#laneOf(profile, route),
        resolve,
        reject,
        forget: undefined,
        written: undefined,
        state: 'waiting',
      };
      if (item.lane.line.size === 0 && this.#canWrite(item.lane)) this.#write(item);
      else this.#queue(item);
      if (item.state === 'done' || (item.state === 'written' && !item.confirm)) return;
      const timer = setTimeout(() => this.#expire(item, timeoutMs), timeoutMs);
      const unlisten = onAbort(signal, () => this.#finish(item, signal?.reason));
      item.forget = (): void => {
        clearTimeout(timer);
        unlisten();
      };
    });
  }

  #expire(item: Item, timeoutMs: number): void {
    const what = `sending to ${describe(item.to)}`;
    if (item.state === 'waiting') this.#finish(item, new TimeoutError(what, timeoutMs));
    else this.#finish(item, new OutcomeUnknownError(what, { cause: new TimeoutError('the confirmation', timeoutMs) }));
  }

  #laneOf(profile: Profile, { address, durable, capabilities, exchange }: Route): Lane {
    const isShared = this.#isRelay && profile.linkPerAddress !== true;
    const key = isShared ? (exchange?.name ?? '') : address;
    const known = this.#lanes.get(key);
    if (known !== undefined) {
      // A lane of its own link moves to the end of those that may be dropped.
      if (!isShared) {
        this.#lanes.delete(key);
        this.#lanes.set(key, known);
      }
      return known;
    }
    this.#makeRoomForLane(isShared ? MOST_LANES : this.#settings.senderLinks);
    const lane: Lane = {
      key,
      address: isShared ? undefined : address,
      durable,
      capabilities,
      exchange: this.#settings.declare === 'create' ? exchange : undefined,
      links: profile.sendingLinks,
      line: new Set(),
      outlet: undefined,
      preparing: false,
    };
    this.#lanes.set(key, lane);
    return lane;
  }

  /** Drops the lane that was not used for longest, if there is one that nothing waits for. */
  #makeRoomForLane(most: number): void {
    if (this.#lanes.size < most) return;
    for (const lane of this.#lanes.values()) {
      if (lane.line.size > 0 || lane.preparing || (lane.address !== undefined && lane.outlet?.idle === false)) continue;
      this.#lanes.delete(lane.key);
      if (lane.address !== undefined) lane.outlet?.retire();
      return;
    }
  }

  #queue(item: Item): void {
    const { lineMessages, lineBytes, overflow } = this.#settings;
    const { length } = item.message.body;
    const isFull = (): boolean => this.#lineMessages >= lineMessages || this.#lineBytes + length > lineBytes;
    const overloaded = (what: string): OverloadedError =>
      new OverloadedError(`${what}: ${this.#lineMessages} messages wait already`);
    while (overflow === 'dropOldest' && isFull()) {
      const [oldest] = this.#busy.values().next().value?.line ?? [];
      if (oldest === undefined) break;
      this.#finish(oldest, overloaded(`sending to ${describe(oldest.to)} was dropped for a newer message`));
    }
    if (overflow !== 'wait' && isFull()) return this.#finish(item, overloaded(`sending to ${describe(item.to)}`));
    item.lane.line.add(item);
    this.#busy.add(item.lane);
    this.#lineMessages++;
    this.#lineBytes += length;
    this.#drain(item.lane);
  }

  #canWrite(lane: Lane): boolean {
    const { outlet } = lane;
    if (outlet === undefined || this.#link === undefined) return false;
    if (this.#unsettled >= this.#settings.window) return false;
    if (this.#link.flusher.backlogBytes > this.#settings.lineBytes) return false;
    return outlet.hasRoom;
  }

  #drainAll(): void {
    for (const lane of this.#busy) this.#drain(lane);
  }

  #drain(lane: Lane): void {
    for (const item of lane.line) {
      if (!this.#canWrite(lane)) return this.#unlock(lane);
      this.#write(item);
    }
  }

  /** Does what a lane waits for, where that is in our hands. */
  #unlock(lane: Lane): void {
    const link = this.#link;
    if (link === undefined) return;
    if (lane.outlet === undefined) {
      if (!lane.preparing) void this.#prepare(link, lane);
    } else if (link.flusher.backlogBytes > this.#settings.lineBytes && !this.#awaitsFlush) {
      this.#awaitsFlush = true;
      link.flusher.onWritten((written) => {
        this.#awaitsFlush = false;
        if (written) this.#drainAll();
      });
    }
  }

  /** Attaches its link, and declares its exchange. Where that fails, whoever waits for it is told; the others go on. */
  async #prepare(link: Link, lane: Lane): Promise<void> {
    lane.preparing = true;
    try {
      const declaring = lane.exchange && this.#managementOf(link).declareExchange(lane.exchange);
      const opening = lane.address === undefined ? this.#sharedOutlet(link, lane) : this.#open(link, lane);
      const [outlet] = await Promise.all([opening, declaring]);
      if (this.#link === link) lane.outlet = outlet;
    } catch (error) {
      if (link.down === undefined) {
        const failure = linkError(error, 'preparing to send');
        const isNowhere = isNotFound(failure.cause);
        for (const item of [...lane.line]) isNowhere ? this.#unroutable(item) : this.#finish(item, failure);
      }
    } finally {
      lane.preparing = false;
    }
    this.#drain(lane);
  }

  #sharedOutlet(link: Link, { links }: Lane): Promise<Outlet<Item>> {
    if (this.#anonymous === undefined) {
      const opening = this.#open(link, { links });
      this.#anonymous = opening;
      opening.catch(() => {
        if (this.#anonymous === opening) this.#anonymous = undefined;
      });
    }
    return this.#anonymous;
  }

  #open(link: Link, { address, durable, capabilities, links }: Partial<Lane>): Promise<Outlet<Item>> {
    const size = this.#settings.window * 2;
    return Outlet.open<Item>(
      link,
      { address, durable, capabilities },
      { size, links },
      {
        onOutcome: (item, outcome, error) => this.#onOutcome(item, outcome, error),
        onRoom: () => this.#drainAll(),
        onGone: (outlet, items, error) => this.#onGone(outlet, items, error),
        onWindow: (window) => {
          const reason = window > 0 ? undefined : 'it takes no messages at present (its session window is closed)';
          this.#connection.setBlocked(link, reason);
          if (window > 0) this.#drainAll();
        },
      },
    );
  }

  #write(item: Item): void {
    const { lane, options, profile, route } = item;
    const message = inItsTime(item);
    const { outlet } = lane;
    if (outlet === undefined) return;
    this.#leaveLine(item);
    if (options.beforeWrite?.() === false) return this.#finish(item, undefined);
    try {
      const bytes = this.#encoder.encode(message, {
        durable: options.persistent === true,
        priority: options.priority,
        to: route.address,
        replyTo: message.replyTo === undefined ? undefined : (profile.replyTo?.(message.replyTo) ?? message.replyTo),
        annotations: route.annotations,
        typeAnnotation: profile.typeAnnotation,
        creationTime: profile.stampsTtl === true && message.ttlMs !== undefined ? Date.now() : undefined,
        body: profile.body ?? 'data',
      });
      const id = outlet.write(item, bytes, `a message to ${describe(item.to)}`, route.settled);
      item.state = 'written';
      if (id !== undefined) {
        this.#unsettled++;
        item.written = { outlet, id };
      }
    } catch (error) {
      return this.#finish(item, writeError(error, item));
    }
    if (!item.confirm || route.settled)
      this.#link?.flusher.onWritten((written) => this.#finish(item, written ? undefined : this.#lostOf(item)));
    if (outlet.worn) this.#renew(outlet);
  }

  #renew(outlet: Outlet<Item>): void {
    for (const lane of this.#lanes.values()) if (lane.outlet === outlet) lane.outlet = undefined;
    this.#anonymous = undefined;
    outlet.retire();
  }

  #onOutcome(item: Item, outcome: SendOutcome, error: unknown): void {
    this.#unsettled--;
    const { profile, lane } = item;
    const what = `sending to ${describe(item.to)}`;
    item.written = undefined;
    if (outcome === 'accepted') this.#finish(item, undefined);
    else if (outcome === 'released' && profile.features.unroutable === 'detected') this.#unroutable(item);
    else if (isNotFound(error)) {
      // Its exchange has gone, and with it who was bound to it. The next one declares it again.
      lane.outlet = undefined;
      this.#unroutable(item);
    } else this.#refused(item, refusal(error, what));
    this.#drainAll();
  }

  #onGone(outlet: Outlet<Item>, items: readonly Item[], error: Error): void {
    if (this.#link === undefined) return;
    this.#context.logger.warn({ err: error }, 'the broker took away a link to send by');
    for (const lane of this.#lanes.values()) if (lane.outlet === outlet) lane.outlet = undefined;
    this.#anonymous = undefined;
    this.#unsettled -= items.length;
    for (const item of items) this.#finish(item, this.#lostOf(item, error));
    if (items.some(({ confirm }) => !confirm)) this.#context.onLost(error);
    this.#drainAll();
  }

  #unroutable(item: Item): void {
    const { unrouted, message, to } = item;
    const isSettled = item.state === 'done';
    if (unrouted === 'fail' && isSettled) return this.#context.onReturned(message.messageId, to);
    this.#finish(item, unrouted === 'drop' ? undefined : new UnroutableError(describe(to), to));
  }

  #refused(item: Item, error: MessagingError): void {
    if (item.state === 'done') this.#context.logger.warn({ err: error }, 'an unconfirmed message was refused');
    this.#finish(item, error);
  }

  #lostOf(item: Item, cause?: Error): OutcomeUnknownError {
    return new OutcomeUnknownError(`sending to ${describe(item.to)}`, cause && { cause });
  }

  #finish(item: Item, error: unknown): void {
    if (item.state === 'done') return;
    this.#leaveLine(item);
    item.state = 'done';
    item.forget?.();
    // Whoever gave up does not wait for the outcome; one who was not to be told of it still takes part in the window.
    if (item.confirm && item.written !== undefined) {
      item.written.outlet.forget(item.written.id);
      item.written = undefined;
      this.#unsettled--;
    }
    if (error === undefined) item.resolve();
    else item.reject(error);
  }

  #leaveLine(item: Item): void {
    const { line } = item.lane;
    if (!line.delete(item)) return;
    this.#lineMessages--;
    this.#lineBytes -= item.message.body.length;
    if (line.size === 0) this.#busy.delete(item.lane);
  }

  #up(link: Link): void {
    if (link.generation === 1) this.#isRelay = link.peer.capabilities.includes('ANONYMOUS-RELAY');
    this.#link = link;
    this.#drainAll();
  }

  #down(error: Error): void {
    const outlets = new Set([...this.#lanes.values()].map(({ outlet }) => outlet));
    this.#link = undefined;
    this.#anonymous = undefined;
    this.#unsettled = 0;
    for (const lane of this.#lanes.values()) {
      lane.outlet = undefined;
      if (lane.line.size === 0) this.#lanes.delete(lane.key);
    }
    for (const outlet of outlets)
      for (const item of outlet?.take() ?? []) {
        item.written = undefined;
        this.#finish(item, this.#lostOf(item, error));
      }
    this.#context.onLost(error);
    if (this.#closed) this.#abandon();
  }

  /** Makes the queue, once for each link, or anew where it was missing at a moment after it was made. */
  async #make(
    shelf: Shelf,
    to: Address,
    deadline: number,
    { signal }: SendOptions,
    missingAt = Number.NEGATIVE_INFINITY,
  ): Promise<void> {
    const link = await this.#linkWithin(to, deadline, signal);
    const shelves = this.#shelves.get(link) ?? new Map();
    this.#shelves.set(link, shelves);
    const { name } = shelf.queue;
    const known = shelves.get(name);
    if (known !== undefined && known.begunAt >= missingAt) return known.made;
    const made = this.#declare(link, shelf, to);
    const entry = { begunAt: performance.now(), made };
    shelves.set(name, entry);
    made.catch(() => shelves.get(name) === entry && shelves.delete(name));
    return made;
  }

  async #declare(link: Link, { queue, bindings, first }: Shelf, to: Address): Promise<void> {
    if (this.#settings.declare !== 'create') return;
    const management = this.#managementOf(link);
    for (const { exchange } of bindings) await management.declareExchange(exchange);
    const { consumers } = await management.declareQueue(queue);
    for (const binding of bindings) await management.bind(queue.name, binding);
    const isDelay = first.exchange?.name === queue.name;
    if (!isDelay && consumers === 0)
      this.#context.logger.warn(
        { to: describe(to), queue: queue.name },
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

/**
 * Nobody receives there; or the queue is just being made or deleted, when RabbitMQ 4 refuses messages for it without a
 * reason (4.0), or as unavailable (4.3).
 */
function isMissing(error: unknown): boolean {
  return error instanceof UnroutableError || error instanceof DeliveryError;
}

function writeError(error: unknown, { to }: Item): Error {
  if (error instanceof MessagingError) return error;
  return new MalformedError(`sending to ${describe(to)}: ${messageOf(error)}`, { cause: error });
}
