import {
  type Address,
  asError,
  ConfigError,
  type Delivery,
  type DriverContext,
  describe,
  type Message,
  type Outcome,
  type Source,
  type SubscribeOptions,
  type Subscription,
} from '@posthorn/core';
import type { Received } from './decoder.ts';
import { isNotFound, onceMade } from './errors.ts';
import { type Arrival, Inlet } from './inlet.ts';
import type { Link } from './link.ts';
import type { Management } from './management.ts';
import type { Amqp1Settings } from './options.ts';
import type { Intake, Profile } from './profile.ts';
import type { Settlement } from './rhea.ts';

const DEFAULT_PREFETCH = 64;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 30_000;
const ATTACH_ATTEMPTS = 5;
const SETTLED = Promise.resolve(true);
const LATE = Promise.resolve(false);

/** For building piece by piece: spreading optional parts costs more than the rest of a delivery. */
type Writable<T> = { -readonly [Field in keyof T]: T[Field] };

/** What a subscription has on one link. Deliveries settle here or nowhere. */
interface Live {
  readonly link: Link;
  readonly intake: Intake;
  readonly inlets: readonly Inlet[];
  open: boolean;
}

/**
 * One queue and one consumer, or one for each source where the peer cannot feed several into one; made anew on each link,
 * and when the peer takes it away.
 *
 * setting up → live ⇄ paused → (link lost) → setting up …; any → stopped → closed. A reply subscription ends with its link.
 */
export class Amqp1Subscription implements Subscription {
  readonly ended: Promise<Error | undefined>;
  readonly #from: readonly Source[];
  readonly #receive: (delivery: Delivery) => void;
  readonly #options: SubscribeOptions;
  readonly #profile: Profile;
  readonly #settings: Amqp1Settings;
  readonly #context: DriverContext;
  readonly #managementOf: (link: Link) => Management;
  readonly #onClose: (subscription: Amqp1Subscription) => void;
  readonly #isReply: boolean;
  #to: Address;
  #live: Live | undefined;
  #paused = false;
  #stopped = false;
  #following: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #mismatchLogged = false;
  #end: (error: Error | undefined) => void = () => {};

  constructor(
    from: readonly Source[],
    receive: (delivery: Delivery) => void,
    options: SubscribeOptions,
    surroundings: {
      readonly profile: Profile;
      readonly settings: Amqp1Settings;
      readonly context: DriverContext;
      readonly managementOf: (link: Link) => Management;
      readonly onClose: (subscription: Amqp1Subscription) => void;
    },
  ) {
    const [first] = from;
    if (first === undefined) throw new ConfigError('subscribe', 'no source to subscribe to');
    if (from.length > 1 && from.some(({ kind }) => kind === 'reply'))
      throw new ConfigError('subscribe', 'a reply source stands alone');
    if (options.untilEmpty === true && (from.length > 1 || (first.kind !== 'group' && first.kind !== 'mailbox')))
      throw new ConfigError('subscribe', 'only one group or mailbox can be read until it is empty');
    this.#from = from;
    this.#receive = receive;
    this.#options = options;
    this.#profile = surroundings.profile;
    this.#settings = surroundings.settings;
    this.#context = surroundings.context;
    this.#managementOf = surroundings.managementOf;
    this.#onClose = surroundings.onClose;
    this.#isReply = first.kind === 'reply';
    this.#to = labelOf(first);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get address(): Address {
    return this.#to;
  }

  /** The first set-up, whose failure is the subscriber's; later ones are retried. */
  async start(link: Link): Promise<void> {
    try {
      await this.#setUp(link);
    } catch (error) {
      if (this.#options.untilEmpty === true && isMissing(error)) return this.#finish(undefined);
      throw error;
    }
  }

  /** A new link. */
  up(link: Link): void {
    if (!this.#stopped && !this.#isReply) void this.#restore(link, 0);
  }

  /** The link died: what it delivered can no longer be settled. */
  down(error: Error): void {
    clearTimeout(this.#retry);
    if (this.#live !== undefined) this.#live.open = false;
    this.#live = undefined;
    if (this.#isReply || this.#options.untilEmpty === true) this.#finish(error);
  }

  async pause(): Promise<void> {
    this.#paused = true;
    await this.#follow();
  }

  async resume(): Promise<void> {
    this.#paused = false;
    await this.#follow();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    await this.#follow();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.stop();
    const live = this.#live;
    this.#live = undefined;
    if (live?.open) {
      const { link, intake, inlets } = live;
      live.open = false;
      try {
        // Detaching gives back what is unsettled; only then is it known whether the queue is empty.
        await Promise.all(inlets.map((inlet) => inlet.close()));
        await this.#leave(link, intake);
      } catch (error) {
        this.#context.logger.debug({ err: error, from: this.#from.map(describe) }, 'closing a subscription');
      }
    }
    this.#finish(undefined);
  }

  /** Takes away the queue where it is ours: others have theirs from an operator. */
  async #leave(link: Link, { queue, bindings = [] }: Intake): Promise<void> {
    if (queue === undefined || queue.onClose === 'keep' || this.#options.untilEmpty === true) return;
    if (queue.exclusive || this.#settings.declare === 'create')
      await this.#managementOf(link).leaveQueue(queue, bindings);
  }

  #finish(error: Error | undefined): void {
    this.#onClose(this);
    this.#end(error);
  }

  async #restore(link: Link, attempt: number): Promise<void> {
    try {
      await this.#setUp(link);
      if (attempt > 0) this.#context.logger.info({ from: this.#from.map(describe) }, 'subscribed again');
    } catch (error) {
      if (link.down !== undefined || this.#stopped) return;
      const retryInMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(attempt, 10));
      const log = attempt === 0 ? 'warn' : 'debug';
      this.#context.logger[log](
        { err: error, from: this.#from.map(describe), retryInMs },
        'cannot subscribe again yet',
      );
      this.#retry = setTimeout(() => void this.#restore(link, attempt + 1), retryInMs);
    }
  }

  async #setUp(link: Link): Promise<void> {
    const { group, retention, untilEmpty = false } = this.#options;
    const intake = this.#profile.intake(this.#from, { group, retention, untilEmpty });
    if (!untilEmpty) await this.#declare(link, intake);
    await onceMade(ATTACH_ATTEMPTS, () => this.#attach(link, intake));
    const { queue, bindings = [] } = intake;
    if (untilEmpty || queue?.onClose !== 'unbind' || this.#settings.declare !== 'create') return;
    // A predecessor that closes may have unbound it before it could see this consumer.
    for (const binding of bindings) await this.#managementOf(link).bind(queue.name, binding);
  }

  /** Declares what has to be there. */
  async #declare(link: Link, { queue, bindings = [] }: Intake): Promise<void> {
    const { declare, onMismatch } = this.#settings;
    if (queue === undefined || (declare === 'none' && !queue.exclusive)) return;
    const management = this.#managementOf(link);
    // A private queue is nobody else's affair: it is made in any case.
    if (declare === 'check' && !queue.exclusive) return await management.checkQueue(queue.name);
    if (declare === 'create') {
      const exchanges = new Map(bindings.map(({ exchange }) => [exchange.name, exchange]));
      for (const exchange of exchanges.values()) await management.declareExchange(exchange);
    }
    const { same } = await management.declareQueue(queue);
    for (const binding of bindings) await management.bind(queue.name, binding);
    if (same) return;
    const error = new ConfigError('', `queue ${queue.name} exists with other attributes`);
    if (onMismatch === 'fail') throw error;
    this.#logMismatch(queue.name);
  }

  #logMismatch(queue: string): void {
    if (!this.#mismatchLogged) this.#context.logger.warn({ queue }, 'a queue with other attributes is used as it is');
    this.#mismatchLogged = true;
  }

  async #attach(link: Link, intake: Intake): Promise<void> {
    const { prefetch = DEFAULT_PREFETCH } = this.#options;
    const { links, queue } = intake;
    const made: { live?: Live } = {};
    const opening = links.map((source) =>
      Inlet.open(link, source, {
        profile: this.#profile,
        share: Math.max(1, Math.floor(prefetch / links.length)),
        presettled: this.#isReply && queue?.exclusive === true,
        clockToleranceMs: this.#settings.clockToleranceMs,
        logger: this.#context.logger,
        receive: (arrival) => made.live?.open && this.#receive(this.#delivery(made.live, arrival)),
        onGone: (error) => this.#gone(made.live, error),
      }),
    );
    const results = await Promise.allSettled(opening);
    const inlets = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined || link.down !== undefined || this.#closing !== undefined) {
      for (const inlet of inlets) void inlet.close();
      if (this.#closing !== undefined) return;
      throw failed?.reason ?? link.down;
    }
    const live: Live = { link, intake, inlets, open: true };
    made.live = live;
    if (this.#isReply) this.#to = { kind: 'reply', name: queue?.name ?? inlets[0]?.address ?? '' };
    for (const { address, differs } of inlets) if (differs) this.#logMismatch(address);
    // Only now is its loss for us to mend: until here it is a failed attempt.
    this.#live = live;
    await this.#follow();
  }

  /** Lets messages come or not, as is wanted by then. One change at a time. */
  #follow(): Promise<void> {
    const turn = this.#following.then(async () => {
      const live = this.#live;
      if (live === undefined || !live.open) return;
      if (this.#options.untilEmpty === true) return void this.#empty(live);
      if (!this.#paused && !this.#stopped) for (const inlet of live.inlets) inlet.flow();
      else
        await Promise.all(live.inlets.map((inlet) => inlet.halt())).catch((error: unknown) => {
          // The peer did not answer: nobody knows what is still on its way, so the link ends.
          for (const inlet of live.inlets) void inlet.close();
          this.#gone(live, asError(error));
        });
    });
    this.#following = turn.catch(() => undefined);
    return turn;
  }

  async #empty(live: Live): Promise<void> {
    if (this.#stopped) return;
    try {
      for (const inlet of live.inlets) await inlet.empty();
      this.#end(undefined);
    } catch (error) {
      if (live.open) this.#end(asError(error));
    }
  }

  /** The link is lost, while the connection may live. One that was still being set up is not ours yet. */
  #gone(live: Live | undefined, error: Error): void {
    if (live === undefined || !live.open) return;
    live.open = false;
    for (const inlet of live.inlets) if (inlet.open) void inlet.close();
    if (this.#live !== live) return;
    this.#live = undefined;
    if (live.link.down !== undefined || this.#stopped) return;
    const level = isNotFound(error.cause) ? 'info' : 'warn';
    this.#context.logger[level]({ err: error, from: this.#from.map(describe) }, 'subscription interrupted');
    if (this.#isReply || this.#options.untilEmpty === true) return this.#finish(error);
    this.#retry = setTimeout(() => void this.#restore(live.link, 0), RETRY_MIN_MS);
  }

  #delivery(live: Live, { received, inlet, delivery: wire }: Arrival): Delivery {
    let settled = this.#isReply && live.intake.queue?.exclusive === true ? SETTLED : undefined;
    const { sentTo } = live.intake;
    const delivery: Writable<Delivery> = {
      message: this.#messageOf(received),
      to: this.#isReply ? this.#to : (sentTo?.(received) ?? inlet.source.label),
      redelivered: received.redelivered,
      settle: (outcome) => {
        settled ??= this.#settle(live, inlet, wire, outcome);
        return settled;
      },
    };
    if (this.#profile.features.deliveryCount) delivery.deliveryCount = received.deliveryCount;
    return delivery;
  }

  #settle(live: Live, inlet: Inlet, wire: Arrival['delivery'], outcome: Outcome): Promise<boolean> {
    const settled = live.open ? inlet.settle(wire, this.#outcomeOf(outcome)) : undefined;
    if (settled === undefined) this.#context.onLateSettle?.();
    return settled ?? LATE;
  }

  #outcomeOf(outcome: Outcome): Settlement {
    if (outcome === 'accept') return 'accepted';
    if (outcome === 'reject') return 'rejected';
    return this.#profile.release === 'modified' ? 'failed' : 'released';
  }

  #messageOf({ message, replyTo }: Received): Message {
    if (replyTo === undefined) return message;
    return { ...message, replyTo: this.#profile.replyName?.(replyTo) ?? replyTo };
  }
}

function isMissing(error: unknown): boolean {
  return isNotFound(error) || (error instanceof Error && isNotFound(error.cause));
}

function labelOf(source: Source): Address {
  if (source.kind === 'reply') return { kind: 'reply', name: '' };
  return source.kind === 'topic' ? { kind: 'topic', exchange: source.exchange, key: source.pattern } : source;
}
