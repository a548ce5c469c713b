import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { createServer } from 'node:tls';
import type { KeyPair } from './certificates.ts';
import { listenOnFreePort } from './free-port.ts';

/** A TLS server in front of a plain port. */
export interface TlsFront extends AsyncDisposable {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Puts TLS with a certificate of our choice (one for a wrong host, say) in front of a broker's plain port.
 * Asks for no client certificate.
 */
export async function openTlsFront(target: { host: string; port: number }, { cert, key }: KeyPair): Promise<TlsFront> {
  const sockets = new Set<{ destroy(): unknown }>();
  const server = createServer({ cert: await readFile(cert), key: await readFile(key) }, (client) => {
    const broker = connect({ host: target.host, port: target.port, noDelay: true });
    for (const [socket, other] of [[client, broker] as const, [broker, client] as const]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    client.pipe(broker).pipe(client);
  });
  server.on('tlsClientError', () => {}); // a refused certificate is what the test is about
  const port = await listenOnFreePort(server);
  const close = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return { port, close, [Symbol.asyncDispose]: close };
}
