import { createServer, type Socket } from 'node:net';
import { listenOnFreePort } from './free-port.ts';

/** A server on 127.0.0.1 that is no broker. */
export interface FakePeer extends AsyncDisposable {
  readonly port: number;
  /** How many connections it has accepted. */
  readonly accepted: number;
  close(): Promise<void>;
}

/** Accepts, reads, and never says a word. */
export function silentPeer(): Promise<FakePeer> {
  return openPeer((socket) => socket.resume());
}

/** Closes each connection as soon as it is accepted. */
export function closingPeer(): Promise<FakePeer> {
  return openPeer((socket) => socket.end().resume());
}

/** Answers the first bytes with something that is no AMQP, and stays. */
export function garbagePeer(): Promise<FakePeer> {
  return openPeer((socket) =>
    socket.once('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\nno AMQP here')).resume(),
  );
}

/** Speaks another version of AMQP: answers with its protocol header and closes, as the specification has it. */
export function otherVersionPeer(
  header: Uint8Array = Buffer.from('AMQP\x00\x00\x09\x02', 'latin1'),
): Promise<FakePeer> {
  return openPeer((socket) => socket.once('data', () => socket.end(header)).resume());
}

/** A peer that does with each connection what `greet` says. */
export async function openPeer(greet: (socket: Socket) => void): Promise<FakePeer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer((socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {}); // the client under test may well reset
    greet(socket);
  });
  const port = await listenOnFreePort(server);
  const close = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return {
    port,
    get accepted() {
      return accepted;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
