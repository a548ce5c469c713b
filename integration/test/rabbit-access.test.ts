import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AccessError, newId, type Status } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { type Certificates, makeCertificates } from '../src/certificates.ts';
import { FrameTap } from '../src/frame-counter.ts';
import { rabbitUrl } from '../src/rabbit.ts';
import { connectQuietly, needOwnRabbit, needRabbit, type OwnRabbit, rejection } from '../src/rabbit-lab.ts';
import { recordingLogger } from '../src/recording-logger.ts';
import { TcpProxy } from '../src/tcp-proxy.ts';
import { openTlsFront } from '../src/tls-front.ts';
import { waitFor } from '../src/wait-for.ts';

/** A server and a client on one transport understand each other. */
async function expectCalls(url: string, options: Parameters<typeof connectQuietly>[1] = {}): Promise<void> {
  await using transport = await connectQuietly(url, options);
  const topic = newId();
  const endpoint = { echo: (_: unknown, args: object) => args };
  await new RPCServer(transport, { target: { topic, server: 'one' }, endpoints: [endpoint] }).start();
  expect(await new RPCClient(transport, { target: { topic } }).call({}, 'echo', { a: 1 })).to.deep.equal({ a: 1 });
}

function query(options: Readonly<Record<string, string>>): string {
  return new URLSearchParams(options).toString();
}

describe('RabbitMQ: TLS', () => {
  let broker: OwnRabbit;
  let folder = '';
  let foreign: Certificates;

  before(async function () {
    this.timeout(90_000);
    broker = await needOwnRabbit(this);
    folder = await mkdtemp(join(tmpdir(), 'posthorn-tls-'));
    foreign = await makeCertificates(join(folder, 'foreign'));
    await broker.api.putUser('posthorn-client', newId());
    await broker.api.putPermissions('/', 'posthorn-client');
  });

  after(async () => {
    if (folder !== '') await rm(folder, { recursive: true });
  });

  /** A `rabbits://` URL of the broker's TLS listener, or of another port in front of it. */
  function secure(options: Readonly<Record<string, string>>, port = broker.tls.port): string {
    return `${rabbitUrl(broker, { port }).replace('rabbit:', 'rabbits:')}?${query(options)}`;
  }

  it('M-15: the certificate of the broker is verified against the given authority', () =>
    expectCalls(secure({ ca: broker.tls.ca })));

  it('a client certificate is shown to the broker, which may take it for the login (EXTERNAL)', async () => {
    const { ca, cert, key } = broker.tls;
    const options = { ca, cert, key, mechanism: 'EXTERNAL' };
    const name = `external-${newId()}`;
    await using _ = await connectQuietly(secure(options), { rabbit: { connectionName: name } });
    const [connection] = await broker.api.connectionsNamed(name);
    expect(connection?.user).to.equal('posthorn-client');
    await expectCalls(secure(options));
  });

  it('EXTERNAL without a client certificate is refused with ACCESS', async () => {
    const error = await rejection(connectQuietly(secure({ ca: broker.tls.ca, mechanism: 'EXTERNAL' })));
    expect(error.code).to.equal('ACCESS');
  });

  it('M-15: a certificate of an unknown authority is refused with ACCESS', async () => {
    for (const options of [{}, { ca: broker.tls.wrongCa }]) {
      const error = await rejection(connectQuietly(secure(options)));
      expect(error.code, error.message).to.equal('ACCESS');
      expect(error.message).to.contain('TLS verification failed');
    }
  });

  it('a certificate for another host is refused with ACCESS, unless servername names that host', async () => {
    await using front = await openTlsFront(broker, broker.tls.wrongHost);
    const { ca } = broker.tls;
    const error = await rejection(connectQuietly(secure({ ca }, front.port)));
    expect(error.code, error.message).to.equal('ACCESS');
    await expectCalls(secure({ ca, servername: 'elsewhere.example' }, front.port));
  });

  it('a client certificate that the broker does not accept is refused', async () => {
    const { ca } = broker.tls;
    const error = await rejection(connectQuietly(secure({ ca, cert: foreign.client.cert, key: foreign.client.key })));
    expect(error.code, error.message).to.equal('ACCESS');
  });

  it('M-15: insecure verifies nothing and logs a warning', async () => {
    const logger = recordingLogger();
    await expectCalls(secure({ insecure: 'true' }), { logger });
    const warnings = logger.lines.filter(({ level }) => level === 'warn');
    expect(warnings.map(({ message }) => message)).to.deep.equal([
      'insecure: the certificate of the broker is not verified',
    ]);
  });

  it('a PEM file that is not there is a CONFIG error that names the option', async () => {
    const error = await rejection(connectQuietly(secure({ ca: join(folder, 'nowhere.pem') })));
    expect(error.code).to.equal('CONFIG');
    expect(error.message).to.match(/^ca: /);
  });

  it('certificates are read again for each attempt to reconnect', async () => {
    const ca = join(folder, 'ca.pem');
    const cert = join(folder, 'cert.pem');
    const key = join(folder, 'key.pem');
    const show = async (pair: { readonly cert: string; readonly key: string }): Promise<void> => {
      await copyFile(pair.cert, cert);
      await copyFile(pair.key, key);
    };
    await copyFile(broker.tls.ca, ca);
    await show(broker.tls);
    await using proxy = await TcpProxy.open({ host: broker.host, port: broker.tls.port });
    const failures: Error[] = [];
    const onStatus = (status: Status): void => {
      if (status.state === 'disconnected' && status.attempt > 0) failures.push(status.error);
    };
    const options = { ca, cert, key, mechanism: 'EXTERNAL', reconnectMinMs: '20', reconnectMaxMs: '50' };
    await using transport = await connectQuietly(secure(options, proxy.port), { onStatus });

    await show(foreign.client);
    proxy.reset();
    await waitFor('a refused client certificate', () => failures.some((error) => error instanceof AccessError));

    await show(broker.tls);
    await waitFor('the connection', () => transport.status.state === 'connected');

    failures.length = 0;
    await copyFile(broker.tls.wrongCa, ca);
    proxy.reset();
    const wrong = await waitFor('a refused broker', () => failures.find((error) => error instanceof AccessError));
    expect(wrong.message).to.contain('TLS verification failed');

    await copyFile(broker.tls.ca, ca);
    await waitFor('the connection', () => transport.status.state === 'connected');
  });

  it('AMQPLAIN logs in', () => expectCalls(`${broker.url}?mechanism=AMQPLAIN`));
});

describe('RabbitMQ: credentials', () => {
  it('the credentials callback is asked for each attempt, with the host', async function () {
    this.timeout(90_000);
    const broker = await needRabbit(this);
    await using proxy = await TcpProxy.open(broker);
    const asked: string[] = [];
    const passwords = [broker.password, 'wrong', broker.password];
    const credentials = (host: string): { username: string; password: string } => {
      asked.push(host);
      return { username: broker.user, password: passwords.shift() ?? '' };
    };
    const states: string[] = [];
    await using transport = await connectQuietly(rabbitUrl({ ...broker, password: 'unused' }, { port: proxy.port }), {
      rabbit: { credentials, reconnectMinMs: 20 },
      onStatus: (status) => void states.push(status.state === 'disconnected' ? status.error.name : status.state),
    });
    proxy.reset();
    await waitFor('the second generation', () => transport.status.state === 'connected' && asked.length === 3);
    expect(asked).to.deep.equal(Array(3).fill(`127.0.0.1:${proxy.port}`));
    expect(states).to.deep.equal(['connected', 'ConnectionError', 'AccessError', 'connected']);
  });

  it('a token is refreshed on the open connection before it expires, again and again', async function () {
    this.timeout(90_000);
    const broker = await needRabbit(this);
    await using tap = await FrameTap.open(broker);
    const logger = recordingLogger();
    const { user: username, password } = broker;
    let asked = 0;
    const credentials = (): { username: string; password: string; expiresInMs: number } => {
      asked++;
      return { username, password, expiresInMs: 200 };
    };
    await using transport = await connectQuietly(rabbitUrl(broker, { port: tap.port }), {
      rabbit: { credentials },
      logger,
    });
    await waitFor('two refreshed tokens', () => {
      const counts = tap.counts();
      const told = counts['client->broker connection.update-secret'] ?? 0;
      return told >= 2 && (counts['broker->client connection.update-secret-ok'] ?? 0) >= 2;
    });
    expect(asked).to.be.at.least(3);
    expect(transport.status).to.deep.include({ state: 'connected', generation: 1 });
    const topic = newId();
    const error = await rejection(new RPCClient(transport, { target: { topic } }).call({}, 'anything'));
    expect(error.code).to.equal('UNROUTABLE'); // the connection is in use as before
    expect(logger.lines.filter(({ level }) => level === 'warn' || level === 'error')).to.deep.equal([]);
  });

  it('a token that need not be refreshed for months is not refreshed at once', async function () {
    this.timeout(90_000);
    const broker = await needRabbit(this);
    let asked = 0;
    const credentials = (): { username: string; password: string; expiresInMs: number } => {
      asked++;
      return { username: broker.user, password: broker.password, expiresInMs: 100 * 86_400_000 };
    };
    await using transport = await connectQuietly(broker.url, { rabbit: { credentials } });
    const client = new RPCClient(transport, { target: { topic: newId() } });
    await rejection(client.call({}, 'anything'));
    expect(asked).to.equal(1);
  });
});
