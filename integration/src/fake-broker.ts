import type { Socket } from 'node:net';
import { AmqpFrameReader } from './amqp-frames.ts';
import { type FakePeer, openPeer } from './fake-peer.ts';

/** Replies to a method of the client, by its name, with methods; undefined says nothing, `'hang up'` closes the socket. */
export type Script = Readonly<Record<string, readonly (Uint8Array | 'hang up')[]>>;

/**
 * A peer that speaks AMQP 0-9-1 as far as its script goes. What the script does not name is answered as a broker would
 * up to the open connection, and not at all from then on.
 */
export function fakeBroker(script: Script = {}): Promise<FakePeer> {
  return openPeer((socket) => {
    const reader = new AmqpFrameReader();
    socket.on('data', (chunk) => {
      for (const { name } of reader.read(chunk)) play(socket, script[name] ?? HANDSHAKE[name] ?? []);
    });
  });
}

function play(socket: Socket, answers: Script[string]): void {
  for (const answer of answers) {
    if (answer === 'hang up') socket.end();
    else socket.write(answer);
  }
}

/** A method frame on channel 0. */
function method(classId: number, methodId: number, ...args: readonly Uint8Array[]): Uint8Array {
  const payload = Buffer.concat([u16(classId), u16(methodId), ...args]);
  return Buffer.concat([Buffer.from([1]), u16(0), u32(payload.length), payload, Buffer.from([0xce])]);
}

export function start(mechanisms = 'PLAIN AMQPLAIN'): Uint8Array {
  const noProperties = u32(0);
  return method(10, 10, Buffer.from([0, 9]), noProperties, longString(mechanisms), longString('en_US'));
}

export function secure(challenge: string): Uint8Array {
  return method(10, 20, longString(challenge));
}

export function tune({ channelMax = 2_047, frameMax = 131_072, heartbeat = 60 } = {}): Uint8Array {
  return method(10, 30, u16(channelMax), u32(frameMax), u16(heartbeat));
}

export function openOk(): Uint8Array {
  return method(10, 41, shortString(''));
}

export function close(code: number, text: string): Uint8Array {
  return method(10, 50, u16(code), shortString(text), u16(0), u16(0));
}

const HANDSHAKE: Script = {
  'protocol-header': [start()],
  'connection.start-ok': [tune()],
  'connection.open': [openOk()],
};

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function shortString(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

function longString(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([u32(bytes.length), bytes]);
}
