import type { Socket } from 'node:net';
import type { ChannelModel } from 'amqplib';

/**
 * One system call for all that one turn writes: the returned function corks the socket, and `whenWritten` says when the
 * library has handed it everything.
 */
export function corked(socket: Socket, whenWritten: (uncork: () => void) => unknown): () => void {
  let isCorked = false;
  const uncork = (): void => {
    isCorked = false;
    socket.uncork();
  };
  return () => {
    if (isCorked) return;
    isCorked = true;
    socket.cork();
    whenWritten(uncork);
  };
}

/** amqplib writes in an immediate, so the cork is out after that one. */
export function corker(model: ChannelModel): () => void {
  const { stream } = model.connection as unknown as { readonly stream: Socket };
  return corked(stream, (uncork) => setImmediate(() => setImmediate(uncork)));
}
