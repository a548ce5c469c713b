import { performance } from 'node:perf_hooks';
import { type Address, describe, type Source } from '../address.ts';
import type { Retention, SendOptions } from '../driver.ts';
import { newId } from '../id.ts';
import { matcher } from '../match.ts';
import type { Message } from '../message.ts';
import { copyOf, Entry, MemoryQueue, type Stock } from './queue.ts';

interface Binding {
  readonly matches: (key: string) => boolean;
  readonly queue: MemoryQueue;
}

/** Exchanges, queues and bindings in a few maps: what the memory transports of one name share. */
export class MemoryBroker {
  readonly #queues = new Map<string, MemoryQueue>();
  /** By `topic e`, or the address of another kind: who gets a copy besides the queue of that name. */
  readonly #bindings = new Map<string, Map<string, Binding>>();
  readonly #delays = new Set<NodeJS.Timeout>();
  readonly #stock: Stock = { bytes: 0 };
  #last: { readonly to: Address | undefined; readonly name: string } = { to: undefined, name: '' };
  #lastReply = { to: '', name: describe({ kind: 'reply', name: '' }) };

  /** What its messages take, those that are delayed included. */
  get bytes(): number {
    return this.#stock.bytes;
  }

  /** Puts the message into every queue it is meant for. Returns false when there is none. */
  send(to: Address, message: Message, options: SendOptions, label: Address = to): boolean {
    const { delayMs, unrouted, keepFor, retention, priority = 0 } = options;
    const copy = copyOf(message);
    if (delayMs !== undefined) {
      const timer = setTimeout(() => {
        this.#delays.delete(timer);
        this.#stock.bytes -= copy.body.length;
        const { delayMs: _, ...rest } = options;
        this.send(to, copy, rest, label);
      }, delayMs);
      this.#delays.add(timer);
      this.#stock.bytes += copy.body.length;
      return true;
    }
    const expiresAt = message.ttlMs === undefined ? undefined : performance.now() + message.ttlMs;
    const queues = this.#route(to);
    for (const queue of queues) queue.push(new Entry(copy, label, priority, expiresAt));
    if (queues.length > 0 || unrouted !== 'keep') return queues.length > 0;
    const home: Address = to.kind === 'topic' ? { kind: 'group', name: keepFor ?? to.key } : label;
    const kept = this.queue(to.kind === 'topic' ? describe(home) : describe(to), retention);
    kept.push(new Entry(copy, home, priority, expiresAt));
    return true;
  }

  /** The queue of that name, made if it is not there. */
  queue(name: string, retention: Retention = {}): MemoryQueue {
    const known = this.#queues.get(name);
    if (known !== undefined) return known;
    const queue = new MemoryQueue(
      name,
      retention,
      (entry, deadLetter) => this.#deadLetter(entry, deadLetter),
      () => this.remove(queue),
      this.#stock,
    );
    this.#queues.set(name, queue);
    return queue;
  }

  /** The one queue that all the sources feed: shared, or private with a fresh name. */
  queueFor(sources: readonly Source[], group: string | undefined, retention: Retention | undefined): MemoryQueue {
    const [first] = sources;
    const named = group !== undefined ? `group ${group}` : first && sharedName(first);
    const queue = this.queue(named ?? `private ${newId()}`, retention);
    for (const source of sources) this.#bind(source, queue);
    return queue;
  }

  /** The queue behind an address that is a queue. */
  find(address: Address): MemoryQueue | undefined {
    return this.#queues.get(describe(address));
  }

  /** A consumer is gone: so is its queue, where nobody else could use it. */
  leave(queue: MemoryQueue, kind: Source['kind'], group: string | undefined, how: 'closed' | 'lost'): void {
    const isPrivate = kind === 'reply' || kind === 'multicast' || (kind === 'topic' && group === undefined);
    // A server's own queue that still holds messages waits for the server to come back.
    if (isPrivate || (kind === 'unicast' && how === 'closed' && queue.unused)) this.remove(queue);
  }

  remove(queue: MemoryQueue): void {
    if (this.#queues.get(queue.name) !== queue) return;
    this.#queues.delete(queue.name);
    for (const [key, bindings] of this.#bindings) {
      for (const [id, binding] of bindings) if (binding.queue === queue) bindings.delete(id);
      if (bindings.size === 0) this.#bindings.delete(key);
    }
    queue.dispose();
  }

  dispose(): void {
    for (const timer of this.#delays) clearTimeout(timer);
    for (const queue of this.#queues.values()) queue.dispose();
    this.#queues.clear();
    this.#bindings.clear();
  }

  #bind(source: Source, queue: MemoryQueue): void {
    if (sharedName(source) === queue.name || source.kind === 'reply') return;
    const key = source.kind === 'topic' ? `topic ${source.exchange}` : describe(source);
    const bindings = this.#bindings.get(key) ?? new Map();
    this.#bindings.set(key, bindings);
    // Consumers that share a queue bind it once.
    bindings.set(`${describe(source)} ${queue.name}`, {
      matches: source.kind === 'topic' ? matcher(source.pattern) : () => true,
      queue,
    });
  }

  #route(to: Address): readonly MemoryQueue[] {
    const name = this.#nameOf(to);
    const named = to.kind === 'multicast' || to.kind === 'topic' ? undefined : this.#queues.get(name);
    const bindings = this.#bindings.get(name);
    if (bindings === undefined) return named === undefined ? [] : [named];
    const queues = new Set(named === undefined ? [] : [named]);
    const key = to.kind === 'topic' ? to.key : '';
    for (const { matches, queue } of bindings.values()) if (matches(key)) queues.add(queue);
    return [...queues];
  }

  /** Most messages go where one before went. A text that is put together anew is hashed anew. */
  #nameOf(to: Address): string {
    if (to.kind === 'reply') {
      if (to.name !== this.#lastReply.to) this.#lastReply = { to: to.name, name: describe(to) };
      return this.#lastReply.name;
    }
    if (to !== this.#last.to) this.#last = { to, name: to.kind === 'topic' ? `topic ${to.exchange}` : describe(to) };
    return this.#last.name;
  }

  #deadLetter(entry: Entry, group: string | undefined): void {
    if (group === undefined) return;
    const to: Address = { kind: 'group', name: group };
    this.queue(describe(to)).push(new Entry(entry.message, to, entry.priority, undefined));
  }
}

/** The name of a queue that subscribers share, or undefined where each has its own. */
export function sharedName(source: Source): string | undefined {
  return source.kind === 'multicast' || source.kind === 'topic' || source.kind === 'reply'
    ? undefined
    : describe(source);
}
