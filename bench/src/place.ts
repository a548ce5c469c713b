import { parseTransportUrl } from '@posthorn/core';

/** Where a broker listens, and how to log in. */
export interface Place {
  readonly scheme: string;
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
  readonly vhost: string;
}

const PORT = 5_672;

export function placeOf(url: string): Place {
  const { scheme, hosts, vhost = '/' } = parseTransportUrl(url);
  const { host = 'localhost', port = PORT, username = 'guest', password = 'guest' } = hosts[0] ?? {};
  return { scheme, host, port, username, password, vhost };
}

/** The same URL, but through a port of this machine. */
export function through(url: string, port: number): string {
  const { scheme, username, password } = placeOf(url);
  const { query, vhost } = parseTransportUrl(url);
  const user = [username, password].map(encodeURIComponent).join(':');
  const path = vhost === undefined ? '/' : `/${encodeURIComponent(vhost)}`;
  const search = new URLSearchParams(query).toString();
  return `${scheme}://${user}@127.0.0.1:${port}${path}${search === '' ? '' : `?${search}`}`;
}

export function isMemory(url: string): boolean {
  return /^memory:/i.test(url);
}
