import {
  type Activity,
  Batcher,
  type BatchOptions,
  type CloseOptions,
  type CloseReport,
  ConfigError,
  checkTarget,
  concurrent,
  type Delivery,
  type Executor,
  type Job,
  type JobEnd,
  JobStream,
  type Lane,
  observedJob,
  processing,
  Redelivery,
  type Retention,
  type RetryPolicy,
  type Serializer,
  Server,
  type Source,
  TargetError,
  type Transport,
} from '@posthorn/core';
import { type BatchEndpoint, NotificationDispatcher, type NotificationEndpoint } from './dispatcher.ts';
import { nativeNotifyCodec } from './native-codec.ts';
import type { Notification, NotifyCodec } from './notification.ts';
import { PRIORITIES, type Priority } from './priorities.ts';

export interface ListenTarget {
  readonly topic: string;
  /** Default: the transport's. */
  readonly exchange?: string;
}

interface CommonOptions {
  readonly targets: readonly ListenTarget[];
  /**
   * Listeners of one pool share the notifications; each pool gets them all. Without a pool: the default group, whose
   * queues the notifier makes where nobody listens.
   */
  readonly pool?: string;
  /** Default `concurrent(16)`; with `batch` as many as a batch has. */
  readonly executor?: Executor;
  /** Notifications taken and not yet settled, at most, for each queue. */
  readonly prefetch?: number;
  readonly retry?: RetryPolicy;
  readonly retention?: Retention;
  readonly serializer?: Serializer;
}

export interface NotificationListenerOptions extends CommonOptions {
  readonly endpoints?: readonly NotificationEndpoint[];
  /** For iteration (`for await`), without endpoints: the priorities to listen to. Default: all. */
  readonly priorities?: readonly Priority[];
  readonly batch?: undefined;
}

export interface BatchListenerOptions extends CommonOptions {
  readonly endpoints: readonly BatchEndpoint[];
  readonly batch: BatchOptions;
}

const CONCURRENCY = 16;

/**
 * Receives notifications at least once: each is settled after its endpoints are done with it. What fails is tried again,
 * later and in this group only, up to a limit; then it goes to the dead letters with the reason.
 */
export class NotificationListener implements AsyncDisposable {
  readonly #transport: Transport;
  readonly #options: NotificationListenerOptions | BatchListenerOptions;
  readonly #codec: NotifyCodec;
  readonly #serializer: Serializer;
  readonly #dispatcher: NotificationDispatcher | undefined;
  readonly #stream = new JobStream<Notification>();
  readonly #batchers: ReadonlyMap<Priority, Batcher<Notification>>;
  readonly #server: Server;

  // Two signatures: by a union, the types of the methods' arguments could not be told.
  constructor(transport: Transport, options: NotificationListenerOptions);
  constructor(transport: Transport, options: BatchListenerOptions);
  constructor(transport: Transport, options: NotificationListenerOptions | BatchListenerOptions) {
    const { targets, pool, batch, endpoints, serializer = {} } = options;
    for (const { topic, exchange } of targets) checkTarget({ topic, ...(exchange !== undefined && { exchange }) });
    if (targets.length === 0) throw new TargetError('a notification listener needs at least one target');
    this.#transport = transport;
    this.#options = options;
    this.#codec = transport.wire.codecs.notify ?? nativeNotifyCodec(transport.wire.contents);
    this.#serializer = serializer;
    this.#dispatcher = endpoints === undefined ? undefined : new NotificationDispatcher(endpoints, transport.logger);
    this.#batchers = new Map(
      batch === undefined ? [] : PRIORITIES.map((priority) => [priority, this.#batcher(priority, batch)]),
    );
    const priorities = this.#dispatcher?.priorities ?? checkedPriorities(options);
    if (endpoints?.length === 0) throw new ConfigError('endpoints', 'at least one is needed');
    const concurrency = batch === undefined ? CONCURRENCY : checkedSize(batch) * priorities.length;
    this.#server = new Server(transport, {
      name: `notification listener ${pool ?? targets.map(({ topic }) => topic).join(', ')}`,
      lanes: this.#lanes(options, priorities),
      executor: options.executor ?? concurrent(concurrency),
      settle: 'after',
      prefetch: options.prefetch ?? (batch === undefined ? 2 * CONCURRENCY : 2 * batch.size),
      open: (delivery) => this.#open(delivery),
      onClosing: () => {
        for (const batcher of this.#batchers.values()) batcher.close();
        this.#stream.end();
      },
    });
  }

  /** Subscribes. Resolves when notifications sent from then on are certain to arrive. */
  async start(): Promise<this> {
    await this.#server.start();
    return this;
  }

  pause(): Promise<void> {
    return this.#server.pause();
  }

  resume(): Promise<void> {
    return this.#server.resume();
  }

  /** Stops intake, gives back what has not started, waits for what runs; unfinished batches are handled as they are. */
  close(options?: CloseOptions): Promise<CloseReport> {
    return this.#server.close(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * For listeners without endpoints. A notification is settled when the next one is asked for; one whose loop body threw
   * or broke off is given back.
   */
  [Symbol.asyncIterator](): AsyncIterator<Notification> {
    if (this.#dispatcher !== undefined)
      throw new ConfigError('endpoints', 'a listener has endpoints or is iterated, not both');
    return this.#stream[Symbol.asyncIterator]();
  }

  #lanes({ targets, pool, retry, retention }: CommonOptions, priorities: readonly Priority[]): readonly Lane[] {
    const transport = this.#transport;
    const sources = targets.flatMap(({ topic, exchange = transport.wire.exchange }) =>
      priorities.map(
        (priority): Extract<Source, { kind: 'topic' }> => ({
          kind: 'topic',
          exchange,
          pattern: `${topic}.${priority}`,
        }),
      ),
    );
    const lane = (from: readonly Source[], group: string): Lane => ({
      sources: from,
      options: { group, ...(retention && { retention }) },
      redelivery: new Redelivery(transport, { kind: 'group', name: group }, retry),
    });
    return pool === undefined
      ? sources.map((source) => lane([source], this.#codec.defaultGroup(source.exchange, source.pattern)))
      : [lane(sources, pool)];
  }

  #open(delivery: Delivery): Job {
    const notification = this.#deserialized(this.#codec.decode(delivery.message));
    return {
      id: notification.id,
      name: notification.eventType,
      run: () => this.#observed(notification),
    };
  }

  #deserialized(notification: Notification): Notification {
    const serializer = this.#serializer;
    if (serializer.deserializeContext === undefined && serializer.deserializeEntity === undefined) return notification;
    const context = serializer.deserializeContext?.(notification.context) ?? notification.context;
    const payload =
      serializer.deserializeEntity === undefined
        ? notification.payload
        : serializer.deserializeEntity(context, notification.payload);
    return { ...notification, context, payload };
  }

  /** What is batched waits for others, and is processed with them. */
  #observed(notification: Notification): Promise<JobEnd> {
    if (!processing.hasSubscribers || this.#batchers.size > 0) return this.#handle(notification);
    const { id, eventType, context, payload, headers } = notification;
    const activity = { ...this.#activity(eventType, payload), id, context, headers: { ...headers } };
    return observedJob(activity, () => this.#handle(notification));
  }

  #activity(name: string, content: unknown): Activity {
    const { targets } = this.#options;
    const exchanges = new Set(targets.map(({ exchange = this.#transport.wire.exchange }) => exchange));
    const [exchange] = exchanges.size === 1 ? exchanges : [];
    const topic = targets.map((target) => target.topic).join(',');
    const about = { pattern: 'notify', operation: 'listen', name, transport: this.#transport } as const;
    return { ...about, exchange, topic, context: {}, content, headers: {} };
  }

  #handle(notification: Notification): Promise<JobEnd> {
    if (this.#dispatcher === undefined) return this.#stream.add(notification);
    return this.#batchers.get(notification.priority)?.add(notification) ?? this.#dispatcher.dispatch(notification);
  }

  #batcher(priority: Priority, batch: BatchOptions): Batcher<Notification> {
    const dispatch = async (notifications: readonly Notification[]): Promise<JobEnd> =>
      (await this.#dispatcher?.dispatchBatch(priority, notifications)) ?? 'accept';
    return new Batcher(batch, (notifications) => {
      if (!processing.hasSubscribers) return dispatch(notifications);
      const members = notifications.map(({ id, headers }) => ({ id, headers: { ...headers } }));
      const payloads = notifications.map(({ payload }) => payload);
      return observedJob({ ...this.#activity(priority, payloads), batch: members }, () => dispatch(notifications));
    });
  }
}

function checkedPriorities(options: NotificationListenerOptions | BatchListenerOptions): readonly Priority[] {
  const priorities = 'priorities' in options ? (options.priorities ?? PRIORITIES) : PRIORITIES;
  if (priorities.length === 0 || !priorities.every((priority) => PRIORITIES.includes(priority)))
    throw new ConfigError('priorities', `expected some of ${PRIORITIES.join(', ')}`);
  return priorities;
}

function checkedSize({ size, maxAgeMs }: BatchOptions): number {
  if (!Number.isInteger(size) || size < 1) throw new ConfigError('batch.size', 'expected an integer above 0');
  if (!(maxAgeMs > 0)) throw new ConfigError('batch.maxAgeMs', 'expected milliseconds above 0');
  return size;
}
