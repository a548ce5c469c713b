import {
  ConnectionError,
  type DriverContext,
  type Host,
  hostText,
  type LinkListener,
  messageOf,
  orAborted,
  Supervisor,
  type TransportUrl,
  tlsOptions,
} from '@posthorn/core';
import { type Credentials, credentials, type Model, open } from './amqplib.ts';
import { connectError } from './errors.ts';
import { Link } from './link.ts';
import type { RabbitSettings, UserCredentials } from './options.ts';

/** RabbitMQ sends a heartbeat twice in their time: three that are missing are too many. */
const SILENT_HEARTBEATS = 1.5;
const REFRESH_AT = 0.8;
/** What `setTimeout` can wait for: above it, it fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A connection to RabbitMQ, kept alive. */
export class Connection {
  readonly #url: TransportUrl;
  readonly #settings: RabbitSettings;
  readonly #context: DriverContext;
  readonly #name: string;
  readonly #supervisor: Supervisor<Link>;

  constructor(url: TransportUrl, settings: RabbitSettings, context: DriverContext, name: string) {
    this.#url = url;
    this.#settings = settings;
    this.#context = context;
    this.#name = name;
    this.#supervisor = new Supervisor(url, settings, context, {
      protocol: 'AMQP 0-9-1',
      // amqplib itself takes two to three heartbeats.
      silentAfterMs: SILENT_HEARTBEATS * settings.heartbeatMs,
      open: (host, generation, signal) => this.#open(host, generation, signal),
    });
  }

  get link(): Link | undefined {
    return this.#supervisor.link;
  }

  get blocked(): boolean {
    return this.#supervisor.blocked;
  }

  listen(listener: LinkListener<Link>): void {
    this.#supervisor.listen(listener);
  }

  async connect(): Promise<void> {
    this.#supervisor.begin(await this.#supervisor.connect());
  }

  /** The link, as soon as there is one. */
  ready(signal?: AbortSignal): Promise<Link> {
    return this.#supervisor.ready(signal);
  }

  close(signal?: AbortSignal): Promise<void> {
    return this.#supervisor.close(signal);
  }

  async #open(host: Host, generation: number, signal: AbortSignal): Promise<Link> {
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
    const link = new Link(model, generation, name);
    this.#listenTo(link);
    if (model.connection.stream?.destroyed) throw new ConnectionError(`${name}: closed at once`);
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
  #listenTo(link: Link): void {
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
      this.#supervisor.lost(link, new ConnectionError(`${link.host}: connection lost: ${text}`, { cause }));
    });
    link.model.on('blocked', (because) => this.#supervisor.setBlocked(link, because));
    link.model.on('unblocked', () => this.#supervisor.setBlocked(link, undefined));
  }

  #scheduleRefresh(link: Link, host: Host, { expiresInMs }: UserCredentials): void {
    if (expiresInMs === undefined || link.down !== undefined) return;
    clearTimeout(link.refresh);
    const inMs = Math.min(expiresInMs * REFRESH_AT, LONGEST_TIMER_MS);
    link.refresh = setTimeout(() => void this.#refreshSecret(link, host), inMs);
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
