import { ManagementApi } from './management.ts';
import { type RabbitAddress, type RabbitBroker, rabbitUrl } from './rabbit.ts';
import { probeRabbit } from './rabbit-probe.ts';

/**
 * The broker that `<prefix>_URL` names (`rabbit://user:password@host:port/vhost`), its management API from
 * `<prefix>_API` (`http://host:port`, with the broker's credentials unless it brings its own).
 * Undefined when the variable is not set; rejects when nobody answers there.
 */
export async function rabbitByEnvironment(prefix: string): Promise<RabbitBroker | undefined> {
  const url = process.env[`${prefix}_URL`];
  if (!url) return undefined;
  const address = parse(url);
  const version = await probeRabbit(address.host, address.port).catch((cause: unknown) => {
    throw new Error(`${prefix}_URL is set, but no RabbitMQ answers at ${address.host}:${address.port}`, { cause });
  });
  const api = process.env[`${prefix}_API`];
  return {
    ...address,
    version,
    url: rabbitUrl(address),
    ...(api && { api: new ManagementApi(withCredentials(api, address)) }),
    stop: async () => {},
  };
}

function parse(url: string): RabbitAddress {
  const { hostname, port, username, password, pathname } = new URL(url);
  return {
    host: hostname || '127.0.0.1',
    port: Number(port || 5672),
    user: decodeURIComponent(username || 'guest'),
    password: decodeURIComponent(password || 'guest'),
    vhost: decodeURIComponent(pathname.slice(1)) || '/',
  };
}

function withCredentials(api: string, { user, password }: RabbitAddress): string {
  const url = new URL(api);
  if (url.pathname === '/') url.pathname = '/api';
  if (url.username) return url.href;
  url.username = encodeURIComponent(user);
  url.password = encodeURIComponent(password);
  return url.href;
}
