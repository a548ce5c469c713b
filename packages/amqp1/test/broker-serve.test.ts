import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { ConfigError } from '@posthorn/core';
import { expect } from 'chai';
import { type Broker, type BrokerOptions, serveBroker } from '../src/broker/serve-broker.ts';
import { BrokerPeer, conditionOf } from './broker-peer.ts';

describe('the serving of the broker', () => {
  const opened: Broker[] = [];
  const sockets: Socket[] = [];

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const broker of opened.splice(0)) await broker.close();
  });

  const serve = async (options: BrokerOptions = {}): Promise<Broker> => {
    const broker = await serveBroker({ port: 0, ...options });
    opened.push(broker);
    return broker;
  };
  const failure = (opening: Promise<unknown>): Promise<unknown> =>
    opening.then(
      () => 'let in',
      (reason: unknown) => reason,
    );
  /** A client that writes these bytes, and what it read until the broker hung up. */
  const raw = async (port: number, hex: string): Promise<Buffer> => {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    const read: Buffer[] = [];
    socket.on('data', (chunk) => read.push(chunk));
    // The broker hung up before it had read all.
    socket.on('error', () => {});
    socket.write(Buffer.from(hex, 'hex'));
    await new Promise((resolve) => socket.once('close', resolve));
    return Buffer.concat(read);
  };

  it('is on this machine alone, unless told otherwise', async () => {
    const broker = await serve();
    expect(broker.url).to.equal(`amqp1://127.0.0.1:${broker.port}`);
    const open = await serve({ host: '0.0.0.0' });
    expect(open.url).to.equal(`amqp1://0.0.0.0:${open.port}`);
  });

  it('refuses a port that is in use, and says which', async () => {
    const { port } = await serve();
    const error = await failure(serveBroker({ port }));
    expect(error).to.be.an.instanceOf(ConfigError);
    expect(String(error)).to.match(new RegExp(`port ${port} of 127.0.0.1 is in use`));
  });

  it('refuses a host that is not ours, and options that make no sense', async () => {
    for (const options of [{ host: '192.0.2.1', port: 0 }, { port: -1 }, { maxBytes: 0 }])
      expect(await failure(serveBroker(options))).to.be.an.instanceOf(ConfigError);
  });

  it('ends once, tells its clients, and frees the port', async () => {
    const broker = await serve();
    const peer = await BrokerPeer.open(broker.port);
    const told = once(peer.connection, 'connection_error');
    const closing = broker.close();
    expect(broker.close()).to.equal(closing);
    await closing;
    expect(conditionOf((await told)[0].error)).to.equal('amqp:connection:forced');
    await serve({ port: broker.port });
  });

  it('ends also when a client does not answer', async () => {
    const broker = await serve();
    const peer = await BrokerPeer.open(broker.port);
    const { socket } = peer.connection as unknown as { readonly socket: Socket };
    socket.pause();
    await broker.close();
    peer.kill();
  });

  it('forgets its messages at the end', async () => {
    const broker = await serve();
    const peer = await BrokerPeer.open(broker.port);
    await peer.send('jobs', { body: 'x', message_annotations: { 'x-opt-delivery-delay': 60_000 } });
    await peer.send('jobs', { body: 'x' });
    await broker.close();
    await using again = await BrokerPeer.open((await serve({ port: broker.port })).port);
    const refused = await failure(again.receive('jobs', { properties: { 'x-opt-passive': true } }));
    expect(refused).to.equal('amqp:not-found');
  });

  it('serves 20 clients at once, each its own messages', async () => {
    const broker = await serve();
    const peers = await Promise.all(Array.from({ length: 20 }, () => BrokerPeer.open(broker.port)));
    const bodies = await Promise.all(
      peers.map(async (peer, index) => {
        const inbox = await peer.receive(`jobs-${index}`);
        const sender = await (peers[(index + 1) % 20] ?? peer).sender(`jobs-${index}`);
        for (let nth = 0; nth < 50; nth++) sender.send({ body: `${index}-${nth}` });
        return (await inbox.first(50)).map(({ body }) => body);
      }),
    );
    for (const [index, each] of bodies.entries())
      expect(each).to.deep.equal(Array.from({ length: 50 }, (_, nth) => `${index}-${nth}`));
    await Promise.all(peers.map((peer) => peer[Symbol.asyncDispose]()));
  });

  describe('lets in', () => {
    const ways = [{}, { username: 'anonymous' }, { username: 'anybody', password: 'anything' }];
    for (const options of ways) {
      it(`everybody by default: ${JSON.stringify(options)}`, async () => {
        const broker = await serve();
        await using peer = await BrokerPeer.open(broker.port, options);
        expect(await peer.send('jobs', { body: 'x' })).to.equal('accepted');
      });
    }

    const user = { name: 'ann', password: 'secret:1' };

    it('only the one user, where there is one, by name and password', async () => {
      const broker = await serve({ user });
      expect(broker.url).to.equal(`amqp1://ann@127.0.0.1:${broker.port}`);
      await using peer = await BrokerPeer.open(broker.port, { username: 'ann', password: user.password });
      expect(await peer.send('jobs', { body: 'x' })).to.equal('accepted');
    });

    for (const options of [
      { username: 'ann', password: 'wrong' },
      { username: 'bob', password: 'secret' },
      { username: 'ann' },
    ]) {
      it(`nobody else: ${JSON.stringify(options)}`, async () => {
        const broker = await serve({ user: { name: 'ann', password: 'secret' } });
        expect(await failure(BrokerPeer.open(broker.port, options))).to.equal('amqp:unauthorized-access');
      });
    }

    it('nobody without SASL, where there is a user', async () => {
      const broker = await serve({ user });
      expect(await failure(BrokerPeer.open(broker.port))).to.equal('disconnected');
    });
  });

  describe('hangs up on', () => {
    const HEADER = '414d515000010000';

    it('who speaks another protocol', async () => {
      await raw((await serve()).port, Buffer.from('GET / HTTP/1.1\r\n\r\n').toString('hex'));
    });

    it('who speaks AMQP 0-9-1', async () => {
      await raw((await serve()).port, '414d515000000901');
    });

    it('who claims a frame that is too large', async () => {
      const read = await raw((await serve()).port, `${HEADER}7fffffff020000000053`);
      expect(read.includes('a frame of 2147483647 bytes')).to.equal(true);
    });

    it('who writes what is no frame', async () => {
      await raw((await serve()).port, `${HEADER}0000000c02000000deadbeef`);
    });

    it('who uses a channel that was not begun, and says why', async () => {
      const broker = await serve();
      const peer = await BrokerPeer.open(broker.port);
      const told = once(peer.connection, 'connection_error');
      const session = peer.connection.create_session() as unknown as {
        output(frame: object): void;
        local: { end: object };
      };
      session.output(session.local.end);
      expect(conditionOf((await told)[0].error)).to.equal('amqp:framing-error');
      peer.kill();
    });

    it('who comes when there are too many', async () => {
      const { port } = await serve();
      // Not all at once, which is more than the line of the operating system takes.
      while (sockets.length < 1_000) {
        const some = Array.from({ length: 100 }, () => connect(port, '127.0.0.1'));
        sockets.push(...some);
        await Promise.all(some.map((socket) => once(socket, 'connect')));
      }
      const early = [...sockets];
      await raw(port, HEADER);
      expect(early.some(({ destroyed }) => destroyed)).to.equal(false);
    });

    it('nobody who attaches too many links, but refuses these', async () => {
      const broker = await serve();
      await using peer = await BrokerPeer.open(broker.port);
      const session = peer.connection.create_session();
      session.begin();
      const links = Array.from({ length: 4_096 }, () => session.open_sender({ target: 'jobs' }));
      const last = links.at(-1);
      if (last !== undefined) await once(last, 'sendable');
      const refused = session.open_sender({ target: 'jobs' });
      await once(refused, 'sender_close');
      expect(conditionOf(refused.error)).to.equal('amqp:resource-limit-exceeded');
      expect(links.every((link) => link.is_open())).to.equal(true);
    });

    it('who opens too many sessions', async () => {
      const broker = await serve();
      const peer = await BrokerPeer.open(broker.port);
      const told = once(peer.connection, 'connection_error');
      for (let count = 0; count <= 4_096; count++) peer.connection.create_session().begin();
      expect(conditionOf((await told)[0].error)).to.equal('amqp:resource-limit-exceeded');
      peer.kill();
    });
  });
});
