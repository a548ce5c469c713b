import { inspect } from 'node:util';
import { newId } from '@posthorn/core';
import { expect } from 'chai';
import type { ConnectOptions } from 'posthorn';
import { amqp1Url } from '../src/amqp1-harness.ts';
import { freePorts } from '../src/free-port.ts';
import { isSkip, type RabbitBroker, rabbitVersions } from '../src/rabbit-broker.ts';
import { connectQuietly, needOwnRabbit, type OwnRabbit, rejection } from '../src/rabbit-lab.ts';
import { recordingLogger } from '../src/recording-logger.ts';
import { skip } from '../src/skip.ts';
import { openTlsFront } from '../src/tls-front.ts';
import { openVhost } from '../src/vhost.ts';

const SECRET = 'p4ssw0rd-of-nobody';
const KEEP = { confirm: true, unrouted: 'keep', timeoutMs: 5_000 } as const;

/** The broker takes messages on this connection. */
async function expectSends(url: string, options: ConnectOptions = {}): Promise<void> {
  await using transport = await connectQuietly(url, options);
  await transport.send({ kind: 'mailbox', name: `access-${newId()}` }, { body: Buffer.from('x') }, KEEP);
}

describe('AMQP 1.0: TLS', () => {
  let broker: OwnRabbit;

  before(async function () {
    this.timeout(90_000);
    broker = await needOwnRabbit(this);
    await broker.api.putUser('posthorn-client', newId());
    await broker.api.putPermissions('/', 'posthorn-client');
  });

  /** An `amqp1s://` URL of the broker's TLS listener, or of another port in front of it. */
  function secure(options: Readonly<Record<string, string>>, port = broker.tls.port): string {
    return `${amqp1Url(broker, { port }).replace('amqp1:', 'amqp1s:')}?${new URLSearchParams(options)}`;
  }

  it('M-15: the certificate of the broker is verified against the given authority', () =>
    expectSends(secure({ ca: broker.tls.ca })));

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
    await expectSends(secure({ ca, servername: 'elsewhere.example' }, front.port));
  });

  it('M-15: insecure verifies nothing and logs a warning', async () => {
    const logger = recordingLogger();
    await (await connectQuietly(secure({ insecure: 'true' }), { logger })).close();
    const warnings = logger.lines.filter(({ level }) => level === 'warn');
    expect(warnings.map(({ message }) => message)).to.deep.equal([
      'insecure: the certificate of the broker is not verified',
    ]);
  });

  it('a client certificate is the login with EXTERNAL', async () => {
    const { ca, cert, key } = broker.tls;
    const url = secure({ ca, cert, key, mechanism: 'EXTERNAL' });
    await expectSends(url);
    await broker.api.putPermissions('/', 'posthorn-client', { configure: '^$', write: '^$', read: '^$' });
    // It is that user: what it may do decides.
    await using transport = await connectQuietly(url);
    const sending = transport.send({ kind: 'mailbox', name: newId() }, { body: Buffer.from('x') }, KEEP);
    expect((await rejection(sending)).code).to.equal('ACCESS');
    await broker.api.putPermissions('/', 'posthorn-client');
  });

  it('EXTERNAL without a client certificate is refused with ACCESS', async () => {
    const error = await rejection(connectQuietly(secure({ ca: broker.tls.ca, mechanism: 'EXTERNAL' })));
    expect(error.code, error.message).to.equal('ACCESS');
  });

  it('a plain port asked for TLS fails with CONNECTION, for nothing was verified', async () => {
    const error = await rejection(connectQuietly(secure({}, broker.port)));
    expect(error.code, error.message).to.equal('CONNECTION');
  });

  it('a PEM file that is not there is a CONFIG error that names the option', async () => {
    const error = await rejection(connectQuietly(secure({ ca: '/nowhere.pem' })));
    expect([error.code, error.message.slice(0, 4)]).to.deep.equal(['CONFIG', 'ca: ']);
  });
});

for (const { name, find } of rabbitVersions())
  describe(`AMQP 1.0: access to ${name}`, () => {
    let broker: RabbitBroker;

    before(async function () {
      this.timeout(180_000);
      const found = await find();
      if (isSkip(found)) return skip(this, name, found.skip);
      broker = found;
    });

    it('a wrong password and an unknown user are refused with ACCESS, and the password is in no text', async () => {
      const wrong = [{ password: SECRET }, { user: newId(), password: SECRET }];
      // At once, since the broker takes three seconds to say so.
      const errors = await Promise.all(wrong.map((parts) => rejection(connectQuietly(amqp1Url(broker, parts)))));
      for (const error of errors) {
        expect(error.code, error.message).to.equal('ACCESS');
        expect(inspect(error, { depth: 10, showHidden: true })).to.not.contain(SECRET);
      }
    });

    it('who says nothing of himself is ANONYMOUS, whom the broker takes for its default user', () =>
      expectSends(`amqp1://${broker.host}:${broker.port}`));

    it('dead hosts are passed over for the next', async () => {
      await using vhost = await openVhost(broker);
      const [first = 0, second = 0] = await freePorts(2);
      const { host, port } = broker;
      const url = amqp1Url(vhost, { host: `127.0.0.1:${first},127.0.0.1:${second},${host}` });
      await using transport = await connectQuietly(url);
      expect(transport.status).to.deep.include({ state: 'connected', host: `${host}:${port}` });
    });
  });
