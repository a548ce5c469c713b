import {
  type Address,
  asError,
  ConfigError,
  ConnectionError,
  type Delivery,
  type DriverContext,
  describe,
  type HeaderValue,
  type Message,
  MessagingError,
  type Outcome,
  type Source,
  type SubscribeOptions,
  type Subscription,
} from '@posthorn/core';
import type { Channel, Incoming } from './amqplib.ts';
import { bind, declareIntake, isAdoptable, leaveQueue } from './declare.ts';
import { channelError, isNotFound } from './errors.ts';
import { closeQuietly, type Link } from './link.ts';
import type { RabbitSettings } from './options.ts';
import { Settlements } from './settlements.ts';
import type { Intake, Topology } from './topology.ts';

const DEFAULT_PREFETCH = 64;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 30_000;
const SETTLED = Promise.resolve(true);

/** For building piece by piece: spreading optional parts costs more than the rest of a delivery. */
type Writable<T> = { -readonly [Field in keyof T]: T[Field] };

/** Tells where a message was sent, out of what its delivery says. */
type Locate = (fields: Incoming['fields']) => Address;

/** What a subscription has on one channel. Deliveries settle here or nowhere: delivery tags die with their channel. */
interface Live {
  readonly link: Link;
  readonly channel: Channel;
  readonly intake: Intake;
  /** Who waits for replies is lost with the channel that brings them: an acknowledgement would save nothing. */
  readonly noAck: boolean;
  readonly locate: Locate;
  readonly settlements: Settlements;
  consumerTag: string | undefined;
  open: boolean;
}

/**
 * One queue, one consumer, one channel; made anew on each link, and when the broker takes it away.
 *
 * setting up → live ⇄ paused → (link or channel lost) → setting up …; any → stopped → closed. A reply subscription ends
 * with its channel.
 */
export class RabbitSubscription implements Subscription {
  readonly ended: Promise<Error | undefined>;
  readonly #from: readonly Source[];
  readonly #receive: (delivery: Delivery) => void;
  readonly #options: SubscribeOptions;
  readonly #topology: Topology;
  readonly #settings: RabbitSettings;
  readonly #context: DriverContext;
  readonly #onClose: (subscription: RabbitSubscription) => void;
  readonly #isReply: boolean;
  #to: Address;
  #intake: Intake | undefined;
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
      readonly topology: Topology;
      readonly settings: RabbitSettings;
      readonly context: DriverContext;
      readonly onClose: (subscription: RabbitSubscription) => void;
      readonly intake?: Intake | undefined;
    },
  ) {
    const [first] = from;
    if (first === undefined) throw new ConfigError('subscribe', 'no source to subscribe to');
    if (from.length > 1 && from.some(({ kind }) => kind === 'reply'))
      throw new ConfigError('subscribe', 'a reply source stands alone');
    this.#from = from;
    this.#receive = receive;
    this.#options = options;
    this.#topology = surroundings.topology;
    this.#settings = surroundings.settings;
    this.#context = surroundings.context;
    this.#onClose = surroundings.onClose;
    this.#intake = surroundings.intake;
    if (options.untilEmpty === true && (from.length > 1 || (first.kind !== 'group' && first.kind !== 'mailbox')))
      throw new ConfigError('subscribe', 'untilEmpty is for one group or mailbox');
    this.#isReply = first.kind === 'reply';
    this.#to = labelOf(first);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get address(): Address {
    return this.#to;
  }

  /** What it receives from, for the next subscription of the same kind to go on with. */
  get intake(): Intake | undefined {
    return this.#intake;
  }

  /** The first set-up, whose failure is the subscriber's; later ones are retried. */
  async start(link: Link): Promise<void> {
    try {
      await this.#setUp(link);
    } catch (error) {
      throw channelError(error, `subscribing to ${this.#from.map(describe).join(', ')}`);
    }
  }

  /** A new link. */
  up(link: Link): void {
    if (!this.#stopped && !this.#isReply) void this.#restore(link, 0);
  }

  /** The link died: what it delivered can no longer be settled. */
  down(error: Error): void {
    clearTimeout(this.#retry);
    if (this.#live !== undefined) cut(this.#live);
    this.#live = undefined;
    if (this.#isReply) this.#finish(error);
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
      const { link, channel, intake } = live;
      const { queue } = intake;
      try {
        // Closing the channel gives back what is unsettled; only then is it known whether the queue is empty.
        link.batch.flush();
        cut(live);
        await link.guard(channel.close(), 'closing a channel');
        if (queue.onClose !== 'keep' && this.#isOurs(queue)) await leaveQueue(link, intake);
      } catch (error) {
        this.#context.logger.debug({ err: error, queue: queue.name }, 'closing a subscription');
      }
    }
    this.#finish(undefined);
  }

  /** Whether we make and bind it, so that it is ours to take away: others have theirs from an operator. */
  #isOurs({ exclusive }: Intake['queue']): boolean {
    return exclusive || this.#settings.declare === 'create';
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
    const intake = this.#nextIntake();
    try {
      await this.#attach(link, intake, false);
    } catch (error) {
      // A predecessor that closes may delete the queue between our declaration and our consumer.
      if (intake.queue.onClose === 'ifEmpty' && this.#isOurs(intake.queue) && isNotFound(error))
        return await this.#attach(link, intake, false);
      if (!isAdoptable(error, intake.queue, this.#settings.onMismatch)) throw error;
      if (!this.#mismatchLogged)
        this.#context.logger.warn(
          { err: error, queue: intake.queue.name },
          'a queue with other attributes is used as it is',
        );
      this.#mismatchLogged = true;
      // It may be a quorum queue.
      const onClose = intake.queue.onClose === 'ifEmpty' ? 'unbind' : intake.queue.onClose;
      await this.#attach(link, { ...intake, queue: { ...intake.queue, onClose } }, true);
    }
  }

  /** What several addresses feed tells them apart by exchange and key; what was sent to the queue itself, by its name. */
  #locator(queue: string): Locate {
    const { group } = this.#options;
    const [first] = this.#from;
    if (first === undefined || (this.#from.length === 1 && first.kind !== 'topic')) return () => this.#to;
    const ways = this.#from.flatMap((source) => (source.kind === 'reply' ? [] : [wayOf(this.#topology, source)]));
    return ({ exchange, routingKey }) => {
      for (const way of ways)
        if (way.exchange === exchange && (way.key ?? routingKey) === routingKey) return way.to(routingKey);
      return group !== undefined && exchange === '' && routingKey === queue ? { kind: 'group', name: group } : this.#to;
    };
  }

  /** An exclusive queue may outlive its link for a while, so each link gets a new one; others keep their name. */
  #nextIntake(): Intake {
    const { group, retention } = this.#options;
    if (this.#intake === undefined || this.#intake.queue.exclusive) {
      this.#intake = this.#topology.intake(this.#from, { group, retention });
    }
    return this.#intake;
  }

  async #attach(link: Link, intake: Intake, adopt: boolean): Promise<void> {
    const { prefetch = DEFAULT_PREFETCH } = this.#options;
    const made: { current?: Live } = {};
    const channel = await link.channel('plain', (error) => this.#channelClosed(made.current, error));
    const noAck = this.#isReply && this.#topology.acknowledgesReplies !== true;
    const live: Live = {
      link,
      channel,
      intake,
      noAck,
      locate: this.#locator(intake.queue.name),
      settlements: new Settlements(link, channel.ch, this.#context),
      consumerTag: undefined,
      open: true,
    };
    made.current = live;
    try {
      if (this.#options.untilEmpty !== true)
        await declareIntake(link, channel, intake, { declare: this.#settings.declare, adopt });
      await link.guard(channel.prefetch(prefetch), 'setting the prefetch');
      if (this.#isReply) this.#to = { kind: 'reply', name: intake.queue.name };
      if (!this.#paused && !this.#stopped) await this.#consume(live);
      if (!live.open) throw new ConnectionError(`the broker closed the channel of queue ${intake.queue.name}`);
    } catch (error) {
      cut(live);
      closeQuietly(link, channel);
      throw error;
    }
    // Only now is its loss for us to mend: until here it is a failed attempt.
    this.#live = live;
    if (this.#closing !== undefined) {
      cut(live);
      closeQuietly(link, channel);
    } else await this.#follow();
  }

  /** Consumes or not, as is wanted by then. One at a time: two at once would leave a consumer that nobody knows of. */
  #follow(): Promise<void> {
    const turn = this.#following.then(async () => {
      const live = this.#live;
      if (live === undefined || !live.open) return;
      const wanted = !this.#paused && !this.#stopped;
      if (wanted && live.consumerTag === undefined) await this.#consume(live);
      else if (!wanted && live.consumerTag !== undefined) await this.#cancel(live, live.consumerTag);
    });
    this.#following = turn.catch(() => undefined);
    return turn;
  }

  async #consume(live: Live): Promise<void> {
    const { link, channel, intake } = live;
    const { queue } = intake;
    if (this.#options.untilEmpty === true) {
      live.consumerTag = '';
      void this.#fetch(live);
      return;
    }
    const receive = (message: Incoming | null): void => {
      if (message === null) this.#cancelled(live);
      else if (live.open) this.#receive(new RabbitDelivery(live, message, undefined));
    };
    link.reader.attach(channel, receive);
    const consuming = channel.consume(queue.name, receive, { noAck: live.noAck });
    const { consumerTag } = await link.guard(consuming, `consuming from queue ${queue.name}`);
    live.consumerTag = consumerTag;
    // A predecessor that closes may have unbound it before it could see this consumer.
    if (queue.onClose === 'unbind' && this.#isOurs(queue)) await bind(link, channel, intake);
  }

  async #cancel(live: Live, tag: string): Promise<void> {
    live.consumerTag = undefined;
    if (tag === '') return;
    try {
      await live.link.guard(live.channel.cancel(tag), 'cancelling a consumer');
    } catch (error) {
      this.#context.logger.debug({ err: error }, 'cancelling a consumer');
    }
  }

  /** Takes message by message until there is none. One that comes after the stop goes back as the channel closes. */
  async #fetch(live: Live): Promise<void> {
    const { link, channel, intake } = live;
    const { queue } = intake;
    const { prefetch = DEFAULT_PREFETCH } = this.#options;
    let unsettled = 0;
    let roomy = (): void => {};
    const onSettled = (): void => {
      unsettled--;
      roomy();
    };
    try {
      while (live.open && live.consumerTag !== undefined) {
        if (unsettled >= prefetch) {
          await new Promise<void>((resolve) => {
            roomy = resolve;
          });
          continue;
        }
        const message = await link.guard(channel.get(queue.name, { noAck: false }), `reading queue ${queue.name}`);
        if (message === false) return this.#end(undefined);
        if (!live.open || live.consumerTag === undefined) return;
        unsettled++;
        this.#receive(new RabbitDelivery(live, message, onSettled));
      }
    } catch (error) {
      if (isNotFound(error)) this.#end(undefined);
      else this.#context.logger.debug({ err: error, queue: queue.name }, 'reading a queue');
    }
  }

  /** The broker took the consumer away: its queue was deleted, or its node went down. */
  #cancelled(live: Live): void {
    if (!live.open) return;
    const error = new MessagingError(
      'CONNECTION',
      `the broker cancelled the consumer of queue ${live.intake.queue.name}`,
    );
    closeQuietly(live.link, live.channel);
    this.#gone(live, error);
  }

  #channelClosed(live: Live | undefined, error: Error): void {
    if (live?.open) this.#gone(live, error);
  }

  /** The channel is lost, while the connection may live. One that was still being set up is not ours yet. */
  #gone(live: Live, error: Error): void {
    cut(live);
    if (this.#live !== live) return;
    this.#live = undefined;
    if (live.link.down !== undefined || this.#stopped) return;
    const level = isNotFound(error) ? 'info' : 'warn';
    this.#context.logger[level]({ err: error, queue: live.intake.queue.name }, 'subscription interrupted');
    if (this.#isReply) return this.#finish(asError(error));
    this.#retry = setTimeout(() => void this.#restore(live.link, 0), RETRY_MIN_MS);
  }
}

/** One delivery. A class, because closures for each message are dear. */
class RabbitDelivery implements Delivery {
  readonly message: Message;
  readonly to: Address;
  readonly redelivered: boolean;
  readonly deliveryCount?: number;
  readonly #live: Live;
  readonly #tag: number;
  readonly #onSettled: (() => void) | undefined;
  #settled: Promise<boolean> | undefined;

  constructor(live: Live, incoming: Incoming, onSettled: (() => void) | undefined) {
    const { fields, properties } = incoming;
    this.message = messageOf(incoming);
    this.to = live.locate(fields);
    this.redelivered = fields.redelivered;
    // RabbitMQ 4.3 counts what was given back in a header of its own.
    const count = properties.headers?.['x-acquired-count'] ?? properties.headers?.['x-delivery-count'];
    if (typeof count === 'number') this.deliveryCount = count;
    this.#live = live;
    this.#tag = fields.deliveryTag;
    this.#onSettled = onSettled;
    if (live.noAck) this.#settled = SETTLED;
  }

  settle(outcome: Outcome): Promise<boolean> {
    if (this.#settled === undefined) {
      this.#settled = this.#live.settlements.settle(this.#tag, outcome);
      this.#onSettled?.();
    }
    return this.#settled;
  }
}

/** Whether a message that was sent to an exchange came by that route. */
interface Way {
  readonly exchange: string;
  /** Undefined where the exchange gives every message to everybody, or the key is a part of the address. */
  readonly key: string | undefined;
  readonly to: (key: string) => Address;
}

function wayOf(topology: Topology, source: Exclude<Source, { kind: 'reply' }>): Way {
  if (source.kind === 'topic') {
    const { exchange } = source;
    const route = topology.route({ kind: 'topic', exchange, key: source.pattern });
    return { exchange: route.exchange?.name ?? '', key: undefined, to: (key) => ({ kind: 'topic', exchange, key }) };
  }
  const { exchange, key } = topology.route(source);
  return { exchange: exchange?.name ?? '', key: exchange?.type === 'fanout' ? undefined : key, to: () => source };
}

/** Nothing can be settled there any more. */
function cut(live: Live): void {
  live.open = false;
  live.settlements.close();
}

function messageOf({ content, properties }: Incoming): Message {
  const { contentType, contentEncoding, type, messageId, correlationId, replyTo, expiration } = properties;
  const message: Writable<Message> = { body: content, headers: plainHeaders(properties.headers) };
  if (contentType !== undefined) message.contentType = contentType;
  if (contentEncoding !== undefined) message.contentEncoding = contentEncoding;
  if (type !== undefined) message.type = type;
  if (messageId !== undefined) message.messageId = messageId;
  if (correlationId !== undefined) message.correlationId = correlationId;
  if (replyTo !== undefined) message.replyTo = replyTo;
  if (expiration !== undefined) message.ttlMs = Number(expiration);
  return message;
}

/** What RabbitMQ adds: where it dead-letters, as it does with delayed messages, and in quorum queues. */
const ADDED = /^x-(first|last)-death-|^x-(delivery|acquired)-count$/;

/** The sender's headers, as far as they are texts, numbers, booleans or times; RabbitMQ's own are left out. */
function plainHeaders(headers: Readonly<Record<string, unknown>> = {}): Record<string, HeaderValue> {
  const plain: Record<string, HeaderValue> = {};
  for (const name in headers) {
    const value = headers[name];
    if (name.startsWith('x-') && ADDED.test(name)) continue;
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') plain[name] = value;
    else if (isTimestamp(value)) plain[name] = new Date(value.value * 1_000).toISOString();
  }
  return plain;
}

/** How amqplib tells a time from a number: seconds since 1970. */
function isTimestamp(value: unknown): value is { readonly value: number } {
  return (
    typeof value === 'object' &&
    value !== null &&
    '!' in value &&
    value['!'] === 'timestamp' &&
    'value' in value &&
    typeof value.value === 'number' &&
    Math.abs(value.value) < 8.64e12
  );
}

function labelOf(source: Source): Address {
  if (source.kind === 'reply') return { kind: 'reply', name: '' };
  return source.kind === 'topic' ? { kind: 'topic', exchange: source.exchange, key: source.pattern } : source;
}
