import { TooLargeError } from '@posthorn/core';
import { refusedId } from './errors.ts';
import type { Attached, Link } from './link.ts';
import type { SendOutcome } from './outgoing.ts';
import { forgetSent, openSender, roomOf, type Sender, type SenderOptions, type Session, transfer } from './rhea.ts';

/** rhea cannot wrap a link's count of deliveries, which is 32 bits wide: the link is renewed long before. */
const MOST_DELIVERIES = 2 ** 31;

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

/** One way to send, and what was written on it and has no outcome yet. */
export class Outlet<T> {
  readonly #link: Link;
  readonly #listener: OutletListener<T>;
  readonly #unsettled = new Map<number, T>();
  readonly #attached: Attached<Sender>[] = [];
  #written = 0;
  #retired = false;
  #gone = false;

  private constructor(link: Link, listener: OutletListener<T>) {
    this.#link = link;
    this.#listener = listener;
  }

  /** Attaches; without an address, to the anonymous terminus. Further links follow, as many as are wanted, in its session. */
  static async open<T>(
    link: Link,
    target: Pick<SenderOptions, 'address' | 'durable' | 'capabilities'>,
    { size, links = 1 }: { readonly size: number; readonly links?: number | undefined },
    listener: OutletListener<T>,
  ): Promise<Outlet<T>> {
    const outlet = new Outlet<T>(link, listener);
    const { session } = await outlet.#attach(target, size);
    // The first one serves without them.
    for (let more = 1; more < links; more++)
      outlet.#attach(target, size, session).then(
        () => listener.onRoom(),
        () => undefined,
      );
    return outlet;
  }

  async #attach(target: Parameters<typeof openSender>[1], size: number, inSession?: Session): Promise<Sender> {
    const { address } = target;
    const attached = await this.#link.attach(
      (session) => {
        const sender = openSender(session, target);
        sender.on('sendable', () => this.#listener.onRoom());
        return sender;
      },
      address === undefined ? 'attaching to send to any address' : `attaching to send to ${address}`,
      {
        size,
        ...(inSession && { session: inSession }),
        onWindow: (window) => this.#listener.onWindow(window),
        onGone: (error) => this.#lost(error),
      },
    );
    this.#attached.push(attached);
    this.#closeIfDone();
    return attached.link;
  }

  get open(): boolean {
    return !this.#gone && this.#attached[0]?.open === true;
  }

  get idle(): boolean {
    return this.#unsettled.size === 0;
  }

  /** Whether a message can be written now. */
  get hasRoom(): boolean {
    return this.#roomy() !== undefined;
  }

  /** Whether another one should take its place. */
  get worn(): boolean {
    return this.#written >= MOST_DELIVERIES;
  }

  /**
   * Writes a message, for which there is room, and returns its id. One that is `settled` has no outcome, and no id.
   *
   * @throws {TooLargeError} the peer would end the session over it
   */
  write(item: T, bytes: Buffer, what: string, settled = false): number | undefined {
    const sender = this.#roomy();
    if (sender === undefined) throw new Error('the outlet has no room');
    const limit = Number(sender.max_message_size ?? 0);
    if (limit > 0 && bytes.length > limit) throw new TooLargeError(what, bytes.length, limit);
    this.#written++;
    this.#link.flusher.touch();
    const id = transfer(sender, bytes, settled, (outcome, error) => this.#settled(id, outcome, error));
    if (settled) return undefined;
    this.#unsettled.set(id, item);
    return id;
  }

  /** Its outcome is no longer awaited. */
  forget(id: number): void {
    const [first] = this.#attached;
    if (this.#unsettled.delete(id) && first !== undefined) forgetSent(first.link, id);
    this.#closeIfDone();
  }

  /** What has no outcome, and will have none. */
  take(): readonly T[] {
    const items = [...this.#unsettled.values()];
    this.#unsettled.clear();
    return items;
  }

  /** Detaches once nothing is awaited any more. */
  retire(): void {
    this.#retired = true;
    this.#closeIfDone();
  }

  /** The first link that has room. The session keeps the order, whichever link a message goes by. */
  #roomy(): Sender | undefined {
    for (const { open, link } of this.#attached) if (open && roomOf(link) > 0) return link;
    return undefined;
  }

  #lost(error: Error): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#refuse(error.cause);
    this.#listener.onGone(this, this.take(), error);
    this.#closeIfDone();
  }

  /** One message may be what the link was taken away for. */
  #refuse(error: unknown): void {
    const id = refusedId(error);
    if (id !== undefined) this.#settled(id, 'rejected', error);
  }

  #settled(id: number, outcome: SendOutcome, error: unknown): void {
    const item = this.#unsettled.get(id);
    if (item === undefined) return;
    this.#unsettled.delete(id);
    this.#listener.onOutcome(item, outcome, error);
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#gone || (this.#retired && this.idle)) for (const attached of this.#attached) void attached.close();
  }
}
