import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { type Driver, parseTransportUrl, type Subscription, silent } from '@posthorn/core';
import { expect } from 'chai';
import rhea, { type EventContext, type Session } from 'rhea';
import { type Amqp1Options, amqp1 } from '../src/index.ts';
import { outcomeOf, ScriptedPeer, statuses, until } from './scripted-peer.ts';

const nothing = (): void => {};
const context = { logger: silent, onStatus: nothing, onReturned: nothing, onLost: nothing };

function dial(url: string, options: Amqp1Options = {}): Promise<Driver> {
  return amqp1(parseTransportUrl(url), context, options);
}

/** How the attempt to connect ends: the code and the text of its error. */
async function failure(url: string, options?: Amqp1Options): Promise<readonly [unknown, string]> {
  try {
    await (await dial(url, options)).close();
    return ['connected', ''];
  } catch (error) {
    const { code, message } = error as { readonly code: unknown; readonly message: string };
    return [code, message];
  }
}

/** A peer that is no AMQP 1.0 broker. */
async function stranger(
  answer: (socket: Socket) => void,
): Promise<Server & AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', nothing);
    answer(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(server, {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

describe('connecting over AMQP 1.0', () => {
  it('ends by its deadline where the peer says nothing', async () => {
    await using peer = await stranger(nothing);
    const [code, text] = await failure(`amqp1://127.0.0.1:${peer.port}`, { connectTimeoutMs: 300 });
    expect(code).to.equal('CONNECTION');
    expect(text).to.contain('no answer in time: is this an AMQP 1.0 broker?');
  });

  for (const [what, bytes] of [
    ['AMQP 0-9-1', 'AMQP\x00\x00\x09\x01'],
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
  ] as const)
    it(`fails where the peer speaks ${what}`, async () => {
      await using peer = await stranger((socket) => socket.end(Buffer.from(bytes, 'latin1')));
      expect((await failure(`amqp1://127.0.0.1:${peer.port}`))[0]).to.equal('CONNECTION');
    });

  it('fails where the peer hangs up', async () => {
    await using peer = await stranger((socket) => socket.destroy());
    expect((await failure(`amqp1://127.0.0.1:${peer.port}`))[0]).to.equal('CONNECTION');
  });

  it('points to the vhost where the peer hangs up without a word, as RabbitMQ 4 does', async () => {
    await using peer = await stranger((socket) => void socket.once('data', () => socket.resetAndDestroy()));
    const [code, text] = await failure(`amqp1://127.0.0.1:${peer.port}/nowhere`);
    expect(code).to.equal('CONNECTION');
    expect(text).to.contain('/nowhere:').and.to.contain('no such vhost');
  });

  it('goes on to the next host, and names each where none answers', async () => {
    await using bad = await stranger((socket) => socket.destroy());
    await using good = await ScriptedPeer.open();
    await (await dial(`amqp1://127.0.0.1:${bad.port},127.0.0.1:${good.port}?hosts=given`)).close();
    const [code, text] = await failure(`amqp1://127.0.0.1:${bad.port},localhost:${bad.port}`);
    expect(code).to.equal('CONNECTION');
    expect(text).to.contain(`127.0.0.1:${bad.port}:`).and.to.contain(`localhost:${bad.port}:`);
  });

  describe('with SASL', () => {
    const asked: (readonly [string, string])[] = [];
    let server: Server;
    let url: string;

    beforeEach(async () => {
      asked.length = 0;
      const container = rhea.create_container();
      container.sasl_server_mechanisms.enable_plain((user: string, password: string) => {
        asked.push([user, password]);
        return password === 'right';
      });
      container.on('disconnected', nothing).on('connection_error', nothing);
      server = container.listen({ port: 0, host: '127.0.0.1', require_sasl: true } as never) as unknown as Server;
      await once(server, 'listening');
      url = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    });

    afterEach(() => new Promise((resolve) => server.close(resolve)));

    it('says who it is', async () => {
      expect((await failure(`amqp1://us%40er:right@${url}`))[0]).to.equal('connected');
      expect(asked).to.deep.equal([['us@er', 'right']]);
    });

    it('fails with ACCESS, and without the password in it, where it is refused', async () => {
      const error = await dial(`amqp1://user:wrong@${url}`).catch((thrown: Error) => thrown);
      expect(error).to.have.property('code', 'ACCESS');
      expect(error).to.have.property('message').that.contains('user');
      expect(inspect(error, { depth: 10, showHidden: true })).to.not.contain('wrong');
    });

    it('asks for an empty password as for any other, instead of being anonymous', async () => {
      expect((await failure(`amqp1://user:@${url}`))[0]).to.equal('ACCESS');
      expect(asked.map(([user]) => user)).to.deep.equal(['user']);
    });

    it('fails with ACCESS where the peer does not know its mechanism', async () => {
      expect((await failure(`amqp1://${url}`))[0]).to.equal('ACCESS');
    });

    it('asks for credentials before each attempt', async () => {
      const hosts: string[] = [];
      const credentials = (host: string) => {
        hosts.push(host);
        return { username: 'fresh', password: 'right' };
      };
      expect((await failure(`amqp1://${url}`, { credentials }))[0]).to.equal('connected');
      expect([hosts, asked]).to.deep.equal([[url], [['fresh', 'right']]]);
    });
  });

  it('tells the broker who connects, and to which vhost', async () => {
    await using peer = await ScriptedPeer.open();
    const driver = await dial(`amqp1://127.0.0.1:${peer.port}/v%2F1?connectionName=me`);
    const { container_id, hostname } = peer.connections[0] as unknown as EventContext['connection'] & {
      hostname: string;
    };
    expect([container_id, hostname]).to.deep.equal(['me', 'vhost:v/1']);
    await driver.close();
  });

  it('takes a peer that says nothing any more for dead', async () => {
    await using peer = await ScriptedPeer.open();
    const { states, onStatus } = statuses();
    await peer.driver({ idleTimeoutMs: 1_000 }, { onStatus });
    const [connection] = peer.connections;
    // The peer stops to speak: no heartbeats.
    const mute = connection as unknown as { output(): void; _write_frame(): void };
    mute.output = nothing;
    mute._write_frame = nothing;
    await until('the loss', () => states.includes('disconnected'));
    expect(states.slice(0, 2)).to.deep.equal(['connected', 'disconnected']);
  });

  it('speaks often enough for a peer that wants to hear something', async () => {
    await using peer = await ScriptedPeer.open({
      options: { idle_time_out: 1_200, receiver_options: { credit_window: 0 } },
    });
    const { states, onStatus } = statuses();
    await peer.driver({}, { onStatus });
    const heard = (): number => (peer.connections[0] as unknown as { socket: { bytesRead: number } }).socket.bytesRead;
    const from = heard();
    // Empty frames have eight bytes.
    await until('four heartbeats', () => heard() >= from + 32);
    expect(states).to.deep.equal(['connected']);
  });

  it('shares sessions where the peer allows few', async () => {
    await using peer = await ScriptedPeer.open({
      options: { channel_max: 2, receiver_options: { credit_window: 0, autoaccept: false } },
    });
    const driver = await peer.driver();
    const subscriptions = [];
    for (const topic of ['a', 'b', 'c', 'd', 'e'])
      subscriptions.push(await driver.subscribe([{ kind: 'anycast', exchange: 'e', topic }], nothing));
    expect(peer.senders).to.have.lengthOf(5);
    expect(new Set(peer.senders.map(({ session }) => session)).size).to.equal(3);
    expect(
      await outcomeOf(driver.send({ kind: 'mailbox', name: 'm' }, { body: Buffer.from('x') }, { confirm: true })),
    ).to.equal('resolved');
    for (const subscription of subscriptions) await subscription.close();
  });

  it('begins no session above the limit of the peer in place of one that is still to end', async () => {
    const channels: number[] = [];
    await using peer = await frugal(channels);
    const driver = await peer.driver();
    const subscribe = (topic: string): Promise<Subscription> =>
      driver.subscribe([{ kind: 'anycast', exchange: 'e', topic }], nothing);
    const [first] = await Promise.all(['a', 'b', 'c'].map(subscribe));
    // The detach was answered, the end of the session was not.
    await first?.close();
    await subscribe('d');
    expect(channels.filter((channel) => channel > 2)).to.deep.equal([]);
    expect(peer.senders).to.have.lengthOf(4);
  });

  it('begins no session above the limit of the peer in place of one that the peer ended', async () => {
    const channels: number[] = [];
    await using peer = await frugal(channels);
    const driver = await peer.driver();
    for (const topic of ['a', 'b', 'c']) await driver.subscribe([{ kind: 'anycast', exchange: 'e', topic }], nothing);
    peer.senders.at(-1)?.session.close({ condition: 'amqp:internal-error' } as never);
    await until('the link to come back', () => peer.senders.length === 4);
    expect(channels).to.deep.equal([0, 1, 2]);
    expect(peer.connections).to.have.lengthOf(1);
  });

  it('speaks over a WebSocket', async () => {
    await using peer = await ScriptedPeer.open();
    const asked: unknown[] = [];
    const webSocket = tunnelTo(peer.port, asked);
    const driver = await dial('amqp1://broker.test:8080', { webSocketPath: '/amqp', webSocket });
    await driver.send({ kind: 'mailbox', name: 'm' }, { body: Buffer.from('x') }, { confirm: true });
    await driver.close();
    expect(asked).to.deep.equal([['ws://broker.test:8080/amqp', ['amqp']]]);
    expect(peer.texts).to.deep.equal(['x']);
  });

  it('refuses options that it does not know, by their name', async () => {
    expect(await failure('amqp1://localhost?windw=5')).to.deep.equal(['CONFIG', 'url.windw: no such option']);
    expect((await failure('amqp1://localhost?profile=rabbit'))[0]).to.equal('CONFIG');
  });
});

/** A peer that allows three sessions, and the channels on which they are begun. */
function frugal(channels: number[]): Promise<ScriptedPeer> {
  const onSession = (session: Session): void => void channels.push(channelOf(session));
  return ScriptedPeer.open({ options: { channel_max: 2 }, onSession });
}

/** The number under which the driver began it. */
function channelOf(session: Session): number {
  return (session as unknown as { readonly remote: { readonly channel: number } }).remote.channel;
}

/** A stand-in for a WebSocket whose other end is a TCP port. */
function tunnelTo(port: number, asked: unknown[]): new (url: string, protocols: string[]) => object {
  return class {
    binaryType = 'blob';
    onopen: () => void = nothing;
    onmessage: (event: { readonly data: ArrayBuffer }) => void = nothing;
    onclose: (event?: unknown) => void = nothing;
    onerror: (error: unknown) => void = nothing;
    readonly #socket: Socket;

    constructor(url: string, protocols: string[]) {
      asked.push([url, protocols]);
      const socket = connect(port, '127.0.0.1');
      this.#socket = socket;
      socket.on('connect', () => this.onopen());
      socket.on('data', (bytes) => this.onmessage({ data: new Uint8Array(bytes).buffer }));
      socket.on('end', () => this.onclose());
      socket.on('error', nothing);
    }

    send(bytes: Uint8Array): void {
      this.#socket.write(bytes);
    }

    close(): void {
      this.#socket.end();
    }
  };
}
