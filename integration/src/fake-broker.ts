import type { Socket } from 'node:net';
import { type AmqpFrame, AmqpFrameReader } from './amqp-frames.ts';
import { type FakePeer, openPeer } from './fake-peer.ts';

/** A frame to send, or the end of the connection. */
export type Answer = Uint8Array | 'hang up';

/** What to answer to each frame of the client, by its name: `connection.open`, `basic.publish`, … */
export type Script = Readonly<Record<string, readonly Answer[] | ((frame: AmqpFrame) => readonly Answer[])>>;

/**
 * A peer that speaks AMQP 0-9-1 as far as its script goes. What the script does not name is answered as a broker would
 * until the connection is open, and not at all from then on.
 */
export function fakeBroker(script: Script = {}): Promise<FakePeer> {
  return openPeer((socket) => {
    const reader = new AmqpFrameReader();
    socket.on('data', (chunk) => {
      for (const frame of reader.read(chunk)) play(socket, frame, script[frame.name] ?? HANDSHAKE[frame.name] ?? []);
    });
  });
}

function play(socket: Socket, frame: AmqpFrame, part: Script[string]): void {
  const answers = typeof part === 'function' ? part(frame) : (part ?? []);
  for (const answer of answers) {
    if (answer === 'hang up') socket.end();
    else socket.write(answer);
  }
}

export function start(mechanisms = 'PLAIN AMQPLAIN'): Uint8Array {
  const noProperties = u32(0);
  return method(0, 10, 10, Buffer.from([0, 9]), noProperties, longString(mechanisms), longString('en_US'));
}

export function secure(challenge: string): Uint8Array {
  return method(0, 10, 20, longString(challenge));
}

export function tune({ channelMax = 2_047, frameMax = 131_072, heartbeat = 60 } = {}): Uint8Array {
  return method(0, 10, 30, u16(channelMax), u32(frameMax), u16(heartbeat));
}

export function close(code: number, text: string): Uint8Array {
  return method(0, 10, 50, u16(code), shortString(text), u16(0), u16(0));
}

/** `basic.ack` or `basic.nack` of what was published: of this tag, or of all up to it. */
export function confirm(kind: 'ack' | 'nack', channel: number, tag: number, allUpTo = false): Uint8Array {
  return method(channel, 60, kind === 'ack' ? 80 : 120, u32(0), u32(tag), Buffer.from([allUpTo ? 1 : 0]));
}

/** The connection opens, and channels, confirmations and exchanges are had for the asking. */
export const WILLING: Script = {
  'channel.open': ({ channel }) => [method(channel, 20, 11, u32(0))],
  'confirm.select': ({ channel }) => [method(channel, 85, 11)],
  'exchange.declare': ({ channel }) => [method(channel, 40, 11)],
  'channel.close': ({ channel }) => [method(channel, 20, 41)],
  'connection.close': [method(0, 10, 51), 'hang up'],
};

const HANDSHAKE: Script = {
  'protocol-header': [start()],
  'connection.start-ok': [tune()],
  'connection.open': [method(0, 10, 41, shortString(''))],
};

function method(channel: number, classId: number, methodId: number, ...args: readonly Uint8Array[]): Uint8Array {
  const payload = Buffer.concat([u16(classId), u16(methodId), ...args]);
  return Buffer.concat([Buffer.from([1]), u16(channel), u32(payload.length), payload, Buffer.from([0xce])]);
}

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
