import {
  ClosedError,
  ConfigError,
  ConnectionError,
  type DriverContext,
  type Host,
  hostText,
  type LinkListener,
  messageOf,
  onAbort,
  orAborted,
  Supervisor,
  type TransportUrl,
} from '@posthorn/core';
import { connectError, peerText, withoutConnection } from './errors.ts';
import { Link } from './link.ts';
import type { Amqp1Settings, UserCredentials } from './options.ts';
import { type Context, cut, dial, type Connection as RheaConnection, type Sasl } from './rhea.ts';
import { socketTo } from './socket.ts';

/** A connection to an AMQP 1.0 broker, kept alive. */
export class Connection {
  readonly #url: TransportUrl;
  readonly #settings: Amqp1Settings;
  readonly #context: DriverContext;
  readonly #supervisor: Supervisor<Link>;

  constructor(url: TransportUrl, settings: Amqp1Settings, context: DriverContext) {
    this.#url = url;
    this.#settings = settings;
    this.#context = context;
    this.#supervisor = new Supervisor(url, settings, context, {
      protocol: 'AMQP 1.0',
      silentAfterMs: settings.idleTimeoutMs,
      open: (host, generation, signal) => this.#open(host, generation, signal),
    });
  }

  get link(): Link | undefined {
    return this.#supervisor.link;
  }

  listen(listener: LinkListener<Link>): void {
    this.#supervisor.listen(listener);
  }

  /** The first link, which `begin` takes into use. */
  connect(): Promise<Link> {
    return this.#supervisor.connect();
  }

  begin(link: Link): void {
    this.#supervisor.begin(link);
  }

  /** The link, as soon as there is one. */
  ready(signal?: AbortSignal): Promise<Link> {
    return this.#supervisor.ready(signal);
  }

  setBlocked(link: Link, reason: string | undefined): void {
    this.#supervisor.setBlocked(link, reason);
  }

  close(signal?: AbortSignal): Promise<void> {
    return this.#supervisor.close(signal);
  }

  async #open(host: Host, generation: number, signal: AbortSignal): Promise<Link> {
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
    const link = new Link(connection, generation, name);
    end = (error) => {
      const text = error === undefined ? 'closed by the broker' : peerText(error);
      const loss = new ConnectionError(`${link.host}: connection lost: ${text}`, { cause: error });
      this.#supervisor.lost(link, this.#supervisor.closed ? new ClosedError('the transport') : loss);
      link.destroy();
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
}

function userOf({ username, password }: Host): UserCredentials | undefined {
  return username === undefined ? undefined : { username, password: password ?? '' };
}

/** rhea hands some events a context, and others the error itself. */
function troubleOf(context: Context | Error | undefined): unknown {
  return withoutConnection(context instanceof Error ? context : context?.error);
}
