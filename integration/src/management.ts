import { waitFor } from './wait-for.ts';

/** GET /api/overview. */
export interface Overview {
  readonly rabbitmq_version: string;
  readonly erlang_version: string;
  readonly node: string;
}

/** GET /api/connections. `name` is "127.0.0.1:41234 -> 127.0.0.1:5672", the key to close it by. */
export interface ConnectionInfo {
  readonly name: string;
  readonly user: string;
  readonly vhost: string;
  readonly state?: string;
  readonly channels?: number;
  readonly protocol?: string;
  readonly client_properties?: { readonly connection_name?: string; readonly product?: string };
}

/** GET /api/queues/…; the numbers are missing until the broker collected them once. */
export interface QueueInfo {
  readonly name: string;
  readonly vhost: string;
  readonly type?: string;
  readonly durable: boolean;
  readonly auto_delete: boolean;
  readonly exclusive: boolean;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly messages?: number;
  readonly messages_ready?: number;
  readonly messages_unacknowledged?: number;
  readonly consumers?: number;
}

/** GET /api/exchanges/…; the default exchange has the name ''. */
export interface ExchangeInfo {
  readonly name: string;
  readonly vhost: string;
  readonly type: string;
  readonly durable: boolean;
  readonly auto_delete: boolean;
  readonly internal: boolean;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** GET /api/bindings/…; a `source` of '' is the default exchange, to which every queue is bound. */
export interface BindingInfo {
  readonly source: string;
  readonly destination: string;
  readonly destination_type: 'queue' | 'exchange';
  readonly routing_key: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** GET /api/consumers/…. */
export interface ConsumerInfo {
  readonly consumer_tag: string;
  readonly ack_required: boolean;
  readonly exclusive: boolean;
  readonly prefetch_count: number;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly queue: { readonly name: string; readonly vhost: string };
}

/** Which connections to wait for, and for how long. */
export interface NamedConnections {
  /** How many must be listed before anything happens; 1 by default. */
  readonly atLeast?: number;
  /** 10 s by default. */
  readonly timeoutMs?: number;
}

/** Regular expressions for what a user may configure, write and read in a vhost. */
export interface Permissions {
  readonly configure: string;
  readonly write: string;
  readonly read: string;
}

/**
 * RabbitMQ's HTTP API, as far as tests need it. What it lists is collected at an interval (5 s by default, 1 s on
 * brokers we start), so a fact that just became true may not be listed yet: poll with `waitFor`.
 */
export class ManagementApi {
  /** Base address without credentials: `http://127.0.0.1:15672/api`. */
  readonly url: string;
  readonly #authorization: string;

  /** @param url `http://user:password@host:port/api` */
  constructor(url: string) {
    const parsed = new URL(url);
    const credentials = `${decodeURIComponent(parsed.username)}:${decodeURIComponent(parsed.password)}`;
    this.#authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
    parsed.username = parsed.password = '';
    this.url = parsed.href.replace(/\/$/, '');
  }

  overview(): Promise<Overview> {
    return this.#get('overview');
  }

  connections(): Promise<ConnectionInfo[]> {
    return this.#get('connections');
  }

  queues(vhost = '/'): Promise<QueueInfo[]> {
    return this.#get('queues', vhost);
  }

  exchanges(vhost = '/'): Promise<ExchangeInfo[]> {
    return this.#get('exchanges', vhost);
  }

  bindings(vhost = '/'): Promise<BindingInfo[]> {
    return this.#get('bindings', vhost);
  }

  consumers(vhost = '/'): Promise<ConsumerInfo[]> {
    return this.#get('consumers', vhost);
  }

  /** The queue, or undefined when there is none of that name. */
  async queue(name: string, vhost = '/'): Promise<QueueInfo | undefined> {
    const response = await this.#request('GET', ['queues', vhost, name]);
    return response && ((await response.json()) as QueueInfo);
  }

  /** Deletes the queue with all it holds; also when it is gone already. */
  async deleteQueue(name: string, vhost = '/'): Promise<void> {
    await this.#request('DELETE', ['queues', vhost, name]);
  }

  async deleteExchange(name: string, vhost = '/'): Promise<void> {
    await this.#request('DELETE', ['exchanges', vhost, name]);
  }

  /** Closes one connection by the broker's name for it; its client is told 320 CONNECTION_FORCED with `reason`. */
  async closeConnection(name: string, reason = 'closed by a test'): Promise<void> {
    await this.#request('DELETE', ['connections', name], undefined, { 'X-Reason': reason });
  }

  /**
   * Closes all connections whose client-provided name (`connection_name`) matches, once at least `atLeast` of them are
   * listed; returns how many these were.
   */
  async closeConnectionsNamed(
    match: string | RegExp,
    { reason = 'closed by a test', ...which }: NamedConnections & { readonly reason?: string } = {},
  ): Promise<number> {
    const found = await this.connectionsNamed(match, which);
    await Promise.all(found.map(({ name }) => this.closeConnection(name, reason)));
    return found.length;
  }

  /** The connections whose client-provided name matches, once at least `atLeast` of them are listed. */
  connectionsNamed(
    match: string | RegExp,
    { atLeast = 1, timeoutMs = 10_000 }: NamedConnections = {},
  ): Promise<ConnectionInfo[]> {
    return waitFor(
      `${atLeast} connection(s) named ${match}`,
      async () => {
        const found = (await this.connections()).filter(({ client_properties: properties }) => {
          const name = properties?.connection_name;
          return name !== undefined && (typeof match === 'string' ? name === match : match.test(name));
        });
        return found.length >= atLeast ? found : undefined;
      },
      timeoutMs,
    );
  }

  async putVhost(vhost: string): Promise<void> {
    await this.#request('PUT', ['vhosts', vhost], {});
  }

  /** Deletes the vhost with all its queues and closes its connections; also when it is gone already. */
  async deleteVhost(vhost: string): Promise<void> {
    await this.#request('DELETE', ['vhosts', vhost]);
  }

  /** Makes a user, or changes the password. @param tags e.g. 'administrator'; '' makes an ordinary one */
  async putUser(name: string, password: string, tags = ''): Promise<void> {
    await this.#request('PUT', ['users', name], { password, tags });
  }

  async deleteUser(name: string): Promise<void> {
    await this.#request('DELETE', ['users', name]);
  }

  /** What `user` may do in `vhost`; everything, unless told otherwise. */
  async putPermissions(vhost: string, user: string, permissions: Partial<Permissions> = {}): Promise<void> {
    await this.#request('PUT', ['permissions', vhost, user], {
      configure: '.*',
      write: '.*',
      read: '.*',
      ...permissions,
    });
  }

  async #get<T>(...path: string[]): Promise<T> {
    const response = await this.#request('GET', path);
    if (!response) throw new Error(`GET ${this.url}/${path.join('/')}: not found`);
    return (await response.json()) as T;
  }

  /** Undefined when there is no such thing (404); rejects for every other failure. */
  async #request(
    method: string,
    path: readonly string[],
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Response | undefined> {
    const url = `${this.url}/${path.map(encodeURIComponent).join('/')}`;
    const response = await fetch(url, {
      method,
      headers: { authorization: this.#authorization, 'content-type': 'application/json', ...headers },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    if (response.ok) return response;
    const text = await response.text(); // read to the end, or the connection is not free for the next request
    if (response.status === 404) return undefined;
    throw new Error(`${method} ${url}: ${response.status} ${text}`);
  }
}
