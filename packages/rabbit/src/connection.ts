import {
  backOffMs,
  ClosedError,
  ConfigError,
  ConnectionError,
  type DriverContext,
  type Host,
  hostText,
  MessagingError,
  messageOf,
  onAbort,
  orAborted,
  type Status,
  shuffled,
  type TransportUrl,
  tlsOptions,
} from '@posthorn/core';
import { type Credentials, credentials, type Model, open } from './amqplib.ts';
import { connectError } from './errors.ts';
import { asError, Link } from './link.ts';
import type { RabbitSettings, UserCredentials } from './options.ts';

export interface ConnectionListener {
  /** A new link is there: open channels, restore. Must not throw. */
  up(link: Link): void;
  /** The link died. Must not throw. */
  down(link: Link, error: Error): void;
  /** The broker stopped, or went on, reading. */
  blocked(reason: string | undefined): void;
}

/** A link that lasted this long starts the back-off anew; one that is accepted and killed at once does not. */
const STABLE_MS = 1_000;
const MOST_FLAPS = 4;
const CLOSE_MS = 5_000;
const REFRESH_AT = 0.8;
/** What `setTimeout` can wait for: above it, it fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Keeps one connection alive: hosts in turn, back-off with jitter, a generation number for each link.
 *
 * connecting → up ⇄ blocked → down → waiting → connecting → up …; any → closed
 */
export class Connection {
  readonly #url: TransportUrl;
  readonly #hosts: readonly Host[];
  readonly #settings: RabbitSettings;
  readonly #context: DriverContext;
  readonly #name: string;
  readonly #listeners: ConnectionListener[] = [];
  readonly #waiting = new Set<{ readonly resolve: (link: Link) => void; readonly reject: (error: unknown) => void }>();
  #link: Link | undefined;
  #blocked = false;
  #generation = 0;
  #host = 0;
  #closed = false;
  #since = 0;
  /** How often in a row the link did not last. */
  #flaps = 0;
  #retry: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;
  #refresh: NodeJS.Timeout | undefined;
  #attempting: AbortController | undefined;

  constructor(url: TransportUrl, settings: RabbitSettings, context: DriverContext, name: string) {
    this.#url = url;
    this.#hosts = settings.hosts === 'random' ? shuffled(url.hosts) : url.hosts;
    this.#settings = settings;
    this.#context = context;
    this.#name = name;
  }

  get link(): Link | undefined {
    return this.#link;
  }

  get blocked(): boolean {
    return this.#blocked;
  }

  listen(listener: ConnectionListener): void {
    this.#listeners.push(listener);
  }

  /** The first connection: each host once, or for `connectWithinMs`. What can never work fails at once. */
  async connect(): Promise<void> {
    const { connectWithinMs = 0 } = this.#settings;
    const deadline = performance.now() + connectWithinMs;
    for (let attempt = 0; ; attempt++) {
      const failures: MessagingError[] = [];
      for (const _ of this.#hosts) {
        try {
          return this.#up(await this.#attempt());
        } catch (error) {
          const failure =
            error instanceof MessagingError ? error : new ConnectionError(messageOf(error), { cause: error });
          if (failure.code !== 'CONNECTION') throw failure;
          failures.push(failure);
          this.#host++;
        }
      }
      const pauseMs = backOffMs(attempt, this.#settings);
      if (performance.now() + pauseMs >= deadline) {
        throw new ConnectionError(`cannot connect to ${this.#url}: ${failures.map(messageOf).join('; ')}`, {
          cause: failures[0],
        });
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  /** The link, as soon as there is one. */
  ready(signal?: AbortSignal): Promise<Link> {
    if (this.#closed) return Promise.reject(new ClosedError('the transport'));
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#link !== undefined) return Promise.resolve(this.#link);
    return new Promise((resolve, reject) => {
      const waiter = {
        resolve: (link: Link): void => {
          unlisten();
          resolve(link);
        },
        reject,
      };
      const unlisten = onAbort(signal, () => {
        this.#waiting.delete(waiter);
        reject(signal?.reason);
      });
      this.#waiting.add(waiter);
    });
  }

  async close(signal?: AbortSignal): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#attempting?.abort(new ClosedError('the transport'));
    const link = this.#link;
    for (const { reject } of this.#waiting) reject(new ClosedError('the transport'));
    this.#waiting.clear();
    if (link === undefined) {
      this.#tell({ state: 'closed' });
    } else {
      const cut = (): void => link.destroy();
      if (signal?.aborted) cut();
      signal?.addEventListener('abort', cut, { once: true });
      await link.close(CLOSE_MS);
      signal?.removeEventListener('abort', cut);
      this.#lost(link, new ClosedError('the transport'));
    }
  }

  async #attempt(): Promise<Link> {
    const host = this.#hosts[this.#host % this.#hosts.length];
    if (host === undefined) throw new ConfigError('url', 'no host to connect to');
    const attempt = new AbortController();
    const late = new ConnectionError(`${hostText(host)}: no answer in time: is this an AMQP 0-9-1 broker?`);
    const timer = setTimeout(() => attempt.abort(late), this.#settings.connectTimeoutMs);
    this.#attempting = attempt;
    try {
      return await this.#open(host, attempt.signal);
    } catch (error) {
      throw attempt.signal.aborted ? attempt.signal.reason : error;
    } finally {
      clearTimeout(timer);
      this.#attempting = undefined;
    }
  }

  async #open(host: Host, signal: AbortSignal): Promise<Link> {
    const { vhost = '/' } = this.#url;
    const name = hostText(host);
    const user = await this.#credentials(host, name, signal);
    let model: Model;
    try {
      model = await open({
        host: host.host,
        port: host.port ?? (this.#secure ? 5_671 : 5_672),
        vhost,
        heartbeatSeconds: Math.ceil(this.#settings.heartbeatMs / 1_000),
        frameMax: this.#settings.frameMax,
        signal,
        credentials: saslOf(this.#settings.mechanism, user),
        connectionName: this.#name,
        tls: this.#secure ? await tlsOptions(host, this.#settings, this.#context.logger) : undefined,
      });
    } catch (error) {
      throw connectError(error, name, vhost, user.username);
    }
    const link = new Link(model, ++this.#generation, name);
    this.#wire(link);
    this.#scheduleRefresh(link, host, user);
    return link;
  }

  get #secure(): boolean {
    return this.#url.scheme.endsWith('s');
  }

  async #credentials(host: Host, name: string, signal: AbortSignal): Promise<UserCredentials> {
    const { credentials: ask } = this.#settings;
    if (ask === undefined) return { username: host.username ?? 'guest', password: host.password ?? 'guest' };
    try {
      return await orAborted(Promise.resolve(ask(name)), signal);
    } catch (error) {
      throw new ConnectionError(`${name}: the credentials callback failed: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Listens before anything else happens: an `error` event that nobody hears would end the process. */
  #wire(link: Link): void {
    let reason: Error | undefined;
    link.model.on('error', (error) => {
      reason ??= error;
    });
    link.model.connection.on('handler-error', (error) => {
      this.#context.logger.error({ err: error }, 'a connection listener threw');
    });
    link.model.on('close', (error) => {
      const cause = reason ?? error;
      const text = cause === undefined ? 'closed by the broker' : messageOf(cause);
      this.#lost(link, new ConnectionError(`${link.host}: connection lost: ${text}`, { cause }));
    });
    link.model.on('blocked', (blockedBecause) => this.#setBlocked(blockedBecause));
    link.model.on('unblocked', () => this.#setBlocked(undefined));
  }

  #up(link: Link): void {
    if (link.down !== undefined) throw link.down;
    if (link.model.connection.stream?.destroyed) throw new ConnectionError(`${link.host}: closed at once`);
    this.#link = link;
    this.#since = performance.now();
    this.#watchSilence(link);
    this.#tell({ state: 'connected', host: link.host, generation: link.generation });
    for (const listener of this.#listeners) listener.up(link);
    for (const { resolve } of this.#waiting) resolve(link);
    this.#waiting.clear();
  }

  #lost(link: Link, error: Error): void {
    if (link.down !== undefined) return;
    link.fail(error);
    clearTimeout(this.#refresh);
    if (this.#link !== link) return;
    this.#link = undefined;
    this.#blocked = false;
    clearInterval(this.#watch);
    for (const listener of this.#listeners) listener.down(link, error);
    if (this.#closed) return this.#tell({ state: 'closed' });
    this.#context.logger.warn({ err: error, host: link.host }, 'connection lost, reconnecting');
    const stable = performance.now() - this.#since >= STABLE_MS;
    this.#flaps = stable ? 0 : Math.min(this.#flaps + 1, MOST_FLAPS);
    this.#scheduleRetry(error, this.#flaps);
  }

  #scheduleRetry(error: Error, attempt: number): void {
    const retryInMs = backOffMs(attempt, this.#settings);
    this.#tell({ state: 'disconnected', error, attempt, retryInMs });
    this.#retry = setTimeout(() => void this.#reconnect(attempt), retryInMs);
  }

  async #reconnect(attempt: number): Promise<void> {
    this.#host++;
    try {
      const link = await this.#attempt();
      if (this.#closed) return await link.close(CLOSE_MS);
      this.#up(link);
      this.#context.logger.info({ host: link.host, generation: link.generation }, 'connected again');
    } catch (error) {
      if (this.#closed) return;
      if (attempt === 0) this.#context.logger.warn({ err: error }, 'cannot reconnect yet');
      this.#scheduleRetry(asError(error), attempt + 1);
    }
  }

  /**
   * amqplib takes two to three heartbeats to give up on a silent peer; the broker sends every half one. Judges by bytes
   * read, and only after it has itself run in time: a stalled event loop has not heard anything either.
   */
  #watchSilence(link: Link): void {
    const { stream } = link.model.connection;
    if (stream === undefined) return;
    const stepMs = this.#settings.heartbeatMs / 4;
    let bytes = stream.bytesRead;
    let heard = performance.now();
    let looked = heard;
    this.#watch = setInterval(() => {
      const now = performance.now();
      const lateMs = now - looked - stepMs;
      const stalled = lateMs > stepMs;
      if (stalled) {
        const fields = { blockedMs: Math.round(lateMs), heartbeatMs: this.#settings.heartbeatMs };
        this.#context.logger.warn(fields, 'the event loop was blocked: the broker hears no heartbeats meanwhile');
      }
      looked = now;
      if (stream.bytesRead !== bytes || stalled) {
        bytes = stream.bytesRead;
        heard = now;
      } else if (now - heard >= 1.5 * this.#settings.heartbeatMs) {
        const silent = new ConnectionError(`${link.host}: silent for ${Math.round(now - heard)} ms`);
        link.destroy();
        this.#lost(link, silent);
      }
    }, stepMs);
  }

  #setBlocked(reason: string | undefined): void {
    this.#blocked = reason !== undefined;
    if (reason !== undefined) {
      this.#context.logger.warn({ reason }, 'the broker is blocked');
      this.#tell({ state: 'blocked', reason });
    } else if (this.#link !== undefined) {
      this.#tell({ state: 'connected', host: this.#link.host, generation: this.#link.generation });
    }
    for (const listener of this.#listeners) listener.blocked(reason);
  }

  #scheduleRefresh(link: Link, host: Host, { expiresInMs }: UserCredentials): void {
    if (expiresInMs === undefined || link.down !== undefined) return;
    clearTimeout(this.#refresh);
    const inMs = Math.min(expiresInMs * REFRESH_AT, LONGEST_TIMER_MS);
    this.#refresh = setTimeout(() => void this.#refreshSecret(link, host), inMs);
  }

  async #refreshSecret(link: Link, host: Host): Promise<void> {
    try {
      const user = await this.#credentials(host, link.host, AbortSignal.timeout(this.#settings.connectTimeoutMs));
      await link.guard(link.model.updateSecret(Buffer.from(user.password), 'token refreshed'), 'refreshing the token');
      this.#scheduleRefresh(link, host, user);
    } catch (error) {
      // The broker will close the connection when the old token ends, and the next attempt asks again.
      this.#context.logger.warn({ err: error }, 'could not refresh the token');
    }
  }

  #tell(status: Status): void {
    this.#context.onStatus(status);
  }
}

function saslOf(mechanism: RabbitSettings['mechanism'], { username, password }: UserCredentials): Credentials {
  switch (mechanism) {
    case 'PLAIN':
      return credentials.plain(username, password);
    case 'AMQPLAIN':
      return credentials.amqplain(username, password);
    case 'EXTERNAL':
      return credentials.external();
  }
}
