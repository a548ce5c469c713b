import type { Address, Agreed, Features, HeaderValue, Retention, SendOptions, Source } from '@posthorn/core';

/** What a peer told of itself when the connection was opened. */
export interface Peer {
  readonly product: string | undefined;
  readonly version: string | undefined;
  readonly capabilities: readonly string[];
  /** What it agreed to besides. */
  readonly limits?: Pick<Agreed, 'heartbeatMs' | 'frameMax' | 'channelMax'>;
}

/** What may stand in message annotations and link properties. */
export type Annotation = HeaderValue | readonly string[];

/** Where one message goes, and what the peer has to know besides. */
export interface Route {
  /** The `to` of the message on an anonymous link, else the target of a link of its own. */
  readonly address: string;
  /** How durable the target of its link is said to be. Default 0. */
  readonly durable?: 0 | 2;
  /** The kind of node that the target of its link is: `queue`, `topic`. */
  readonly capabilities?: readonly string[];
  /** Message annotations. */
  readonly annotations?: Readonly<Record<string, Annotation>> | undefined;
  /** An exchange to declare at the management node before the first message of a connection. */
  readonly exchange?: ExchangeDeclaration | undefined;
  /** The message is settled when it is written: the peer tells nothing of it, and it counts as taken. Default false. */
  readonly settled?: boolean;
}

/** The source of one receiving link. */
export interface SourceTerminus {
  /** Absent where the peer makes a node and names it. */
  readonly address?: string;
  readonly dynamic?: boolean;
  /** 0 none, 1 configuration, 2 unsettled state. Default 0. */
  readonly durable?: 0 | 1 | 2;
  readonly expiryPolicy?: 'link-detach' | 'session-end' | 'connection-close' | 'never';
  readonly capabilities?: readonly string[];
}

export interface IntakeLink {
  /** What its deliveries are labelled with, where the message itself does not tell. */
  readonly label: Address;
  readonly source: SourceTerminus;
  readonly properties?: Readonly<Record<string, Annotation>>;
  /** The name of the link, where the peer goes by it (durable subscriptions). Default: fresh. */
  readonly name?: string;
}

/** What a subscription receives from. */
export interface Intake {
  /** One, or one for each source where the peer cannot feed several into one queue. They share one prefetch. */
  readonly links: readonly IntakeLink[];
  /** A queue to declare at the management node before, with its bindings. */
  readonly queue?: QueueDeclaration | undefined;
  readonly bindings?: readonly Binding[];
  /** The address that a message was really sent to, where that is not always the label; undefined where it does not tell. */
  readonly sentTo?: ((sent: Sent) => Address | undefined) | undefined;
}

/** Where a message waits that nobody received, or that is to be delayed. */
export interface Shelf {
  readonly queue: QueueDeclaration;
  readonly bindings: readonly Binding[];
  /** Where the message is sent to first. */
  readonly first: Route;
  /** Where it is sent to once the queue was declared. */
  readonly last: Route;
}

export interface ExchangeDeclaration {
  readonly name: string;
  readonly type: 'direct' | 'fanout' | 'topic';
  /** Default true. */
  readonly durable?: boolean;
  /** Default false. */
  readonly autoDelete?: boolean;
}

export interface QueueDeclaration {
  readonly name: string;
  readonly durable: boolean;
  readonly exclusive: boolean;
  /** Default false. */
  readonly autoDelete?: boolean;
  readonly arguments: Readonly<Record<string, string | number | boolean>>;
  /**
   * On a clean close by its only consumer: `delete` it; `unbind` it, so that it gets nothing more, and what is left waits
   * for the next of that name; or `keep` it.
   */
  readonly onClose: 'delete' | 'unbind' | 'keep';
}

export interface Binding {
  readonly exchange: ExchangeDeclaration;
  readonly key: string;
}

export interface IntakeOptions {
  readonly group?: string | undefined;
  readonly retention?: Retention | undefined;
  /** Nothing is to be made: the peer refuses a queue that is not there with `amqp:not-found`. */
  readonly untilEmpty?: boolean | undefined;
}

/** The part of a message that tells where it was sent to. */
export interface Sent {
  /** Properties of the message. */
  readonly to: string | undefined;
  readonly annotations: Readonly<Record<string, unknown>>;
}

/**
 * What one family of brokers calls the addresses, and what it can do. Pure data in, pure data out: one file for each.
 *
 * What `features` does not have is refused before the profile is asked: kinds of address, `ttlMs`, `delayMs`, `priority`,
 * `keep`. A profile throws `UnsupportedError` for what is left, such as attributes of queues that it cannot ask for.
 */
export interface Profile {
  readonly name: string;
  readonly features: Features;
  /**
   * The outcome that gives a delivery back. `modified` says that the delivery failed, which makes peers count it;
   * `released` is all that some peers know.
   */
  readonly release: 'released' | 'modified';
  /** Whether the peer answers when credit is taken back (drain). */
  readonly drain: boolean;
  /**
   * Give credit only when the last was used up: RabbitMQ 3 does not look at how many messages were on their way when it was
   * given, and sends as many too many.
   */
  readonly creditWhenUsedUp?: boolean;
  /**
   * The peer does not look at lifetimes: messages that have one are stamped with the time of their sending, and receivers
   * discard what is too old.
   */
  readonly stampsTtl?: boolean;
  /** Attach a link for each address, though the peer would relay: it has to be told what kind of node it is. */
  readonly linkPerAddress?: boolean;
  /**
   * How many links of one session share what is sent to any address, where the credit of one is less than the window of
   * the session. Default 1.
   */
  readonly sendingLinks?: number;
  /** Whether queues and exchanges are declared at the AMQP management node, `/management`. */
  readonly managed: boolean;
  /** The property of its attach by which the peer says that the queue was there with other attributes. */
  readonly differs?: string;
  /** Where the message goes. Without `Shelf`, the options (keep, delay) are told by annotations or by the address. */
  route(to: Address, options: SendOptions): Route;
  /** For `keep` and `delayMs`, where the peer needs a queue to be declared for that. */
  shelf?(to: Address, options: SendOptions): Shelf;
  /** Called again for each connection: private nodes get a fresh name. */
  intake(from: readonly Source[], options: IntakeOptions): Intake;
  /** The message annotation that the peer turns into the type of a message on AMQP 0-9-1. Default: types are subjects. */
  readonly typeAnnotation?: string;
  /** `string` where peers expect amqp-value text instead of a data section. Default `data`. */
  readonly body?: 'data' | 'string';
  /** How the name of a reply address is spelled in the reply-to property of a message, and back. Default: as it is. */
  replyTo?(name: string): string;
  replyName?(replyTo: string): string;
}

/**
 * How the peers of a wire have it: what is otherwise than in the profile of the broker. The vhost is that of the URL; the
 * name of the profile that comes of it stands in errors.
 */
export type Amqp1Topology = (profile: Profile, vhost: string | undefined) => Partial<Profile>;
