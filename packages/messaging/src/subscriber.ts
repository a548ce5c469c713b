import {
  type BatchOptions,
  ClosedError,
  type CloseOptions,
  type CloseReport,
  ConfigError,
  concurrent,
  type Delivery,
  describe,
  type Home,
  type Job,
  type JobEnd,
  JobStream,
  keyed,
  type Lane,
  MalformedError,
  MessagingError,
  newId,
  observedJob,
  processing,
  Redelivery,
  Server,
  type Transport,
} from '@posthorn/core';
import { BurstLog } from './burst-log.ts';
import { cloudEvents } from './cloud-events.ts';
import { type Envelope, type EnvelopeCodec, identityOf } from './envelope.ts';
import { Gate } from './gate.ts';
import { type BatchHandler, type Handler, Handlers, type Handling } from './handlers.ts';
import { mailboxRetention } from './mailbox.ts';
import { type MessageClass, type MessageType, MessageTypes, messageTypeOf } from './message-type.ts';
import { nativeEnvelope } from './native-envelope.ts';
import { Once } from './once.ts';
import { PrivateRetry } from './private-retry.ts';
import { publishedAt, type ReceivedMessage, receivedMessage } from './received-message.ts';
import { activityOf, endOf } from './receiving.ts';
import type { Sources } from './sources.ts';
import { homeOf, type SubscriberOptions, sourcesOf } from './subscriber-options.ts';
import { Turns } from './turns.ts';
import type { RefusalReason } from './verification.ts';

/** A type whose messages arrive as that. */
type Receivable<Payload> = MessageType<Payload, never> | (MessageClass & { readonly prototype: Payload });

/** How far the clock of a publisher may differ, where its messages are not verified. */
const CLOCK_TOLERANCE_MS = 60_000;
const CONCURRENCY = 16;
const CLOUD_EVENTS = cloudEvents({ mode: 'structured' });

/**
 * Receives messages at least once: each is settled after its handler ended. What fails is tried again, later and in this
 * group only, up to a limit; then it goes to the dead letters of the group (or mailbox) with the reason. Without a group
 * there are none: it is tried again in place, and discarded in the end.
 *
 * One handler gets a message: that of its type; else the first pattern of `bind` that its key matches, in their order,
 * `#` last of all. What cannot be decoded, or is not as its type has it, never reaches a handler, and is a dead letter at
 * once. What `verify` refuses is discarded, and counted.
 */
export class Subscriber implements AsyncDisposable {
  readonly #transport: Transport;
  readonly #options: SubscriberOptions;
  readonly #handlers: Handlers;
  readonly #types: MessageTypes;
  readonly #codecs: readonly EnvelopeCodec[];
  readonly #stream = new JobStream<ReceivedMessage>();
  /** Where retries go. A subscriber without a group has none. */
  readonly #home: Home | undefined;
  readonly #gate: Gate | undefined;
  readonly #once: Once | undefined;
  readonly #turns = new Turns();
  readonly #privateRetry: PrivateRetry | undefined;
  readonly #unhandled: BurstLog;
  readonly #name: string;
  #sources: Sources | undefined;
  #server: Server | undefined;
  #closed = false;

  /** @throws {MessagingError} `CONFIG` a wrong option; `UNSUPPORTED` a mailbox where the transport has none */
  constructor(transport: Transport, options: SubscriberOptions) {
    const { logger } = transport;
    const { types = [], verify, seen, envelope, retry = {} } = options;
    this.#home = homeOf(transport, options);
    this.#transport = transport;
    this.#options = options;
    this.#handlers = new Handlers(transport);
    this.#types = new MessageTypes(types);
    this.#codecs = [...(envelope ? [envelope] : []), nativeEnvelope, CLOUD_EVENTS];
    const group = this.#home === undefined ? `private ${newId()}` : describe(this.#home);
    const sources = (): Sources => this.#listenTo();
    this.#gate = verify && new Gate(verify, group, sources, transport, options.onRefused);
    this.#once = seen && new Once(seen, group, logger);
    this.#privateRetry = this.#home === undefined ? new PrivateRetry(retry, logger) : undefined;
    this.#unhandled = new BurstLog(logger);
    this.#name = `subscriber ${this.#home === undefined ? [options.exchange].flat().join(', ') : describe(this.#home)}`;
  }

  /** How many messages were refused, by reason; empty without `verify`. */
  get refused(): Readonly<Partial<Record<RefusalReason, number>>> {
    return this.#gate?.refused ?? {};
  }

  /**
   * Handles messages of a type, which also tells what to listen to, unless `keys` does. With a size and an age: many at a
   * time.
   *
   * @throws {ConfigError} when it has a handler already, or after the start
   */
  on<Payload>(type: Receivable<Payload>, handler: Handler<NoInfer<Payload>>): this;
  on<Payload>(type: Receivable<Payload>, batch: BatchOptions, handler: BatchHandler<NoInfer<Payload>>): this;
  on(given: MessageType | MessageClass, ...handling: Handling<never>): this {
    this.#checkOpen('on');
    const type = messageTypeOf(given);
    this.#handlers.on(type, handling as Handling<unknown>);
    if (!this.#options.types?.includes(given)) this.#types.add(type);
    return this;
  }

  /**
   * Handles what comes under the keys of a pattern: words separated by dots, `*` for one word, `#` for any number.
   *
   * @throws {ConfigError} when the pattern has a handler already, or after the start
   */
  bind(pattern: string, handler: Handler<unknown>): this;
  bind(pattern: string, batch: BatchOptions, handler: BatchHandler<unknown>): this;
  bind(pattern: string, ...handling: Handling<unknown>): this {
    this.#checkOpen('bind');
    this.#handlers.bind(pattern, handling);
    return this;
  }

  /** Subscribes. Resolves when messages published from then on are certain to arrive. */
  async start(): Promise<this> {
    if (this.#closed) throw new ClosedError(this.#name);
    this.#server ??= this.#serve();
    await this.#server.start();
    return this;
  }

  async pause(): Promise<void> {
    await this.#server?.pause();
  }

  async resume(): Promise<void> {
    await this.#server?.resume();
  }

  /** Stops intake, gives back what has not started, waits for what runs; unfinished batches are handled as they are. */
  async close(options?: CloseOptions): Promise<CloseReport> {
    this.#closed = true;
    this.#stream.end();
    return (await this.#server?.close(options)) ?? { abandoned: [] };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * For subscribers without handlers. A message is settled when the next one is asked for; one whose loop body threw or
   * broke off is given back.
   */
  [Symbol.asyncIterator](): AsyncIterator<ReceivedMessage> {
    if (!this.#handlers.empty) throw new ConfigError('', 'a subscriber has handlers or is iterated, not both');
    return this.#stream[Symbol.asyncIterator]();
  }

  #checkOpen(method: string): void {
    if (this.#server !== undefined) throw new ConfigError(method, 'handlers are registered before the start');
  }

  #listenTo(): Sources {
    this.#sources ??= sourcesOf(this.#options, this.#handlers);
    return this.#sources;
  }

  #serve(): Server {
    const { executor, orderBy, prefetch } = this.#options;
    const concurrency = CONCURRENCY + this.#handlers.batchSizes;
    return new Server(this.#transport, {
      name: this.#name,
      lanes: [this.#lane()],
      executor: executor ?? (orderBy === undefined ? concurrent(concurrency) : keyed(concurrency)),
      settle: 'after',
      prefetch: prefetch ?? 2 * concurrency,
      open: (delivery) => this.#open(delivery),
      onClosing: () => {
        this.#handlers.close();
        this.#stream.end();
        this.#privateRetry?.close();
      },
    });
  }

  #lane(): Lane {
    const { mailbox, group, retry } = this.#options;
    const retention =
      mailbox === undefined ? this.#options.retention : mailboxRetention(this.#transport, this.#options.retention);
    return {
      sources: this.#listenTo().list,
      options: { ...(group !== undefined && { group }), ...(retention && { retention }) },
      ...(this.#home && { redelivery: new Redelivery(this.#transport, this.#home, retry) }),
    };
  }

  #open(delivery: Delivery): Job | undefined {
    const envelope = this.#decode(delivery);
    const place = publishedAt(delivery);
    const message = receivedMessage(envelope, place, delivery);
    if (this.#gate?.admits(message, place) === false) {
      void delivery.settle('accept');
      return undefined;
    }
    return {
      id: this.#gate === undefined ? identityOf(envelope) : this.#gate.idOf(message, delivery),
      name: message.type,
      key: this.#options.orderBy?.(message),
      obsolete: () => (this.#isExpired(envelope) ? 'expired' : undefined),
      run: () => this.#run(message),
    };
  }

  #decode({ message }: Delivery): Envelope {
    const codec = this.#codecs.find((one) => one.recognises(message));
    if (codec === undefined)
      throw new MalformedError(`a message of the content type ${message.contentType}, which is no known envelope`);
    return codec.decode(message);
  }

  #isExpired({ expires_at }: Envelope): boolean {
    if (expires_at === undefined) return false;
    const { clockToleranceMs = CLOCK_TOLERANCE_MS } = this.#options.verify ?? {};
    return Date.parse(expires_at) + clockToleranceMs < Date.now();
  }

  #run(message: ReceivedMessage): Promise<JobEnd> {
    if (this.#gate === undefined && this.#once === undefined) return this.#attempt(message);
    const id = identityOf(message.envelope);
    return this.#turns.run(id, () => this.#handle(id, message));
  }

  /** What is remembered of handled messages, here and in stores, is looked at before and added to after. */
  async #handle(id: string, message: ReceivedMessage): Promise<JobEnd> {
    try {
      if (await this.#gate?.replayed(message)) return 'accept';
      const work = (): Promise<JobEnd> => this.#attempt(message);
      const end = await (this.#once?.run(id, work) ?? work());
      if (end === 'accept') await this.#gate?.done(message);
      else this.#gate?.failed(message);
      return end;
    } catch (error) {
      // A store cannot tell whether the message was handled before.
      return { outcome: 'release', reason: error };
    }
  }

  #attempt(message: ReceivedMessage): Promise<JobEnd> {
    return (
      this.#privateRetry?.run(message.messageId, (attempts) => this.#dispatch({ ...message, attempts })) ??
      this.#dispatch(message)
    );
  }

  /** Not async itself: each layer of promises is felt in every message. */
  #dispatch(message: ReceivedMessage): Promise<JobEnd> {
    const found = this.#types.resolve(message.envelope);
    if (found.kind === 'unknown') return this.#handled(undefined, message);
    if (found.kind === 'known') return this.#understood(found.type, message);
    const { onVersion } = this.#options;
    if (onVersion !== undefined) return endOf(this.#transport, message, () => onVersion(message));
    const text = `${message.type} ${message.version} came, where ${found.type.version} is known`;
    return Promise.resolve({ outcome: 'reject', reason: new MessagingError('UNSUPPORTED_VERSION', text) });
  }

  async #understood(type: MessageType, message: ReceivedMessage): Promise<JobEnd> {
    let payload: unknown;
    try {
      payload = await type.decode(message.payload);
    } catch (error) {
      return { outcome: 'reject', reason: error };
    }
    return await this.#handled(type, { ...message, payload });
  }

  /** @param type undefined for types that are not known */
  #handled(type: MessageType | undefined, message: ReceivedMessage): Promise<JobEnd> {
    if (this.#handlers.empty) return this.#iterated(message);
    const run = this.#handlers.find(type, message.key);
    if (run !== undefined) return run(message);
    const { onUnknown } = this.#options;
    if (onUnknown !== undefined) return endOf(this.#transport, message, () => onUnknown(message));
    const { type: name, exchange, key } = message;
    this.#unhandled.warn({ type: name, exchange, key }, 'no handler takes it: done with');
    return Promise.resolve('accept');
  }

  #iterated(message: ReceivedMessage): Promise<JobEnd> {
    if (!processing.hasSubscribers) return this.#stream.add(message);
    return observedJob(activityOf(this.#transport, message), () => this.#stream.add(message));
  }
}
