import { once } from 'node:events';
import { connect } from 'node:net';
import { AmqpFrameReader } from './amqp-frames.ts';

/**
 * The version of the broker that listens there, read from its `connection.start`; needs no credentials.
 * Rejects when nobody answers in AMQP 0-9-1: the proof that a broker is up.
 */
export async function probeRabbit(host: string, port: number, timeoutMs = 5_000): Promise<string> {
  const socket = connect({ host, port, signal: AbortSignal.timeout(timeoutMs) });
  const reader = new AmqpFrameReader();
  try {
    await once(socket, 'connect');
    socket.write('AMQP\x00\x00\x09\x01', 'latin1');
    for await (const chunk of socket) {
      const start = reader.read(chunk as Buffer).find(({ name }) => name === 'connection.start');
      if (start) return serverVersion(start.payload);
    }
    throw new Error(`${host}:${port} closed the connection before its AMQP greeting`);
  } finally {
    socket.destroy();
  }
}

/** The long string behind the key `version` in the table of server properties. */
function serverVersion(payload: Buffer): string {
  const key = '\x07versionS';
  const at = payload.indexOf(key, 0, 'latin1');
  if (at < 0) return 'unknown';
  const value = at + key.length + 4;
  return payload.toString('utf8', value, value + payload.readUInt32BE(value - 4));
}
