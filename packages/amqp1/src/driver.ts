import {
  type Address,
  type AddressKind,
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
import { chooseProfile } from './choose-profile.ts';
import { Connection } from './connection.ts';
import type { Link } from './link.ts';
import { Management } from './management.ts';
import { type Amqp1Options, type Amqp1Settings, amqp1Settings } from './options.ts';
import { carryOut, inspectAt, planOf } from './plan.ts';
import type { Amqp1Topology, Profile } from './profile.ts';
import { Sender } from './sender.ts';
import { Amqp1Subscription } from './subscription.ts';

/**
 * The driver for AMQP 1.0: `amqp1://user:password@host,host2/vhost?idleTimeoutMs=10000`, or `amqp1s://` over TLS. What kind
 * of broker it is shows when it is connected, and so does what it can do: see `features`.
 *
 * @throws {MessagingError} `CONNECTION` no host could be reached; `ACCESS` credentials or certificate refused; `CONFIG` a
 * wrong option
 */
export async function amqp1(url: TransportUrl, context: DriverContext, options: Amqp1Options = {}): Promise<Driver> {
  const settings = amqp1Settings(options, url);
  const known =
    url.hosts.length > 0
      ? url
      : { ...url, hosts: [{ host: 'localhost', port: undefined, username: undefined, password: undefined }] };
  const connection = new Connection(known, settings, context);
  const shared = new Shared(settings, context, connection);
  try {
    const link = await connection.connect();
    const profile = chooseProfile(settings, link.peer);
    connection.begin(link);
    return new Amqp1Driver(shared, profile, { product: link.peer.product, vhost: url.vhost });
  } catch (error) {
    await shared.close();
    throw error;
  }
}

/** What the views of one driver have in common. */
class Shared {
  readonly settings: Amqp1Settings;
  readonly context: DriverContext;
  readonly connection: Connection;
  readonly sender: Sender;
  readonly subscriptions = new Set<Amqp1Subscription>();
  readonly #managements = new WeakMap<Link, Management>();
  #closing: Promise<void> | undefined;

  constructor(settings: Amqp1Settings, context: DriverContext, connection: Connection) {
    this.settings = settings;
    this.context = context;
    this.connection = connection;
    this.sender = new Sender(connection, settings, context, this.managementOf);
    connection.listen({
      up: (link) => {
        const lost = [...this.subscriptions];
        // Those who wait for a reply address go first: they are woken in this turn.
        setImmediate(() => {
          for (const subscription of lost) if (link.down === undefined) subscription.up(link);
        });
      },
      down: (_link, error) => {
        for (const subscription of [...this.subscriptions]) subscription.down(error);
      },
    });
  }

  readonly managementOf = (link: Link): Management => {
    const known = this.#managements.get(link) ?? new Management(link);
    this.#managements.set(link, known);
    return known;
  };

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
    await this.connection.close(signal);
  }
}

interface Place {
  readonly product: string | undefined;
  readonly vhost: string | undefined;
}

class Amqp1Driver implements Driver {
  readonly name = 'amqp1';
  readonly product: string | undefined;
  readonly features: Features;
  readonly #shared: Shared;
  readonly #profile: Profile;
  readonly #place: Place;

  constructor(shared: Shared, profile: Profile, place: Place) {
    this.product = place.product;
    this.features = profile.features;
    this.#shared = shared;
    this.#profile = profile;
    this.#place = place;
  }

  send(to: Address, message: Message, options: SendOptions = {}): Promise<void> {
    try {
      this.#checkSend(to, message, options);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#shared.sender.send(this.#profile, to, message, options);
  }

  async subscribe(
    from: readonly Source[],
    receive: (delivery: Delivery) => void,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    const { settings, context, connection, subscriptions, managementOf } = this.#shared;
    if (this.#shared.closed) throw new ClosedError('the transport');
    for (const { kind } of from) this.#checkKind(kind);
    this.#check('priority', options.retention?.maxPriority !== undefined, 'message priorities');
    this.#check('untilEmpty', options.untilEmpty === true, 'reading a queue until it is empty');
    const subscription = new Amqp1Subscription(from, receive, options, {
      profile: this.#profile,
      settings,
      context,
      managementOf,
      onClose: (closed) => void subscriptions.delete(closed),
    });
    const link = await connection.ready(options.signal);
    await subscription.start(link);
    if (options.signal?.aborted) {
      await subscription.close();
      throw options.signal.reason;
    }
    if (this.#shared.closed) {
      await subscription.close();
      throw new ClosedError('the transport');
    }
    subscriptions.add(subscription);
    // The link may have died between the last answer and now; then nobody told this subscription.
    if (link.down !== undefined) subscription.down(link.down);
    if (link.down !== undefined && connection.link !== undefined) subscription.up(connection.link);
    return subscription;
  }

  get agreed(): Agreed | undefined {
    const { link } = this.#shared.connection;
    if (link === undefined) return undefined;
    const { product, version, limits } = link.peer;
    return { product, version, ...limits };
  }

  async inspect(address: Address): Promise<Inspection | undefined> {
    this.#check('inspect', true, 'looking at queues');
    return await inspectAt(() => this.#management(), this.#profile, address);
  }

  plan(what: readonly Source[] | Address, options: PlanOptions = {}): readonly Declaration[] {
    this.#check('plan', true, 'telling what it declares');
    return planOf(this.#profile, what, options);
  }

  async declare(declaration: Declaration, verb: 'compare' | 'create' | 'remove'): Promise<Comparison> {
    this.#check('declare', true, 'declaring apart from sending and subscribing');
    return await carryOut(await this.#management(), declaration, verb);
  }

  async #management(): Promise<Management> {
    return this.#shared.managementOf(await this.#shared.connection.ready());
  }

  /** Another profile on the same connection: what a wire needs whose peers expect other addresses. See `Amqp1Topology`. */
  view(topology: unknown): Driver {
    if (!isTopology(topology))
      throw new ConfigError('wire.topology.amqp1', 'expected a function that changes a profile');
    const profile = { ...this.#profile, ...topology(this.#profile, this.#place.vhost) };
    return new Amqp1Driver(this.#shared, profile, this.#place);
  }

  close({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return this.#shared.close(signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #checkSend({ kind }: Address, { ttlMs }: Message, options: SendOptions): void {
    this.#checkKind(kind);
    const { priority, retention, delayMs, unrouted } = options;
    this.#check('priority', priority !== undefined || retention?.maxPriority !== undefined, 'message priorities');
    this.#check('delay', delayMs !== undefined, 'delayed messages');
    this.#check('ttl', ttlMs !== undefined, 'lifetimes of messages');
    this.#check('keep', unrouted === 'keep', 'keeping messages that nobody receives');
    if (unrouted === 'keep' && (kind === 'multicast' || kind === 'reply'))
      throw new UnsupportedError(this.#what, `keeping messages for a ${kind} address`);
  }

  #checkKind(kind: AddressKind): void {
    if (!this.features.kinds.includes(kind)) throw new UnsupportedError(this.#what, `${kind} addresses`);
  }

  #check(feature: Refusable, isNeeded: boolean, what: string): void {
    if (isNeeded && !this.features[feature]) throw new UnsupportedError(this.#what, what);
  }

  get #what(): string {
    return `${this.name} (${this.#profile.name})`;
  }
}

type Refusable = 'priority' | 'delay' | 'ttl' | 'keep' | 'untilEmpty' | 'inspect' | 'plan' | 'declare';

function isTopology(value: unknown): value is Amqp1Topology {
  return typeof value === 'function';
}
