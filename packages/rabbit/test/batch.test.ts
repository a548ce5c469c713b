import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, Socket } from 'node:net';
import { expect } from 'chai';
import sinon from 'sinon';
import { Batch } from '../src/batch.ts';

const PLAIN = { mandatory: false };

describe('a batch', () => {
  let server: Server;
  let socket: Socket;
  let peer: Socket;
  let batch: Batch;
  let connection: ConstructorParameters<typeof Batch>[0]['connection'];

  beforeEach(async () => {
    server = createServer({ pauseOnConnect: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const accepted = once(server, 'connection');
    socket = new Socket();
    socket.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    [peer] = await accepted;
    connection = {
      on: () => undefined,
      serverProperties: {},
      stream: socket,
      frameMax: 4_096,
      channelMax: 0,
      heartbeat: 0,
      sentSinceLastCheck: false,
      rest: Buffer.alloc(0),
      accept: undefined,
      recvFrame: () => false,
    };
    batch = new Batch({ connection });
  });

  afterEach(async () => {
    socket.destroy();
    peer.destroy();
    server.close();
    await once(server, 'close');
  });

  const written = (): Promise<boolean> => new Promise((resolve) => batch.onWritten(resolve));

  const received = async (): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    peer.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.end();
    peer.resume();
    await once(peer, 'end');
    return Buffer.concat(chunks);
  };

  it('hands what one turn writes to the socket in one piece', async () => {
    const write = sinon.spy(socket, 'write');
    for (const body of ['a', 'b', 'c']) batch.publish(1, 'e', 'k', PLAIN, Buffer.from(body));
    batch.ack(2, 1, false);
    expect(await written()).to.equal(true);
    expect(write.callCount).to.equal(1);
    expect(connection.sentSinceLastCheck).to.equal(true);
    expect((await received()).length).to.equal(batchBytes(write.args));
  });

  it('splits a body into frames, and keeps them together', async () => {
    const body = Buffer.from(Array.from({ length: 10_000 }, (_, index) => index % 251));
    batch.publish(1, 'e', 'k', PLAIN, body);
    batch.publish(1, 'e', 'k', PLAIN, Buffer.from('next'));
    await written();
    const frames = framesOf(await received());
    expect(frames.map(({ type }) => type)).to.deep.equal([1, 2, 3, 3, 3, 1, 2, 3]);
    expect(frames.every(({ payload }) => payload.length <= 4_088)).to.equal(true);
    expect(Buffer.concat(frames.slice(2, 5).map(({ payload }) => payload)).equals(body)).to.equal(true);
  });

  it('does not copy a long body', async () => {
    const large = new Batch({ connection: { ...connection, frameMax: 1_000_000 } });
    const write = sinon.spy(socket, 'write');
    const body = Buffer.alloc(100_000);
    large.publish(1, 'e', 'k', PLAIN, body);
    large.flush();
    expect(write.args.some(([piece]) => piece instanceof Buffer && piece.buffer === body.buffer)).to.equal(true);
  });

  it('refuses headers that do not fit into a frame, and writes nothing of that message', async () => {
    const write = sinon.spy(socket, 'write');
    const headers = { long: 'x'.repeat(5_000) };
    expect(() => batch.publish(1, 'e', 'k', { headers, mandatory: false }, Buffer.from('a')))
      .to.throw('headers of')
      .with.property('code', 'MALFORMED');
    batch.ack(2, 1, false);
    await written();
    expect(batchBytes(write.args)).to.equal(21);
  });

  it('counts the bytes that the socket did not take yet', async () => {
    batch.publish(1, 'e', 'k', PLAIN, Buffer.alloc(1_000));
    expect(batch.backlogBytes).to.be.above(1_000);
    await written();
    expect(batch.backlogBytes).to.equal(0);
  });

  it('waits with its answer until a slow socket has taken everything', async () => {
    batch.publish(1, 'e', 'k', PLAIN, Buffer.alloc(16 * 1_024 * 1_024)); // the peer reads nothing
    let answer: boolean | undefined;
    const answered = written().then((value) => {
      answer = value;
    });
    batch.flush();
    expect(batch.backlogBytes).to.be.above(0);
    expect(answer).to.equal(undefined);
    peer.resume();
    await answered;
    expect([answer, batch.backlogBytes]).to.deep.equal([true, 0]);
  });

  it('says false for what was not written when the link ends', async () => {
    batch.publish(1, 'e', 'k', PLAIN, Buffer.from('a'));
    const pending = written();
    batch.close();
    expect(await pending).to.equal(false);
    expect(await written()).to.equal(false);
  });

  it('says false where the socket is gone', async () => {
    socket.destroy();
    batch.publish(1, 'e', 'k', PLAIN, Buffer.from('a'));
    expect(await written()).to.equal(false);
  });

  it('asks for settlements when it leaves', async () => {
    let asked = 0;
    batch.enlist({
      writeSettlements: () => {
        asked++;
        batch.ack(1, 5, true);
      },
    });
    expect(asked).to.equal(0);
    expect(await written()).to.equal(true);
    expect(asked).to.equal(1);
    expect((await received()).length).to.equal(21);
  });
});

function batchBytes(args: readonly (readonly unknown[])[]): number {
  return args.reduce((sum, [piece]) => sum + (piece instanceof Buffer ? piece.length : 0), 0);
}

function framesOf(bytes: Buffer): { readonly type: number; readonly payload: Buffer }[] {
  const frames = [];
  for (let at = 0; at < bytes.length; ) {
    const size = bytes.readUInt32BE(at + 3);
    expect(bytes[at + 7 + size]).to.equal(0xce);
    frames.push({ type: bytes.readUInt8(at), payload: bytes.subarray(at + 7, at + 7 + size) });
    at += size + 8;
  }
  return frames;
}
