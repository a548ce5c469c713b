import { newId } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { connect as connectAmqp } from 'amqplib';
import { expect } from 'chai';
import { FrameTap } from '../src/frame-counter.ts';
import type { ManagementApi } from '../src/management.ts';
import { rabbitUrl } from '../src/rabbit.ts';
import type { RabbitBroker } from '../src/rabbit-broker.ts';
import { connectQuietly, needRabbit, rejection } from '../src/rabbit-lab.ts';
import { recordingLogger } from '../src/recording-logger.ts';
import { TcpProxy } from '../src/tcp-proxy.ts';
import { openVhost, type Vhost } from '../src/vhost.ts';
import { waitFor } from '../src/wait-for.ts';

const ECHO = { echo: (_: unknown, args: object) => args };

describe('RabbitMQ: topology', () => {
  let broker: RabbitBroker & { readonly api: ManagementApi };
  let vhost: Vhost;

  before(async function () {
    this.timeout(90_000);
    broker = await needRabbit(this);
  });

  beforeEach(async () => {
    vhost = await openVhost(broker);
  });

  afterEach(() => vhost?.[Symbol.asyncDispose]());

  const target = { exchange: 'e', topic: 't', server: 'one' };

  /** Makes what a server and its clients use, as somebody with the permission to do so would beforehand. */
  async function makeAll(queueArguments: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const model = await connectAmqp(vhost.url.replace('rabbit:', 'amqp:'));
    const channel = await model.createChannel();
    await channel.assertExchange('e/rpc', 'direct');
    await channel.assertExchange('e/t/all', 'fanout');
    for (const queue of ['e/t', 'e/t/one']) {
      await channel.assertQueue(queue, { durable: true, arguments: queueArguments });
      await channel.bindQueue(queue, 'e/rpc', queue);
    }
    await model.close();
  }

  it('every queue is durable or exclusive, so that RabbitMQ 4.3 accepts them all', async () => {
    for (const durability of ['durable', 'quorum']) {
      await using transport = await connectQuietly(`${vhost.url}?durability=${durability}`);
      await new RPCServer(transport, { target: { ...target, exchange: durability }, endpoints: [ECHO] }).start();
      const client = new RPCClient(transport, { target: { exchange: durability, topic: 't' } });
      await client.call({}, 'echo', {});
      const queues = await waitFor('the list of queues', async () => {
        const all = await broker.api.queues(vhost.vhost);
        const ours = all.filter(({ name }) => name.startsWith(durability) || name.startsWith('reply/'));
        return ours.length >= 4 ? ours : undefined;
      });
      const kinds = queues.map(({ name, durable, exclusive, type }) => {
        const shortened = name.replace(/[0-9a-f]{32}/, 'ID');
        return `${shortened} ${durable ? 'durable' : 'transient'} ${exclusive ? 'exclusive' : 'shared'} ${type}`;
      });
      const shared = `durable shared ${durability === 'quorum' ? 'quorum' : 'classic'}`;
      expect(kinds.sort()).to.deep.equal([
        `${durability}/t ${shared}`,
        `${durability}/t/all/ID transient exclusive classic`,
        `${durability}/t/one ${shared}`,
        'reply/ID transient exclusive classic',
      ]);
    }
  });

  it('a clean close leaves the queue of the topic behind, and nothing else', async () => {
    const transport = await connectQuietly(vhost.url);
    await new RPCServer(transport, { target, endpoints: [ECHO] }).start();
    await new RPCClient(transport, { target: { exchange: 'e', topic: 't' } }).call({}, 'echo', {});
    await transport.close();
    const queues = await broker.api.queues(vhost.vhost);
    expect(queues.map(({ name }) => name)).to.deep.equal(['e/t']);
  });

  it("connections: 'split' publishes on a connection of its own", async () => {
    await using tap = await FrameTap.open(broker);
    const published = new Set<number>();
    const consumed = new Set<number>();
    tap.proxy.onFrame(({ name }, _way, connection) => {
      if (name === 'basic.publish') published.add(connection);
      if (name === 'basic.deliver') consumed.add(connection);
    });
    const name = `split-${newId()}`;
    await using transport = await connectQuietly(`${rabbitUrl(vhost, { port: tap.port })}?connections=split`, {
      rabbit: { connectionName: name },
    });
    await new RPCServer(transport, { target, endpoints: [ECHO] }).start();
    await new RPCClient(transport, { target: { exchange: 'e', topic: 't' } }).call({}, 'echo', {});
    expect(tap.proxy.connections).to.deep.equal({ now: 2, total: 2 });
    expect([published.size, consumed.size]).to.deep.equal([1, 1]);
    expect(published).to.not.deep.equal(consumed);
    const names = await broker.api.connectionsNamed(new RegExp(`^${name}`), { atLeast: 2 });
    expect(names.map((one) => one.client_properties?.connection_name).sort()).to.deep.equal([name, `${name}:publish`]);
  });

  for (const fault of ['reset', 'close'] as const) {
    it(`connections: 'split' recovers when either connection is lost (${fault} by the peer)`, async () => {
      await using proxy = await TcpProxy.open(broker);
      await using transport = await connectQuietly(
        `${rabbitUrl(vhost, { port: proxy.port })}?connections=split&reconnectMinMs=20`,
      );
      await new RPCServer(transport, { target, endpoints: [ECHO] }).start();
      const client = new RPCClient(transport, { target: { exchange: 'e', topic: 't' } });
      await client.call({}, 'echo', {});
      if (fault === 'reset') proxy.reset();
      else {
        // One of the two: the publishing one, at its next message.
        const cut = proxy.cutWhen(({ name }) => name === 'basic.publish', { withhold: true });
        const error = await rejection(client.call({}, 'echo', {}));
        expect(error.code).to.equal('UNKNOWN');
        await cut;
      }
      await waitFor('a call that succeeds', () => client.call({}, 'echo', { again: 1 }, { timeoutMs: 2_000 }));
    });
  }

  it("declare: 'check' names the exchange or the queue that is missing, and creates nothing", async () => {
    await using transport = await connectQuietly(`${vhost.url}?declare=check`);
    const server = (): Promise<unknown> => new RPCServer(transport, { target, endpoints: [ECHO] }).start();
    const client = new RPCClient(transport, { target: { exchange: 'e', topic: 't' } });
    const errors = await Promise.all(
      [server(), client.call({}, 'echo', {}), client.cast({}, 'echo', {})].map(rejection),
    );
    for (const { code, message } of errors) {
      expect(code, message).to.equal('CONFIG');
      expect(message).to.match(/exchange '?e\//);
    }
    const model = await connectAmqp(vhost.url.replace('rabbit:', 'amqp:'));
    const channel = await model.createChannel();
    await channel.assertExchange('e/rpc', 'direct');
    await channel.assertExchange('e/t/all', 'fanout');
    await model.close();
    const error = await rejection(server());
    expect(error.code, error.message).to.equal('CONFIG');
    expect(error.message).to.match(/queue 'e\/t(\/one)?'/);
    expect((await broker.api.queues(vhost.vhost)).filter(({ exclusive }) => !exclusive)).to.deep.equal([]);
  });

  for (const declare of ['check', 'none']) {
    it(`declare: '${declare}' works with what is there, and declares only private queues`, async () => {
      await makeAll();
      await using tap = await FrameTap.open(broker);
      const declared: string[] = [];
      tap.proxy.onFrame(({ name, payload }) => {
        // After class, method and a reserved short comes the name; then the bits, of which the lowest means passive.
        const end = 7 + (payload[6] ?? 0);
        if (name === 'queue.declare' && ((payload[end] ?? 0) & 1) === 0)
          declared.push(payload.toString('utf8', 7, end));
      });
      await using transport = await connectQuietly(`${rabbitUrl(vhost, { port: tap.port })}?declare=${declare}`);
      await new RPCServer(transport, { target, endpoints: [ECHO] }).start();
      const client = new RPCClient(transport, { target: { exchange: 'e', topic: 't' } });
      await client.call({}, 'echo', {});
      await client.prepare({ server: 'one' }).call({}, 'echo', {});
      await client.fanout({}, 'echo', {});
      expect(declared.map((name) => name.replace(/[0-9a-f]{32}/, 'ID')).sort()).to.deep.equal([
        'e/t/all/ID',
        'reply/ID',
      ]);
      if (declare === 'none') expect(tap.counts()).to.not.have.property('client->broker exchange.declare');
    });
  }

  it('a queue with other attributes is used as it is, with one warning', async () => {
    await makeAll({ 'x-max-length': 50 });
    await using proxy = await TcpProxy.open(broker);
    const logger = recordingLogger();
    const adopted = (): object[] =>
      logger.lines.filter(({ message }) => message.includes('other attributes')).map(({ fields }) => fields);
    await using transport = await connectQuietly(rabbitUrl(vhost, { port: proxy.port }), { logger });
    await new RPCServer(transport, { target, endpoints: [ECHO] }).start();
    const client = new RPCClient(transport, { target: { exchange: 'e', topic: 't' } });
    await client.call({}, 'echo', {});
    expect(
      adopted()
        .map((fields) => 'queue' in fields && fields.queue)
        .sort(),
    ).to.deep.equal(['e/t', 'e/t/one']);
    proxy.reset();
    await waitFor('a call that succeeds', () => client.prepare({ server: 'one' }).call({}, 'echo', { again: 1 }));
    await client.call({}, 'echo', {});
    expect(adopted()).to.have.lengthOf(2);
  });

  it("with onMismatch: 'fail' it is a CONFIG error that names the queue", async () => {
    await makeAll({ 'x-max-length': 50 });
    await using transport = await connectQuietly(`${vhost.url}?onMismatch=fail`);
    const error = await rejection(new RPCServer(transport, { target, endpoints: [ECHO] }).start());
    expect(error.code, error.message).to.equal('CONFIG');
    expect(error.message).to.match(/x-max-length.*queue 'e\/t/);
  });

  it('a server that may not read its queue fails to start with ACCESS, and does not come to life later', async () => {
    const user = `reader-${newId()}`;
    await broker.api.putUser(user, 'secret');
    await broker.api.putPermissions(vhost.vhost, user, { read: '.*(/rpc|/all)$' });
    try {
      await using tap = await FrameTap.open(broker);
      const url = rabbitUrl({ ...vhost, user, password: 'secret' }, { port: tap.port });
      await using transport = await connectQuietly(url);
      const error = await rejection(new RPCServer(transport, { target, endpoints: [ECHO] }).start());
      expect(error.code, error.message).to.equal('ACCESS');
      expect(error.message).to.contain("queue 'e/t");
      tap.reset();
      await broker.api.putPermissions(vhost.vhost, user);
      const consumes = (): number | undefined => tap.counts()['client->broker basic.consume'];
      const zombie = await waitFor('a consumer that nobody asked for', consumes, 500).catch(() => 'none');
      expect(zombie).to.equal('none');
    } finally {
      await broker.api.deleteUser(user);
    }
  });

  it('a message to an exchange that the user may not write to fails with ACCESS, and one beside it with UNKNOWN at worst', async () => {
    const user = `writer-${newId()}`;
    await broker.api.putUser(user, 'secret');
    await broker.api.putPermissions(vhost.vhost, user, { write: '^open' });
    try {
      await using transport = await connectQuietly(rabbitUrl({ ...vhost, user, password: 'secret' }));
      const send = (exchange: string): Promise<unknown> =>
        transport
          .send({ kind: 'topic', exchange, key: 'k' }, { body: Buffer.from('x') }, { confirm: true })
          .then(() => 'CONFIRMED')
          .catch(({ code }: { code: string }) => code);
      // Made first, so that the messages go out together.
      await send('open');
      expect(await send('shut')).to.equal('ACCESS');
      const [open, shut] = await Promise.all([send('open'), send('shut')]);
      expect(shut).to.equal('ACCESS');
      expect(open).to.be.oneOf(['CONFIRMED', 'UNKNOWN']);
    } finally {
      await broker.api.deleteUser(user);
    }
  });
});
