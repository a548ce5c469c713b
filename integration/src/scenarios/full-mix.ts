import { newId, type Transport } from '@posthorn/core';
import { Publisher, Subscriber } from '@posthorn/messaging';
import { NotificationListener, Notifier } from '@posthorn/notify';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { deferred } from '../deferred.ts';

const CLIENTS = 50;
const SERVERS = 20;
const NOTIFIERS = 5;
const LISTENERS = 5;
const PUBLISHERS = 10;
const SUBSCRIBERS = 10;

/** What one round of the mix sends. */
export const ROUND = { calls: CLIENTS, casts: CLIENTS, notifications: NOTIFIERS, messages: PUBLISHERS } as const;

interface Echo {
  echo(args: { readonly n: number }): { readonly n: number };
  note(args: { readonly n: number }): void;
}

/** All that a process can be, many times over, on one transport: each part talks to another of its own kind. */
export class FullMix {
  readonly clients: readonly RPCClient<Echo>[];
  readonly #notifiers: readonly Notifier[];
  readonly #publishers: readonly Publisher[];
  readonly #events: readonly string[];
  #sent = 0;
  /** Of a round, and not handled yet. */
  #expected = 0;
  #handled = deferred();

  private constructor(transport: Transport, id: string) {
    const topics = names(`${id}-server`, SERVERS);
    this.clients = names(id, CLIENTS).map(
      (_, n) => new RPCClient<Echo>(transport, { target: { topic: topics[n % SERVERS] ?? '' } }),
    );
    this.#events = names(`${id}-events`, LISTENERS);
    this.#notifiers = names(`${id}-notifier`, NOTIFIERS).map(
      (publisherId, n) => new Notifier(transport, { publisherId, topics: [this.#events[n % LISTENERS] ?? ''] }),
    );
    this.#publishers = names(`${id}-publisher`, PUBLISHERS).map(
      (publisherId) => new Publisher(transport, { publisherId, exchange: id }),
    );
  }

  /** @param transport one of a broker, or of a part of it, that is thrown away afterwards */
  static async start(transport: Transport): Promise<FullMix> {
    const id = newId();
    const mix = new FullMix(transport, id);
    const handle = (): void => {
      if (--mix.#expected === 0) mix.#handled.resolve();
    };
    const echo = { echo: (_: unknown, args: object) => args, note: handle };
    await Promise.all([
      ...names(`${id}-server`, SERVERS).map((topic) =>
        new RPCServer(transport, { target: { topic, server: 'one' }, endpoints: [echo] }).start(),
      ),
      ...mix.#events.map((topic) =>
        new NotificationListener(transport, { targets: [{ topic }], endpoints: [{ info: handle }] }).start(),
      ),
      ...names(id, SUBSCRIBERS).map((group, n) =>
        new Subscriber(transport, { exchange: id, group }).bind(`news.${n}`, handle).start(),
      ),
    ]);
    return mix;
  }

  /** Everybody sends one of each kind that is theirs, all at once; resolves when all of it was handled. */
  async round(): Promise<void> {
    const n = ++this.#sent;
    const { casts, notifications, messages } = ROUND;
    this.#expected = casts + notifications + messages;
    this.#handled = deferred();
    const echoed = this.clients.map((client) => client.call({}, 'echo', { n }));
    await Promise.all([
      ...this.clients.map((client) => client.cast({}, 'note', { n })),
      ...this.#notifiers.map((notifier) => notifier.info({}, 'mix', { n })),
      ...this.#publishers.map((publisher, key) =>
        publisher.send(`news.${key}`, { messageType: 'news', version: '1.0', payload: { n } }),
      ),
    ]);
    const wrong = (await Promise.all(echoed)).find((echo) => echo.n !== n);
    if (wrong !== undefined) throw new Error(`the answer to call ${n} says ${wrong.n}`);
    await this.#handled.promise;
  }
}

function names(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, n) => `${prefix}-${n}`);
}
