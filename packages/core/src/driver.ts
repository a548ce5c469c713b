import type { Address, AddressKind, Source } from './address.ts';
import type { Agreed, Comparison, Declaration, Inspection, PlanOptions } from './declaration.ts';
import type { Logger } from './logger.ts';
import type { Delivery, Message } from './message.ts';
import type { Status } from './status.ts';

/**
 * The seam. A driver moves opaque messages between addresses over one connection. It knows its broker's topology,
 * confirms, credit and recovery; it knows nothing of methods, priorities or envelopes. The prose below is the
 * specification: the conformance suite has a test for each sentence.
 *
 * A driver is born connected: its factory resolves with a driver that is ready, and rejects with a `MessagingError`
 * when no host could be reached or the broker refused. After that it reconnects by itself until it is closed, restores
 * its subscriptions (but for replies, see `subscribe`), and tells each change through `DriverContext.onStatus`.
 *
 * All methods may be called at any time and concurrently. They reject with `MessagingError` only, the library's own
 * error in `cause`, and with `signal.reason` untouched when their signal was aborted.
 */
export interface Driver extends AsyncDisposable {
  /** The name by which wires and errors know this driver: `rabbit`, `memory`. */
  readonly name: string;
  /** What the broker says it is, where there are several that one driver speaks to. Wires may look otherwise by it. */
  readonly product?: string | undefined;
  /** What was agreed with the broker, for tools. Undefined while there is no connection. */
  readonly agreed?: Agreed | undefined;
  /** What this connection can do. Never changes. */
  readonly features: Features;

  /**
   * Hands one message to the broker.
   *
   * Resolves when the broker took responsibility (`confirm: true`), else once the message was written. While there is
   * no connection, or the broker has blocked it, the message waits in a bounded line until its deadline. A failure
   * before the write is `CONNECTION`, `OVERLOADED` or `TIMEOUT`, and that message is never written later. Once written, a lost connection
   * is `UNKNOWN`; the driver does not send again, the caller decides. A refusal by the broker is `NOT_DELIVERED`.
   *
   * `unrouted` says what happens when nobody receives at the address: `drop` forgets the message, `fail` refuses it
   * with `UNROUTABLE`, `keep` stores it for whoever comes. Without `confirm`, a `fail` that becomes known after the
   * promise resolved is told through `DriverContext.onReturned`.
   */
  send(to: Address, message: Message, options?: SendOptions): Promise<void>;

  /**
   * Delivers what is sent to any of the sources to `receive`, through ONE queue. Resolves once messages sent from then
   * on are certain to arrive. At most `prefetch` deliveries are unsettled at any time. `receive` must not throw.
   * A delivery is one object, perhaps of a class: `settle` is a method of it, to be called on it
   * (`delivery.settle('accept')`), and neither taken out of it nor copied with its other fields.
   *
   * The subscription survives reconnects; what was unsettled is delivered again, and settling the old delivery does
   * nothing but be counted (`DriverContext.onLateSettle`). A `reply` source stands alone in its list, and does not
   * survive: `ended` tells its loss, and who needs a reply address subscribes again. Its deliveries may count as settled
   * from the start, prefetch or not: nobody else could get them.
   */
  subscribe(
    from: readonly Source[],
    receive: (delivery: Delivery) => void,
    options?: SubscribeOptions,
  ): Promise<Subscription>;

  /**
   * The same connection seen through another topology (names and flags): what a wire needs so that a service can speak
   * two at once. Closing a view does nothing. Absent where the driver has only one.
   */
  view?(topology: unknown): Driver;

  /**
   * For tools, where `features.inspect` is declared: the queue behind an address, looked at without changing anything.
   * Undefined for addresses that are no queue (`multicast`, `topic`). A queue that does not exist is an answer, not an
   * error, and disturbs nothing that goes on.
   */
  inspect?(address: Address): Promise<Inspection | undefined>;

  /**
   * For tools, where `features.plan` is declared: what `subscribe` would declare for the sources, or `send` for the
   * address, in the order in which it can be made. Pure: nothing is asked, nothing is made.
   */
  plan?(what: readonly Source[] | Address, options?: PlanOptions): readonly Declaration[];

  /**
   * For tools, where `features.declare` is declared: compares one declaration with what is there, makes it, or removes
   * it with all that it holds. It never adopts: what is there with other attributes `differs`, and stays as it is. What
   * is there already is made again without harm, and what is gone is removed without error. Private queues are nobody's
   * to make: they are `absent`. A refusal for want of permission is `ACCESS`.
   */
  declare?(declaration: Declaration, verb: 'compare' | 'create' | 'remove'): Promise<Comparison>;

  /**
   * Ends every subscription, waits for sends in progress, disconnects. Always the same promise; never rejects. `signal`
   * gives up waiting and cuts the connection.
   */
  close(options?: { readonly signal?: AbortSignal }): Promise<void>;
}

export interface Subscription extends AsyncDisposable {
  /** What a peer may send to. For a reply source: the fresh name. */
  readonly address: Address;
  /** Resolves when it is over: with undefined when closed by its owner, with the reason when the broker took it away. */
  readonly ended: Promise<Error | undefined>;
  /** No further deliveries until `resume`, while the queue is kept. Held deliveries can be settled. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Ends intake for good. Held deliveries can still be settled. */
  stop(): Promise<void>;
  /** Stops, and gives back what is still unsettled. */
  close(): Promise<void>;
}

export type Unrouted = 'drop' | 'fail' | 'keep';

export interface SendOptions {
  /** Wait for the broker's confirmation. Default false. */
  readonly confirm?: boolean;
  /** Default `drop`. */
  readonly unrouted?: Unrouted;
  /** Survive a restart of the broker, where the queue does. Default false. */
  readonly persistent?: boolean;
  /** Deliver it no sooner than this. */
  readonly delayMs?: number;
  /** 0 to 255, higher first, in queues that have `maxPriority`. */
  readonly priority?: number;
  /** The group for which `keep` stores messages to a topic. Default: the one that bears the name of the key. */
  readonly keepFor?: string;
  /** Attributes of the queue that `keep` creates. */
  readonly retention?: Retention;
  /** Give up after this long: 30,000 by default. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Asked right before the message is written: false withdraws it, and the promise resolves. Must not throw. */
  readonly beforeWrite?: () => boolean;
}

export interface SubscribeOptions {
  /** Unsettled deliveries at most. Default 64. */
  readonly prefetch?: number;
  /** The name under which subscribers to topics share one queue. Without it the queue is private. */
  readonly group?: string;
  readonly retention?: Retention;
  /**
   * Only what is there now: the subscription ends when the queue was found empty, and what it delivered can be settled
   * until it is closed. Declares nothing: a queue that does not exist is empty. For one `group` or `mailbox` source.
   */
  readonly untilEmpty?: boolean;
  readonly signal?: AbortSignal;
}

/** Attributes of a queue. One that exists with other attributes is adopted, and the difference logged once. */
export interface Retention {
  readonly durability?: 'transient' | 'durable' | 'quorum';
  /** Delete the queue when unused for this long. */
  readonly expiresMs?: number;
  /** Messages at most; the oldest go first. */
  readonly maxLength?: number;
  readonly maxPriority?: number;
  /** The group that gets what is rejected. */
  readonly deadLetter?: string;
}

export interface Features {
  /** The kinds of address it knows. */
  readonly kinds: readonly AddressKind[];
  /** Whether `unrouted: 'fail'` is told at once, or the sender waits for its deadline. */
  readonly unroutable: 'detected' | 'undetected';
  readonly ttl: boolean;
  readonly delay: boolean;
  readonly priority: boolean;
  /** `keep` and mailboxes: messages wait for their first consumer. */
  readonly keep: boolean;
  readonly deliveryCount: boolean;
  readonly untilEmpty: boolean;
  /** What is released, or given back by a consumer that leaves, takes its old place in the queue. Else some place. */
  readonly inPlace: boolean;
  /** Messages outlive the process of the broker. */
  readonly durable: boolean;
  /** For tools: queues can be looked at. Default false. */
  readonly inspect?: boolean;
  /** For tools: it tells what it would declare. Default false. */
  readonly plan?: boolean;
  /** For tools: what it would declare can be compared, made and removed. Default false. */
  readonly declare?: boolean;
}

/** What a driver's factory gets besides its own options. */
export interface DriverContext {
  readonly logger: Logger;
  readonly onStatus: (status: Status) => void;
  /** A message sent with `unrouted: 'fail'` and without `confirm` came back. */
  readonly onReturned: (messageId: string | undefined, to: Address) => void;
  /** Messages sent without `confirm` may have been lost, though the connection lives: their outcome is unknown. */
  readonly onLost: (error: Error) => void;
  /** A delivery was settled for the first time after its connection or subscription was gone. */
  readonly onLateSettle?: () => void;
}
