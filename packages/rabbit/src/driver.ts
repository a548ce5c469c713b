import {
  type Address,
  type Agreed,
  ClosedError,
  type Comparison,
  ConfigError,
  type Declaration,
  type Delivery,
  type Driver,
  type DriverContext,
  type Features,
  type Inspection,
  type Message,
  type PlanOptions,
  type SendOptions,
  type Source,
  type SubscribeOptions,
  type Subscription,
  type TransportUrl,
  UnsupportedError,
  within,
} from '@posthorn/core';
import { Connection } from './connection.ts';
import { JointStatus } from './joint-status.ts';
import type { Link } from './link.ts';
import { modernTopology } from './naming.ts';
import { type RabbitOptions, type RabbitSettings, rabbitSettings } from './options.ts';
import { planOf, queueNameOf } from './plan.ts';
import { Sender } from './sender.ts';
import { RabbitSubscription } from './subscription.ts';
import { agreedOn, carryOut, inspectQueue } from './tools.ts';
import type { Intake, Topology } from './topology.ts';

const FEATURES: Features = {
  kinds: ['anycast', 'unicast', 'multicast', 'topic', 'group', 'mailbox', 'reply'],
  unroutable: 'detected',
  ttl: true,
  delay: true,
  priority: true,
  keep: true,
  deliveryCount: false,
  untilEmpty: true,
  inPlace: true,
  durable: true,
  inspect: true,
  plan: true,
  declare: true,
};

/**
 * Quorum queues count deliveries, know no priorities (RabbitMQ refuses to declare one with them), and have what was given
 * back go before the rest in the order in which it came back.
 */
const QUORUM_FEATURES: Features = { ...FEATURES, priority: false, deliveryCount: true, inPlace: false };

/** At a subscription whose connection is lost before it is there. */
const ATTEMPTS = 3;

/**
 * The driver for RabbitMQ over AMQP 0-9-1: `rabbit://user:password@host,host2/vhost?heartbeatMs=10000`, or `rabbits://`
 * over TLS. Resolves when it is connected.
 *
 * @throws {MessagingError} `CONNECTION` no host could be reached; `ACCESS` credentials, vhost or certificate refused;
 * `CONFIG` a wrong option
 */
export async function rabbit(url: TransportUrl, context: DriverContext, options: RabbitOptions = {}): Promise<Driver> {
  const settings = rabbitSettings(options, url);
  const known =
    url.hosts.length > 0
      ? url
      : { ...url, hosts: [{ host: 'localhost', port: undefined, username: undefined, password: undefined }] };
  const name = settings.connectionName ?? `posthorn:${process.pid}`;
  const split = settings.connections === 'split' ? new JointStatus(context) : undefined;
  const consuming = new Connection(known, settings, split?.part(0) ?? context, name);
  const publishing = split ? new Connection(known, settings, split.part(1), `${name}:publish`) : consuming;
  const shared = new Shared(settings, context, publishing, consuming);
  try {
    await consuming.connect();
    if (split) await publishing.connect();
  } catch (error) {
    await shared.close();
    throw error;
  }
  return new RabbitDriver(shared, settings.topology ?? modernTopology(settings.durability));
}

/** What the views of one driver have in common. */
class Shared {
  readonly settings: RabbitSettings;
  readonly context: DriverContext;
  readonly sender: Sender;
  readonly consuming: Connection;
  readonly subscriptions = new Set<RabbitSubscription>();
  readonly #publishing: Connection;
  #closing: Promise<void> | undefined;

  constructor(settings: RabbitSettings, context: DriverContext, publishing: Connection, consuming: Connection) {
    this.settings = settings;
    this.context = context;
    this.consuming = consuming;
    this.#publishing = publishing;
    this.sender = new Sender(publishing, settings, context);
    consuming.listen({
      up: (link) => {
        for (const subscription of this.subscriptions) subscription.up(link);
      },
      down: (_link, error) => {
        for (const subscription of [...this.subscriptions]) subscription.down(error);
      },
      blocked: () => undefined,
    });
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  close(signal?: AbortSignal): Promise<void> {
    this.#closing ??= this.#close(signal);
    return this.#closing;
  }

  async #close(signal: AbortSignal | undefined): Promise<void> {
    const ended = [...this.subscriptions].map((subscription) => subscription.close());
    await within(Promise.all([...ended, this.sender.close(signal)]), undefined, signal);
    await Promise.all([this.consuming.close(signal), this.#publishing.close(signal)]);
  }
}

class RabbitDriver implements Driver {
  readonly name = 'rabbit';
  readonly features: Features;
  readonly #shared: Shared;
  readonly #topology: Topology;
  /** The reply queue, where it outlives a connection: the next one reads on from it instead of leaving it behind. */
  #replies: Intake | undefined;

  constructor(shared: Shared, topology: Topology) {
    const { settings } = shared;
    this.features = settings.durability === 'quorum' && settings.topology === undefined ? QUORUM_FEATURES : FEATURES;
    this.#shared = shared;
    this.#topology = topology;
  }

  send(to: Address, message: Message, options: SendOptions = {}): Promise<void> {
    try {
      this.#check(options.priority ?? options.retention?.maxPriority);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#shared.sender.send(this.#topology, to, message, options);
  }

  async subscribe(
    from: readonly Source[],
    receive: (delivery: Delivery) => void,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    const { settings, context, subscriptions, consuming } = this.#shared;
    if (this.#shared.closed) throw new ClosedError('the transport');
    this.#check(options.retention?.maxPriority);
    const onClose = (closed: RabbitSubscription): void => void subscriptions.delete(closed);
    const isReply = from[0]?.kind === 'reply';
    const subscription = new RabbitSubscription(from, receive, options, {
      topology: this.#topology,
      settings,
      context,
      onClose,
      intake: isReply ? this.#replies : undefined,
    });
    const link = await this.#started(subscription, options.signal);
    if (options.signal?.aborted) {
      await subscription.close();
      throw options.signal.reason;
    }
    if (isReply) this.#replies = subscription.intake;
    subscriptions.add(subscription);
    // The link may have died between the last answer and now; then nobody told this subscription.
    if (link.down !== undefined) subscription.down(link.down);
    if (link.down !== undefined && consuming.link !== undefined) subscription.up(consuming.link);
    return subscription;
  }

  /** A connection that is lost meanwhile is no failure of the subscription, unless it may be its cause. */
  async #started(subscription: RabbitSubscription, signal: AbortSignal | undefined): Promise<Link> {
    for (let left = ATTEMPTS - 1; ; left--) {
      const link = await this.#shared.consuming.ready(signal);
      try {
        await subscription.start(link);
        return link;
      } catch (error) {
        if (link.down === undefined || left === 0) throw error;
      }
    }
  }

  get agreed(): Agreed | undefined {
    const { link } = this.#shared.consuming;
    return link && agreedOn(link);
  }

  async inspect(address: Address): Promise<Inspection | undefined> {
    const queue = queueNameOf(this.#topology, address);
    return queue === undefined ? undefined : await inspectQueue(await this.#shared.consuming.ready(), queue);
  }

  plan(what: readonly Source[] | Address, options: PlanOptions = {}): readonly Declaration[] {
    return planOf(this.#topology, what, options);
  }

  async declare(declaration: Declaration, verb: 'compare' | 'create' | 'remove'): Promise<Comparison> {
    return await carryOut(await this.#shared.consuming.ready(), declaration, verb);
  }

  view(topology: unknown): Driver {
    if (!isTopology(topology)) throw new ConfigError('wire.topology.rabbit', 'expected a topology');
    return new RabbitDriver(this.#shared, topology);
  }

  close({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return this.#shared.close(signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #check(priority: number | undefined): void {
    if (priority !== undefined && !this.features.priority)
      throw new UnsupportedError(this.name, 'message priorities in quorum queues');
  }
}

function isTopology(value: unknown): value is Topology {
  return typeof value === 'object' && value !== null && 'route' in value && 'intake' in value && 'kept' in value;
}
