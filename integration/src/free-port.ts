import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

// Below the range the kernel takes local ports from (32768 and up on Linux). In that range a client that keeps
// reconnecting to a port nobody listens on may end up connected to itself, or hold the port its broker wants back.
const FIRST = 20_000;
const LAST = 32_000;
const ATTEMPTS = 50;

/** Makes `server` listen on 127.0.0.1 on a port nobody uses, and tells which. */
export async function listenOnFreePort(server: Server): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    try {
      await listen(server, port);
      return port;
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

/** Makes `server` listen on 127.0.0.1:`port`; rejects when the port is taken. */
export async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening'); // rejects on 'error'
}

/** `count` different ports that nobody listened on a moment ago, for programs that want to be told theirs. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) ports.push(await listenOnFreePort(server));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
