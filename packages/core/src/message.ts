import type { Address } from './address.ts';

export type HeaderValue = string | number | boolean;

/** What travels. The body is opaque to drivers; the rest maps onto the standard properties of the broker's protocol. */
export interface Message {
  readonly body: Uint8Array;
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly headers?: Readonly<Record<string, HeaderValue>>;
  /** What it is: of a request, the method. AMQP 0-9-1 has room for 255 bytes. */
  readonly type?: string;
  readonly messageId?: string;
  readonly correlationId?: string;
  /** The name of the reply address that answers go to. */
  readonly replyTo?: string;
  /**
   * Discard the message when it was not delivered within this many milliseconds. The receiver sees what the sender set
   * (or what the broker left of it), and may count on from there.
   */
  readonly ttlMs?: number;
}

/**
 * How a delivery ends. `accept`: done, forget it. `release`: give it back, to be delivered again, perhaps to another.
 * `reject`: never again; the broker dead-letters it where that is configured.
 */
export type Outcome = 'accept' | 'release' | 'reject';

/** One message handed to one subscriber. */
export interface Delivery {
  readonly message: Message;
  /**
   * The address it was sent to: for a subscriber to topics with the real exchange and key. What was sent to the group
   * itself, or was kept for it, has the group's.
   */
  readonly to: Address;
  readonly redelivered: boolean;
  /** How often it was delivered before, where the broker counts. */
  readonly deliveryCount?: number;
  /**
   * Ends the delivery. The first call counts, later ones change nothing. Never throws or rejects. Resolves once the
   * settlement was handed to the broker's socket: true; or false where it can no longer be settled, because the
   * connection that delivered it is gone (the broker will deliver it again).
   */
  settle(outcome: Outcome): Promise<boolean>;
}
