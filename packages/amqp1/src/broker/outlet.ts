import {
  Bag,
  bufferOf,
  describe,
  type MemoryBroker,
  type MemoryConsumer,
  type MemoryDelivery,
  type MemoryEntry,
  type MemoryQueue,
  newId,
  type Retention,
  type Source,
} from '@posthorn/core';
import { type Delivery, forget, type Session } from '../rhea.ts';
import { formatAddress, parseAddress, parseSource } from './addresses.ts';
import { annotate, headerSection } from './sections.ts';
import type { ServedSender } from './served-session.ts';
import { DIFFERS, GROUP, PASSIVE, retentionFromNames, SENT_TO, SOURCES } from './vocabulary.ts';

const SETTLED = 1;
/** The format of AMQP 1.0 itself, and the sign for rhea that the message is encoded. */
const ENCODED = 0;
const OUTCOMES = ['accepted', 'released', 'rejected', 'modified', 'settled'] as const;

/** What an outlet knows of its connection. */
export interface Road {
  /** Whether the socket and the session take more for now. If not, the outlet is woken when they do. */
  isOpen(outlet: Outlet): boolean;
  wrote(bytes: number): void;
  /** Wakes the outlet once something moved. */
  wait(outlet: Outlet): void;
  /** Something changed that may give others room. */
  moved(): void;
}

/** What a client asks for when it attaches to receive. */
interface Wish {
  /** As the client knows it; for a dynamic source the one that is made. */
  readonly address: string;
  readonly sources: readonly Source[];
  /** What decides how long the queue stays. */
  readonly kind: Source['kind'];
  readonly plain: boolean;
  readonly group: string | undefined;
}

interface Refusal {
  readonly condition: string;
  readonly description: string;
}

/**
 * Gives a client that attached to receive what it wants, or tells it why it cannot have that: then there is no outlet.
 */
export function openOutlet(link: ServedSender, broker: MemoryBroker, road: Road): Outlet | undefined {
  const { source, target, properties, local } = link;
  const wish = wishOf(link);
  if ('condition' in wish) return void link.close(wish);
  const retention = retentionFromNames(properties ?? {});
  const queue = queueOf(wish, broker, retention, Boolean(properties?.[PASSIVE]));
  if ('condition' in queue) return void link.close(queue);
  link.set_source({
    address: wish.address,
    ...(source?.dynamic && { dynamic: true, expiry_policy: 'link-detach' }),
    distribution_mode: 'move',
  });
  link.set_target({ ...(target?.address && { address: target.address }) });
  local.attach.snd_settle_mode = link.snd_settle_mode === SETTLED ? SETTLED : 0;
  if (queue.differsFrom(retention)) local.attach.properties = { [DIFFERS]: true };
  return new Outlet(link, queue, wish, broker, road);
}

function wishOf({ source, properties }: ServedSender): Wish | Refusal {
  if (!source || !('address' in source))
    return { condition: 'amqp:not-implemented', description: 'no such kind of source' };
  if (source.dynamic) {
    const address = formatAddress({ kind: 'reply', name: newId() });
    return { address, sources: [], kind: 'reply', plain: false, group: undefined };
  }
  const { address } = source;
  if (!address) return { condition: 'amqp:invalid-field', description: 'a source without an address' };
  const first = parseSource(address);
  const others = textsOf(properties?.[SOURCES]).map((text) => parseSource(text).address);
  const group = properties?.[GROUP];
  return {
    address,
    sources: [first.address, ...others],
    kind: first.address.kind,
    plain: first.plain && first.address.kind === 'mailbox',
    group: typeof group === 'string' ? group : undefined,
  };
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

function queueOf(wish: Wish, broker: MemoryBroker, retention: Retention, passive: boolean): MemoryQueue | Refusal {
  const { address, sources, kind, group } = wish;
  const there = broker.find(parseAddress(address).address);
  const missing = { condition: 'amqp:not-found', description: `there is no queue for ${address}` };
  if (passive) return there ?? missing;
  if (kind !== 'reply') return broker.queueFor(sources, group, retention);
  if (sources.length === 0) return broker.queue(describe(parseAddress(address).address));
  if (there === undefined) return missing;
  return { condition: 'amqp:resource-locked', description: `${address} belongs to the link that made it` };
}

/** A link on which a client receives from one queue, as much as it gave credit for. */
export class Outlet {
  readonly #link: ServedSender;
  readonly #queue: MemoryQueue;
  readonly #wish: Wish;
  readonly #broker: MemoryBroker;
  readonly #road: Road;
  readonly #presettled: boolean;
  /** Whether deliveries tell where they were sent to: they may have been sent elsewhere. */
  readonly #tells: boolean;
  /** What was sent and is not settled, by delivery id. */
  readonly #held = new Map<number, { readonly sent: Delivery; readonly delivery: MemoryDelivery }>();
  readonly #consumer: MemoryConsumer;
  /** Where the link stands once all that was handed to rhea is written. */
  #count: number;
  #draining = false;
  #closed = false;

  constructor(link: ServedSender, queue: MemoryQueue, wish: Wish, broker: MemoryBroker, road: Road) {
    this.#link = link;
    this.#queue = queue;
    this.#wish = wish;
    this.#broker = broker;
    this.#road = road;
    this.#presettled = link.snd_settle_mode === SETTLED;
    this.#tells = wish.sources.length > 1 || wish.kind === 'topic' || wish.kind === 'group';
    this.#count = link.delivery_count;
    this.#consumer = {
      unsettled: new Bag<MemoryEntry>(),
      hasRoom: () => !this.#closed && this.#credit > 0 && this.#road.isOpen(this),
      receive: (delivery) => this.#deliver(delivery),
      onEmpty: () => this.#drained(),
    };
    // It is asked for the answer to a drain alone.
    link._get_drain = () => true;
    link.on('sender_flow', () => this.wake());
    link.on('sender_draining', () => {
      this.#draining = true;
      this.wake();
    });
    for (const outcome of OUTCOMES) link.on(outcome, ({ delivery }) => delivery && this.#settle(delivery));
    queue.attach(this.#consumer);
  }

  get session(): Session {
    return this.#link.session;
  }

  /** There may be room again. */
  wake(): void {
    this.#queue.wake();
    if (this.#draining && this.#credit <= 0) this.#drained();
  }

  /** The link is gone: what it held goes back. */
  close(how: 'closed' | 'lost'): void {
    if (this.#closed) return;
    this.#closed = true;
    // rhea tells of outcomes in a later tick than of the detach that came after them.
    for (const { sent } of this.#held.values()) if (sent.remote_state || sent.remote_settled) this.#settle(sent);
    this.#held.clear();
    const [queue, { kind, group, plain }] = [this.#queue, this.#wish];
    queue.detach(this.#consumer);
    queue.giveBack(this.#consumer);
    if (plain && queue.unused) this.#broker.remove(queue);
    else this.#broker.leave(queue, kind, group, how);
  }

  /** How many messages the client still wants, besides those that are on their way to it. */
  get #credit(): number {
    const { credit, delivery_count } = this.#link;
    return credit - (this.#count - delivery_count);
  }

  #deliver(delivery: MemoryDelivery): void {
    const bytes = this.#encode(delivery);
    const sent = this.#link.send(bytes, undefined, ENCODED);
    this.#count++;
    this.#road.wrote(bytes.length);
    if (this.#presettled) void delivery.settle('accept');
    else this.#held.set(sent.id, { sent, delivery });
    if (this.#draining && this.#credit <= 0) this.#drained();
  }

  #encode({ message, to, redelivered, deliveryCount, expiresAt }: MemoryDelivery): Buffer {
    const { body, headers } = message;
    const priority = headers?.['priority'];
    const header = headerSection({
      durable: headers?.['durable'] === true,
      priority: typeof priority === 'number' ? priority : undefined,
      ttlMs: expiresAt === undefined ? undefined : Math.max(1, expiresAt - performance.now()),
      firstAcquirer: !redelivered,
      deliveryCount,
    });
    const stored = bufferOf(body);
    return Buffer.concat([header, this.#tells ? annotate(stored, { [SENT_TO]: formatAddress(to) }) : stored]);
  }

  #settle(sent: Delivery): void {
    const delivery = this.#held.get(sent.id)?.delivery;
    if (delivery === undefined) return;
    this.#held.delete(sent.id);
    if (!sent.remote_settled) {
      // The client settles second: it waits for us.
      sent.update(true, sent.remote_state?.described());
      forget(sent);
    }
    const outcome = sent.remote_state?.constructor.composite_type;
    if (outcome === 'accepted') void delivery.settle('accept');
    else if (outcome === 'rejected') void delivery.settle('reject');
    else if (outcome === 'modified') giveBack(delivery, sent);
    else delivery.giveBack({ failed: false });
    this.#road.moved();
  }

  /** Answers a drain, once all that was sent before is written. */
  #drained(): void {
    if (!this.#draining || this.#closed) return;
    const link = this.#link;
    if (this.#count > link.delivery_count) return this.#road.wait(this);
    this.#draining = false;
    link.delivery_count += link.credit;
    link.credit = 0;
    this.#count = link.delivery_count;
    link.issue_flow = true;
    link.connection._register();
  }
}

function giveBack(delivery: MemoryDelivery, sent: Delivery): void {
  const { delivery_failed, undeliverable_here, message_annotations } = sent.remote_state ?? {};
  const added = Object.entries(message_annotations ?? {}).filter(
    (entry): entry is [string, string | number | boolean] => /string|number|boolean/.test(typeof entry[1]),
  );
  const { message } = delivery;
  const { body } = message;
  const bytes = bufferOf(body);
  delivery.giveBack({
    failed: Boolean(delivery_failed),
    elsewhere: Boolean(undeliverable_here),
    ...(added.length > 0 && { message: { ...message, body: annotate(bytes, Object.fromEntries(added)) } }),
  });
}
