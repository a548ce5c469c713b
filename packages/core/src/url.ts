import { ConfigError } from './errors.ts';

/** One broker node of a transport URL. */
export interface Host {
  readonly host: string;
  readonly port: number | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/**
 * `scheme://[user:password@]host[:port][,[user:password@]host[:port]…][/vhost][?option=value&…]`
 *
 * The form of oslo.messaging's `transport_url`, with two differences: a host without credentials takes those of the
 * first host that has any, and the text form masks passwords. User names, passwords and the vhost are percent-encoded.
 */
export interface TransportUrl {
  readonly scheme: string;
  readonly hosts: readonly Host[];
  /** Undefined when absent or empty. `//` and `/%2F` both mean the vhost `/`. */
  readonly vhost: string | undefined;
  readonly query: Readonly<Record<string, string>>;
  /** The URL with every password and secret as `***`: safe to print. */
  toString(): string;
}

/** The address of one node, IPv6 in brackets: safe to print. */
export function hostText(host: Host): string {
  const name = host.host.includes(':') ? `[${host.host}]` : host.host;
  return host.port === undefined ? name : `${name}:${host.port}`;
}

const SHAPE = /^([a-z][a-z0-9+.-]*):\/\/([^/?]*)(\/[^?]*)?(?:\?(.*))?$/i;

/** @throws {ConfigError} which names the part that is wrong, and never shows a password */
export function parseTransportUrl(text: string): TransportUrl {
  const match = SHAPE.exec(text);
  if (match === null) {
    throw new ConfigError('url', 'expected scheme://[user:password@]host[:port][,…][/vhost][?option=value]');
  }
  const [, scheme = '', authority = '', path, search = ''] = match;
  const hosts = authority === '' ? [] : authority.split(',').map((part, index) => parseHost(part, index));
  const known = hosts.find((host) => host.username !== undefined);
  const filled = hosts.map((host) =>
    host.username === undefined && known !== undefined
      ? { ...host, username: known.username, password: known.password }
      : host,
  );
  const vhost = path === undefined || path === '/' ? undefined : decode('url.vhost', path.slice(1));
  return describeUrl(scheme.toLowerCase(), filled, vhost, parseQuery(search));
}

function parseHost(part: string, index: number): Host {
  const path = `url.hosts.${index}`;
  const at = part.lastIndexOf('@');
  const [user, ...rest] = at < 0 ? [] : part.slice(0, at).split(':');
  const username = user === undefined ? undefined : decode(`${path}.username`, user);
  const password = user === undefined ? undefined : decode(`${path}.password`, rest.join(':'));
  const address = part.slice(at + 1);
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*))(?::(.*))?$/.exec(address);
  if (match === null)
    throw new ConfigError(path, 'expected host, host:port or [IPv6]:port (is the password percent-encoded?)');
  const host = match[1] ?? match[2] ?? '';
  if (host === '') throw new ConfigError(path, 'the host is missing');
  if (match[3] === undefined) return { host, port: undefined, username, password };
  const port = Number(match[3]);
  if (!/^\d+$/.test(match[3]) || port < 1 || port > 65_535) {
    throw new ConfigError(`${path}.port`, 'expected a number from 1 to 65535 (is the password percent-encoded?)');
  }
  return { host, port, username, password };
}

function parseQuery(search: string): Record<string, string> {
  const query: Record<string, string> = Object.create(null);
  for (const pair of search.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const key = decode('url.query', equals < 0 ? pair : pair.slice(0, equals));
    if (key in query) throw new ConfigError(`url.${key}`, 'given twice');
    query[key] = equals < 0 ? '' : decode(`url.${key}`, pair.slice(equals + 1));
  }
  return query;
}

function decode(path: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ConfigError(path, 'malformed percent-encoding');
  }
}

function describeUrl(
  scheme: string,
  hosts: readonly Host[],
  vhost: string | undefined,
  query: Readonly<Record<string, string>>,
): TransportUrl {
  return {
    scheme,
    hosts,
    vhost,
    query,
    toString() {
      const authority = hosts.map((host) => {
        if (host.username === undefined) return hostText(host);
        return `${encodeURIComponent(host.username)}:***@${hostText(host)}`;
      });
      const path = vhost === undefined ? '' : `/${encodeURIComponent(vhost)}`;
      const pairs = Object.entries(query).map(([key, value]) => `${encodeURIComponent(key)}=${masked(key, value)}`);
      return `${scheme}://${authority.join(',')}${path}${pairs.length === 0 ? '' : `?${pairs.join('&')}`}`;
    },
  };
}

function masked(key: string, value: string): string {
  return /pass|secret|token|key/i.test(key) ? '***' : encodeURIComponent(value);
}

/** The same hosts in an order of this process's own. */
export function shuffled(hosts: readonly Host[]): readonly Host[] {
  const drawn = hosts.map((host) => ({ host, lot: Math.random() }));
  return drawn.sort((one, other) => one.lot - other.lot).map(({ host }) => host);
}
