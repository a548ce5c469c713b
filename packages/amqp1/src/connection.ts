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
} from '@posthorn/core';
import { connectError, peerText, withoutConnection } from './errors.ts';
import { asError, Link } from './link.ts';
import type { Amqp1Settings, UserCredentials } from './options.ts';
import { type Context, cut, dial, type Connection as RheaConnection, type Sasl } from './rhea.ts';
import { socketTo } from './socket.ts';

export interface ConnectionListener {
  /** A new link is there: attach, restore. Must not throw. */
  up(link: Link): void;
  /** The link died. Must not throw. */
  down(link: Link, error: Error): void;
}

/** A link that lasted this long starts the back-off anew; one that is accepted and killed at once does not. */
const STABLE_MS = 1_000;
const MOST_FLAPS = 4;
const CLOSE_MS = 5_000;

/**
 * Keeps one connection alive: hosts in turn, back-off with jitter, a generation number for each link.
 *
 * connecting → up ⇄ blocked → down → waiting → connecting → up …; any → closed
 */
export class Connection {
  readonly #url: TransportUrl;
  readonly #hosts: readonly Host[];
  readonly #settings: Amqp1Settings;
  readonly #context: DriverContext;
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
  #attempting: AbortController | undefined;

  constructor(url: TransportUrl, settings: Amqp1Settings, context: DriverContext) {
    this.#url = url;
    this.#hosts = settings.hosts === 'random' ? shuffled(url.hosts) : url.hosts;
    this.#settings = settings;
    this.#context = context;
  }

  get link(): Link | undefined {
    return this.#link;
  }

  listen(listener: ConnectionListener): void {
    this.#listeners.push(listener);
  }

  /** The first connection: each host once, or for `connectWithinMs`. What can never work fails at once. */
  async connect(): Promise<Link> {
    const { connectWithinMs = 0 } = this.#settings;
    const deadline = performance.now() + connectWithinMs;
    for (let attempt = 0; ; attempt++) {
      const failures: MessagingError[] = [];
      for (const _ of this.#hosts) {
        try {
          return await this.#attempt();
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

  /** Takes the first link into use. */
  begin(link: Link): void {
    this.#up(link);
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
        reject: (error: unknown): void => {
          unlisten();
          reject(error);
        },
      };
      const unlisten = onAbort(signal, () => {
        this.#waiting.delete(waiter);
        reject(signal?.reason);
      });
      this.#waiting.add(waiter);
    });
  }

  /** The broker stopped reading what is sent on a link, or went on. */
  setBlocked(link: Link, reason: string | undefined): void {
    if (this.#link !== link || this.#blocked === (reason !== undefined)) return;
    this.#blocked = reason !== undefined;
    if (reason === undefined) return this.#tell({ state: 'connected', host: link.host, generation: link.generation });
    this.#context.logger.warn({ reason }, 'the broker is blocked');
    this.#tell({ state: 'blocked', reason });
  }

  async close(signal?: AbortSignal): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#attempting?.abort(new ClosedError('the transport'));
    const link = this.#link;
    for (const { reject } of [...this.#waiting]) reject(new ClosedError('the transport'));
    this.#waiting.clear();
    if (link === undefined) {
      this.#tell({ state: 'closed' });
    } else {
      const end = (): void => this.#lost(link, new ClosedError('the transport'));
      if (signal?.aborted) end();
      const unlisten = onAbort(signal, end);
      await link.close(CLOSE_MS);
      unlisten();
      end();
    }
  }

  async #attempt(): Promise<Link> {
    const host = this.#hosts[this.#host % this.#hosts.length];
    if (host === undefined) throw new ConfigError('url', 'no host to connect to');
    const attempt = new AbortController();
    const late = new ConnectionError(`${hostText(host)}: no answer in time: is this an AMQP 1.0 broker?`);
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
    const { idleTimeoutMs, maxFrameBytes, connectionName, hostname } = this.#settings;
    const { vhost } = this.#url;
    const name = hostText(host);
    const sasl = await this.#sasl(host, name, signal);
    const user = sasl.mechanism === 'PLAIN' ? sasl.username : sasl.mechanism;
    const socket = await socketTo(host, this.#secure, this.#settings, this.#context.logger);
    signal.throwIfAborted();
    // Until the link is there, its end is the failure of this attempt.
    let end: (error: unknown) => void = () => {};
    const connection = dial(
      {
        containerId: connectionName ?? `posthorn:${process.pid}`,
        hostname: hostname ?? (vhost === undefined ? host.host : `vhost:${vhost}`),
        sasl,
        // The peer shall speak often enough for one lost packet not to matter.
        idleTimeoutMs: Math.ceil(idleTimeoutMs / 2),
        maxFrameBytes,
        properties: { product: 'posthorn', connection_name: connectionName ?? `posthorn:${process.pid}` },
        socket,
      },
      (event, context) => this.#context.logger.debug({ event, err: troubleOf(context) }, 'unexpected event of rhea'),
    );
    this.#listenTo(connection, (error) => end(error));
    const unlisten = onAbort(signal, () => {
      end(signal.reason);
      cut(connection);
    });
    try {
      await new Promise<void>((resolve, reject) => {
        end = reject;
        connection.on('connection_open', () => resolve());
      });
    } catch (error) {
      cut(connection);
      throw connectError(error ?? new Error('closed during the handshake'), name, user);
    } finally {
      unlisten();
    }
    const link = new Link(connection, ++this.#generation, name);
    end = (error) => {
      const text = error === undefined ? 'closed by the broker' : peerText(error);
      const loss = new ConnectionError(`${link.host}: connection lost: ${text}`, { cause: error });
      this.#lost(link, this.#closed ? new ClosedError('the transport') : loss);
    };
    return link;
  }

  get #secure(): boolean {
    return this.#url.scheme.endsWith('s');
  }

  async #sasl(host: Host, name: string, signal: AbortSignal): Promise<Sasl> {
    const { credentials, mechanism } = this.#settings;
    if (mechanism === 'EXTERNAL' || mechanism === 'ANONYMOUS' || mechanism === 'none') return { mechanism };
    const user = credentials === undefined ? userOf(host) : await this.#ask(credentials, name, signal);
    if (user !== undefined) return { mechanism: 'PLAIN', ...user };
    if (mechanism === 'PLAIN') throw new ConfigError('mechanism', 'PLAIN needs a user name and a password');
    return { mechanism: 'ANONYMOUS' };
  }

  async #ask(
    credentials: NonNullable<Amqp1Settings['credentials']>,
    name: string,
    signal: AbortSignal,
  ): Promise<UserCredentials> {
    try {
      return await orAborted(Promise.resolve(credentials(name)), signal);
    } catch (error) {
      throw new ConnectionError(`${name}: the credentials callback failed: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Whatever ends the connection. rhea does not hear of a socket that was cut by ourselves. */
  #listenTo(connection: RheaConnection, onEnd: (error: unknown) => void): void {
    for (const event of ['connection_error', 'connection_close', 'disconnected', 'protocol_error', 'error'])
      connection.on(event, (context) => onEnd(troubleOf(context)));
    if (connection.socket.destroy !== undefined) connection.socket.on('close', () => onEnd(undefined));
  }

  #up(link: Link): void {
    if (link.down !== undefined) throw link.down;
    this.#link = link;
    this.#since = performance.now();
    this.#watchSilence(link);
    this.#tell({ state: 'connected', host: link.host, generation: link.generation });
    for (const listener of this.#listeners) listener.up(link);
    for (const { resolve } of [...this.#waiting]) resolve(link);
    this.#waiting.clear();
  }

  #lost(link: Link, error: Error): void {
    if (link.down !== undefined) return;
    link.fail(error);
    link.destroy();
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
   * Judges by bytes read, and only after it has itself run in time: a stalled event loop has not heard anything either.
   */
  #watchSilence(link: Link): void {
    const { socket } = link.connection;
    const { idleTimeoutMs } = this.#settings;
    const stepMs = idleTimeoutMs / 8;
    let bytes = socket.bytesRead;
    // A WebSocket does not count.
    if (bytes === undefined) return;
    let heard = performance.now();
    let looked = heard;
    this.#watch = setInterval(() => {
      const now = performance.now();
      const lateMs = now - looked - stepMs;
      const stalled = lateMs > stepMs;
      if (stalled) {
        const fields = { blockedMs: Math.round(lateMs), idleTimeoutMs };
        this.#context.logger.warn(fields, 'the event loop was blocked: the broker hears nothing meanwhile');
      }
      looked = now;
      if (socket.bytesRead !== bytes || stalled) {
        bytes = socket.bytesRead;
        heard = now;
      } else if (now - heard >= idleTimeoutMs) {
        this.#lost(link, new ConnectionError(`${link.host}: silent for ${Math.round(now - heard)} ms`));
      }
    }, stepMs);
  }

  #tell(status: Status): void {
    this.#context.onStatus(status);
  }
}

function userOf({ username, password }: Host): UserCredentials | undefined {
  return username === undefined ? undefined : { username, password: password ?? '' };
}

/** rhea hands some events a context, and others the error itself. */
function troubleOf(context: Context | Error | undefined): unknown {
  return withoutConnection(context instanceof Error ? context : context?.error);
}
