import type { Logger } from '@posthorn/core';
import { decode, type Received } from './decoder.ts';
import type { Attached, Link } from './link.ts';
import type { IntakeLink, Profile } from './profile.ts';
import {
  type Context,
  type Delivery,
  drain,
  forget,
  openReceiver,
  type Receiver,
  revoke,
  type Settlement,
  settle,
} from './rhea.ts';

const DRAIN_MS = 5_000;

/** A delivery on its link. */
export interface Arrival {
  readonly received: Received;
  readonly inlet: Inlet;
  readonly delivery: Delivery;
}

export interface InletOptions {
  readonly profile: Profile;
  /** Unsettled deliveries and credit together, at most. */
  readonly share: number;
  /** Nobody else could get what comes: it counts as settled from the start. */
  readonly presettled: boolean;
  readonly clockToleranceMs: number;
  readonly logger: Logger;
  readonly receive: (arrival: Arrival) => void;
  readonly onGone: (error: Error) => void;
}

/** One receiving link, and its credit: always as much as may still be handed out, given anew in portions. */
export class Inlet {
  readonly source: IntakeLink;
  readonly #link: Link;
  readonly #options: InletOptions;
  /** What came while it was halted, where the peer cannot take back its credit. */
  readonly #held: Arrival[] = [];
  #attached: Attached<Receiver> | undefined;
  #unsettled = 0;
  #flowing = false;
  #closed = false;
  #arrivals = 0;
  #roomy: (() => void) | undefined;
  #drained: (() => void) | undefined;

  private constructor(link: Link, source: IntakeLink, options: InletOptions) {
    this.#link = link;
    this.source = source;
    this.#options = options;
  }

  /** Attaches, without credit yet. */
  static async open(link: Link, source: IntakeLink, options: InletOptions): Promise<Inlet> {
    const inlet = new Inlet(link, source, options);
    const { share, presettled } = options;
    const onGone = (error: Error): void => {
      options.onGone(error);
      // It does not answer a drain any more.
      inlet.#drained?.();
    };
    const attached = await link.attach(
      (session) => {
        const receiver = openReceiver(session, {
          name: source.name,
          source: terminusOf(source),
          properties: source.properties,
          presettled,
        });
        receiver.on('message', (context) => inlet.#arrived(context));
        receiver.on('receiver_drained', () => inlet.#drained?.());
        return receiver;
      },
      `attaching to ${source.source.address ?? 'a fresh address'}`,
      { onGone, size: share * 2 },
    );
    inlet.#attached = attached;
    return inlet;
  }

  /** The address of the node, which the peer may have named. */
  get address(): string {
    return this.#attached?.link.source?.address ?? '';
  }

  /** Whether the peer said that the queue has other attributes than those that were asked for. */
  get differs(): boolean {
    const { differs } = this.#options.profile;
    return differs !== undefined && this.#attached?.link.properties?.[differs] === true;
  }

  get open(): boolean {
    return !this.#closed && this.#attached?.open === true;
  }

  /** Lets messages come. */
  flow(): void {
    const receiver = this.#attached?.link;
    if (this.#flowing || receiver === undefined || !this.open) return;
    this.#flowing = true;
    for (const arrival of this.#held.splice(0)) this.#options.receive(arrival);
    // What was taken back counts here still, so that rhea does not wonder at what was on its way.
    if (!this.#options.profile.drain) receiver.credit = 0;
    this.#replenish();
  }

  /** No more messages once it resolves; rejects where the peer does not answer. */
  async halt(): Promise<void> {
    if (!this.#flowing) return;
    this.#flowing = false;
    const receiver = this.#attached?.link;
    if (receiver === undefined || !this.open || receiver.credit === 0) return;
    this.#link.flusher.touch();
    if (this.#options.profile.drain) await this.#drain(receiver);
    else revoke(receiver);
  }

  /** Hands out what is there now, and resolves when there is no more. */
  async empty(): Promise<void> {
    const receiver = this.#attached?.link;
    while (receiver !== undefined && this.open) {
      const room = this.#options.share - this.#unsettled;
      if (room > 0) {
        const before = this.#arrivals;
        receiver.add_credit(room);
        await this.#drain(receiver);
        if (this.#arrivals - before < room) return;
      } else
        await new Promise<void>((resolve) => {
          this.#roomy = resolve;
        });
    }
  }

  /** Undefined where it can no longer be settled. */
  settle(delivery: Delivery, outcome: Settlement): Promise<boolean> | undefined {
    if (!this.open) return undefined;
    const { flusher } = this.#link;
    this.#unsettled--;
    flusher.touch();
    settle(delivery, outcome);
    if (this.#flowing) this.#replenish();
    this.#roomy?.();
    this.#roomy = undefined;
    return new Promise((resolve) => flusher.onWritten(resolve));
  }

  /** Detaches: the peer gives what is unsettled to others. */
  async close(): Promise<void> {
    for (const { delivery } of this.#held.splice(0)) if (this.open) settle(delivery, 'released');
    this.#closed = true;
    this.#roomy?.();
    await this.#attached?.close();
  }

  async #drain(receiver: Receiver): Promise<void> {
    const drained = new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
    drain(receiver);
    try {
      await this.#link.guard(drained, `draining ${this.address}`, DRAIN_MS);
    } finally {
      receiver.drain = false;
    }
  }

  #arrived({ message, delivery }: Context): void {
    if (delivery === undefined || !(message instanceof Buffer)) return;
    if (!this.open) return;
    const { presettled, logger, receive } = this.#options;
    this.#arrivals++;
    if (presettled) forget(delivery);
    else this.#unsettled++;
    let received: Received;
    try {
      received = decode(message, this.#options.profile.typeAnnotation);
    } catch (error) {
      logger.warn({ err: error, from: this.address }, 'a message that cannot be read was rejected');
      if (!presettled) void this.settle(delivery, 'rejected');
      return;
    }
    if (this.#isTooLate(received)) {
      if (!presettled) void this.settle(delivery, 'accepted');
      return;
    }
    const arrival = { received, inlet: this, delivery };
    if (!this.#flowing && !this.#options.profile.drain) this.#held.push(arrival);
    else receive(arrival);
    if (this.#flowing) this.#replenish();
  }

  #isTooLate({ creationTime, message: { ttlMs } }: Received): boolean {
    const { profile, clockToleranceMs } = this.#options;
    if (profile.stampsTtl !== true || creationTime === undefined || ttlMs === undefined) return false;
    return Date.now() >= creationTime + ttlMs + clockToleranceMs;
  }

  /** Gives credit in portions of a quarter, so that not each message costs a frame. */
  #replenish(): void {
    const receiver = this.#attached?.link;
    if (receiver === undefined) return;
    const { share, profile } = this.#options;
    const owed = share - receiver.credit - this.#unsettled;
    const isPortion = owed * 4 >= share && profile.creditWhenUsedUp !== true;
    if (owed > 0 && (isPortion || receiver.credit === 0)) receiver.add_credit(owed);
  }
}

function terminusOf({ source }: IntakeLink): object {
  const { address, dynamic, durable, expiryPolicy, capabilities } = source;
  return {
    ...(address !== undefined && { address }),
    ...(dynamic && { dynamic }),
    ...(durable !== undefined && { durable }),
    ...(expiryPolicy !== undefined && { expiry_policy: expiryPolicy }),
    ...(capabilities !== undefined && { capabilities }),
  };
}
