import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { waitFor } from '../../integration/src/wait-for.ts';
import { FrameReader } from '../src/frame-reader.ts';
import { WireTap } from '../src/wire-tap.ts';

const OLD_HEADER = Buffer.from('AMQP\x00\x00\x09\x01', 'latin1');
const NEW_HEADER = Buffer.from('AMQP\x00\x01\x00\x00', 'latin1');

describe('FrameReader', () => {
  const old = Buffer.concat([
    OLD_HEADER,
    oldFrame(1, Buffer.from([0, 60, 0, 40, 1, 2, 3])),
    oldFrame(2, Buffer.from([0, 60])),
    oldFrame(3, Buffer.alloc(300)),
    oldFrame(8, Buffer.alloc(0)),
    oldFrame(1, Buffer.from([0, 50, 0, 10])),
  ]);
  const modern = Buffer.concat([
    Buffer.from('AMQP\x03\x01\x00\x00', 'latin1'),
    newFrame(0x41),
    NEW_HEADER,
    newFrame(0x10),
    newFrame(0x14),
    Buffer.from([0, 0, 0, 8, 2, 0, 0, 0]),
    newFrame(0x15),
  ]);

  for (const [what, bytes, names] of [
    ['0-9-1', old, ['publish', 'header', 'body', '50.10']],
    ['1.0', modern, ['0x41', 'open', 'transfer', 'disposition']],
  ] as const)
    for (const size of [1, 3, 7, 8, 64, 1_000])
      it(`names the frames of AMQP ${what}, but for heartbeats, in chunks of ${size} bytes`, () => {
        const seen: string[] = [];
        const reader = new FrameReader((name) => seen.push(name));
        for (let at = 0; at < bytes.length; at += size) reader.read(bytes.subarray(at, at + size));

        expect(seen).to.deep.equal(names);
      });
});

describe('WireTap', () => {
  let peer: Server;
  let tap: WireTap;
  let client: Socket;
  let heard: Buffer;

  beforeEach(async () => {
    heard = Buffer.alloc(0);
    peer = createServer((socket) => socket.pipe(socket));
    peer.listen(0, '127.0.0.1');
    await once(peer, 'listening');
    tap = await WireTap.open('127.0.0.1', (peer.address() as AddressInfo).port);
    client = connect(tap.port, '127.0.0.1');
    client.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk]);
    });
    await once(client, 'connect');
  });

  afterEach(async () => {
    client.destroy();
    await tap[Symbol.asyncDispose]();
    peer.close();
  });

  const until = async (bytes: number): Promise<void> => {
    while (heard.length < bytes) await once(client, 'data');
  };

  it('counts frames and bytes of both directions, and the connections', async () => {
    const bytes = Buffer.concat([OLD_HEADER, oldFrame(1, Buffer.from([0, 60, 0, 40]))]);
    const passed = tap.passed('to broker', 'publish', 1);
    client.write(bytes);
    await passed;
    await until(bytes.length);

    expect(tap.counts()).to.deep.equal({ 'to broker publish': 1, 'from broker publish': 1 });
    expect(tap).to.include({ frames: 2, bytes: 2 * bytes.length, connections: 1 });
  });

  it('holds everything back for the latency, in each direction', async () => {
    tap.latencyMs = 40;
    const start = performance.now();
    client.write(OLD_HEADER);
    await until(OLD_HEADER.length);

    expect(performance.now() - start).to.be.at.least(79);
  });

  it('keeps the order when the wire gets shorter meanwhile', async () => {
    tap.latencyMs = 200;
    client.write(OLD_HEADER);
    await waitFor('the first bytes to be held', () => tap.bytes > 0);
    tap.latencyMs = 0;
    const frame = oldFrame(1, Buffer.from([0, 60, 0, 40]));
    client.write(frame);
    await until(OLD_HEADER.length + frame.length);

    expect(heard).to.deep.equal(Buffer.concat([OLD_HEADER, frame]));
  });
});

function oldFrame(type: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(7);
  head.writeUInt8(type, 0);
  head.writeUInt32BE(payload.length, 3);
  return Buffer.concat([head, payload, Buffer.from([0xce])]);
}

function newFrame(code: number): Buffer {
  const body = Buffer.from([0x00, 0x53, code, 0x45]);
  const head = Buffer.from([0, 0, 0, 0, 2, 0, 0, 0]);
  head.writeUInt32BE(head.length + body.length, 0);
  return Buffer.concat([head, body]);
}
