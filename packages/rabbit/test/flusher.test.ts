import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import sinon from 'sinon';
import { Flusher } from '../src/flusher.ts';

/** As much of amqplib as the flusher looks at, over a real socket. */
interface Fake {
  readonly flusher: Flusher;
  readonly socket: Socket;
  readonly peer: Socket;
  readonly muxer: { blocked: boolean; newStreams: unknown[]; oldStreams: unknown[] };
}

describe('the flusher', () => {
  let server: Server;
  let fake: Fake;

  beforeEach(async () => {
    server = createServer({ pauseOnConnect: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const accepted = once(server, 'connection');
    const socket = new Socket();
    socket.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const [peer] = await accepted;
    const muxer = { blocked: false, newStreams: [], oldStreams: [] };
    const model = { connection: { on: () => undefined, serverProperties: {}, stream: socket, muxer } };
    fake = { flusher: new Flusher(model), socket, peer, muxer };
  });

  afterEach(async () => {
    fake.socket.destroy();
    fake.peer.destroy();
    server.close();
    await once(server, 'close');
  });

  function written({ flusher }: Fake): Promise<boolean> {
    return new Promise((resolve) => flusher.onWritten(resolve));
  }

  it('hands what one turn writes to the socket in one piece', async () => {
    const { flusher, socket, peer } = fake;
    const chunks: string[] = [];
    peer.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
    const gather = sinon.spy(socket, '_writev');
    flusher.touch();
    socket.write('a');
    flusher.touch();
    setImmediate(() => socket.write('b')); // as amqplib's multiplexer does
    expect(await written(fake)).to.equal(true);
    socket.end();
    peer.resume();
    await once(peer, 'end');
    expect(chunks.join('')).to.equal('ab');
    expect(gather.callCount).to.equal(1);
    expect(socket.writableCorked).to.equal(0);
  });

  it('says false for what was not written when the link ends', async () => {
    fake.muxer.blocked = true;
    const pending = written(fake);
    fake.flusher.close();
    expect(await pending).to.equal(false);
    expect(await written(fake)).to.equal(false);
  });

  it('waits with its answer until the multiplexer is empty', async () => {
    const { muxer } = fake;
    muxer.newStreams.push({});
    let answer: boolean | undefined;
    fake.flusher.onWritten((value) => {
      answer = value;
    });
    for (let i = 0; i < 10; i++) await turn();
    expect(answer).to.equal(undefined);
    muxer.newStreams.length = 0;
    expect(await written(fake)).to.equal(true);
    expect(answer).to.equal(true);
  });

  it('counts the bytes that wait inside of amqplib, until its multiplexer is empty', async () => {
    const { flusher, muxer } = fake;
    muxer.newStreams.push({});
    flusher.touch(600);
    flusher.touch(400);
    for (let i = 0; i < 5; i++) await turn();
    expect(flusher.backlogBytes).to.equal(1_000);
    muxer.newStreams.length = 0;
    await written(fake);
    expect(flusher.backlogBytes).to.equal(0);
  });

  it('waits for a slow socket with one listener, however often something is written', async () => {
    const { flusher, socket, peer, muxer } = fake;
    socket.write(Buffer.alloc(16 * 1024 * 1024)); // the peer reads nothing
    muxer.blocked = true;
    const before = socket.listenerCount('drain');
    for (let i = 0; i < 20; i++) {
      flusher.touch(10);
      await turn();
    }
    expect(socket.listenerCount('drain')).to.equal(before + 1);
    const pending = written(fake);
    muxer.blocked = false;
    peer.resume();
    expect(await pending).to.equal(true);
  });
});
