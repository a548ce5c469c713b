import { TooLargeError } from '@posthorn/core';
import { refusedId } from './errors.ts';
import type { Attached, Link } from './link.ts';
import { type Context, type Delivery, forget, openSender, roomOf, type Sender, type SenderOptions } from './rhea.ts';

/** rhea cannot wrap the ids of deliveries, which are 32 bits wide: the link is renewed long before. */
const MOST_DELIVERIES = 2 ** 31;

export type SendOutcome = 'accepted' | 'released' | 'rejected' | 'modified';

export interface OutletListener<T> {
  /** What became of something written; `error` is the peer's. Must not throw. */
  onOutcome(item: T, outcome: SendOutcome, error: unknown): void;
  /** There may be room again. */
  onRoom(): void;
  /** The peer took the link away: what became of these is not known. */
  onGone(outlet: Outlet<T>, items: readonly T[], error: Error): void;
  /** The peer's window of transfers: 0 when it refuses to read. */
  onWindow(window: number): void;
}

/** One sending link, and what was written on it and has no outcome yet. */
export class Outlet<T> {
  readonly #link: Link;
  readonly #unsettled = new Map<number, { readonly item: T; readonly delivery: Delivery }>();
  #attached: Attached<Sender> | undefined;
  #tags = 0;
  #retired = false;

  private constructor(link: Link) {
    this.#link = link;
  }

  /** Attaches; without an address, to the anonymous terminus. */
  static async open<T>(
    link: Link,
    target: Pick<SenderOptions, 'address' | 'durable' | 'capabilities'>,
    size: number,
    listener: OutletListener<T>,
  ): Promise<Outlet<T>> {
    const outlet = new Outlet<T>(link);
    const { address } = target;
    outlet.#attached = await link.attach(
      (session) => {
        const sender = openSender(session, target);
        for (const outcome of ['accepted', 'released', 'rejected', 'modified'] as const)
          sender.on(outcome, (context) => outlet.#settled(context, outcome, listener));
        // Settled without an outcome: the peer does not say, and nothing speaks against it.
        sender.on('settled', (context) => outlet.#settled(context, 'accepted', listener));
        sender.on('sendable', () => listener.onRoom());
        return sender;
      },
      address === undefined ? 'attaching to send to any address' : `attaching to send to ${address}`,
      {
        size,
        onWindow: (window) => listener.onWindow(window),
        onGone: (error) => {
          outlet.#refuse(error.cause, listener);
          listener.onGone(outlet, outlet.take(), error);
        },
      },
    );
    return outlet;
  }

  get open(): boolean {
    return this.#attached?.open === true;
  }

  get idle(): boolean {
    return this.#unsettled.size === 0;
  }

  /** How many messages can be written now. */
  get room(): number {
    return this.#attached?.open ? roomOf(this.#attached.link) : 0;
  }

  /** Whether another one should take its place. */
  get worn(): boolean {
    return this.#tags >= MOST_DELIVERIES;
  }

  /**
   * Writes a message, for which there is room. One that is `settled` has no outcome, and no delivery to forget.
   *
   * @throws {TooLargeError} the peer would end the session over it
   */
  write(item: T, bytes: Buffer, what: string, settled = false): Delivery | undefined {
    const sender = this.#attached?.link;
    if (sender === undefined) throw new Error('the outlet is not open');
    const limit = Number(sender.max_message_size ?? 0);
    if (limit > 0 && bytes.length > limit) throw new TooLargeError(what, bytes.length, limit);
    const tag = Buffer.allocUnsafe(4);
    tag.writeUInt32BE(this.#tags++);
    this.#link.flusher.touch(bytes.length);
    const delivery = sender.send(bytes, tag, 0);
    if (settled) {
      // rhea looks at it when it makes the frames, in a later tick.
      delivery.settled = true;
      return undefined;
    }
    this.#unsettled.set(delivery.id, { item, delivery });
    return delivery;
  }

  /** Its outcome is no longer awaited. */
  forget(delivery: Delivery): void {
    if (this.#unsettled.delete(delivery.id)) forget(delivery);
    this.#closeIfDone();
  }

  /** What has no outcome, and will have none. */
  take(): readonly T[] {
    const items = [...this.#unsettled.values()].map(({ item }) => item);
    this.#unsettled.clear();
    return items;
  }

  /** Detaches once nothing is awaited any more. */
  retire(): void {
    this.#retired = true;
    this.#closeIfDone();
  }

  /** One message may be what the link was taken away for. */
  #refuse(error: unknown, listener: OutletListener<T>): void {
    const id = refusedId(error);
    const refused = id === undefined ? undefined : this.#unsettled.get(id);
    if (id === undefined || refused === undefined) return;
    this.#unsettled.delete(id);
    listener.onOutcome(refused.item, 'rejected', error);
  }

  #settled({ delivery }: Context, outcome: SendOutcome, listener: OutletListener<T>): void {
    if (delivery === undefined) return;
    const waiting = this.#unsettled.get(delivery.id);
    if (waiting === undefined) return;
    this.#unsettled.delete(delivery.id);
    forget(delivery);
    listener.onOutcome(waiting.item, outcome, delivery.remote_state?.error);
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#retired && this.idle) void this.#attached?.close();
  }
}
