import { inspect } from 'node:util';
import { type ErrorCode, newId } from '@posthorn/core';
import { expect } from 'chai';
import { closingPeer, type FakePeer, garbagePeer, otherVersionPeer, silentPeer } from '../src/fake-peer.ts';
import { freePorts } from '../src/free-port.ts';
import { type RabbitBroker, rabbitUrl } from '../src/rabbit-broker.ts';
import { connectQuietly, needRabbit, rejection } from '../src/rabbit-lab.ts';
import { TcpProxy } from '../src/tcp-proxy.ts';

const SECRET = 'p4ssw0rd-of-nobody';

describe('RabbitMQ: connecting in vain', () => {
  let broker: RabbitBroker;

  before(async function () {
    this.timeout(90_000);
    broker = await needRabbit(this);
  });

  /** Connecting fails with that code, and with the password nowhere in the error, its causes and stacks included. */
  async function expectFailure(url: string, code: ErrorCode, text?: RegExp): Promise<void> {
    const error = await rejection(connectQuietly(url));
    expect(error.code, error.message).to.equal(code);
    if (text !== undefined) expect(error.message).to.match(text);
    expect(inspect(error, { depth: 10, showHidden: true })).to.not.contain(SECRET);
  }

  for (const [what, url, text] of [
    ['no URL at all', `guest:${SECRET}`, /^url: expected scheme/],
    ['a port that is no number', `rabbit://guest:${SECRET}@localhost:port/`, /^url\.hosts\.0\.port: /],
    ['a port above 65535', `rabbit://guest:${SECRET}@localhost:70000/`, /^url\.hosts\.0\.port: /],
    ['a slash in the password', `rabbit://guest:x/${SECRET}@localhost/`, /^url/],
    ['a missing host', `rabbit://guest:${SECRET}@:5672/`, /^url\.hosts\.0: /],
    ['broken percent-encoding', `rabbit://guest:${SECRET}%zz@localhost/`, /^url\.hosts\.0\.password: malformed/],
    ['an unknown scheme', `http://guest:${SECRET}@localhost/`, /^url: unknown scheme "http:\/\/"/],
    ['bare amqp://', `amqp://guest:${SECRET}@localhost/`, /^url: .*rabbit:\/\/.*amqp1:\/\//],
    ['bare amqps://', `amqps://guest:${SECRET}@localhost/`, /^url: .*rabbit:\/\/.*amqp1:\/\//],
    ['an unknown option', `rabbit://guest:${SECRET}@localhost/?hartbeatMs=1`, /^url\.hartbeatMs: no such option/],
    ['an option given twice', `rabbit://guest:${SECRET}@localhost/?window=1&window=2`, /^url\.window: given twice/],
    ['an option of the wrong type', `rabbit://guest:${SECRET}@localhost/?window=many`, /^url\.window: /],
    ['an option out of range', `rabbit://guest:${SECRET}@localhost/?heartbeatMs=10`, /^url\.heartbeatMs: /],
    ['an unknown wire', `rabbit://guest:${SECRET}@localhost/?wire=morse`, /^url\.wire: unknown wire "morse"/],
  ] as const) {
    it(`${what} is a CONFIG error that names it`, () => expectFailure(url, 'CONFIG', text));
  }

  it('a wrong password is refused with ACCESS', () =>
    expectFailure(rabbitUrl(broker, { password: SECRET }), 'ACCESS', /refused the credentials of user "guest"/));

  it('an unknown user is refused with ACCESS', () =>
    expectFailure(rabbitUrl(broker, { user: newId(), password: SECRET }), 'ACCESS', /refused the credentials/));

  it('an unknown vhost is refused with ACCESS', () =>
    expectFailure(rabbitUrl(broker, { vhost: `no-${newId()}` }), 'ACCESS', /vhost "no-/));

  it('a closed port fails with CONNECTION at once', async () => {
    const [port = 0] = await freePorts(1);
    const begun = performance.now();
    await expectFailure(rabbitUrl(broker, { port, password: SECRET }), 'CONNECTION', /ECONNREFUSED/);
    expect(performance.now() - begun).to.be.below(5_000);
  });

  it('a host name that does not resolve fails with CONNECTION', () =>
    expectFailure(rabbitUrl(broker, { host: 'no-such-host.invalid', password: SECRET }), 'CONNECTION', /no-such-host/));

  for (const [what, open] of [
    ['stays silent', silentPeer],
    ['closes at once', closingPeer],
    ['speaks another protocol', garbagePeer],
    ['speaks another version', otherVersionPeer],
  ] as const satisfies readonly (readonly [string, () => Promise<FakePeer>])[]) {
    it(`a peer that ${what} fails with CONNECTION within connectTimeoutMs`, async () => {
      await using peer = await open();
      const begun = performance.now();
      const url = `${rabbitUrl({ ...broker, host: '127.0.0.1' }, { port: peer.port, password: SECRET })}?connectTimeoutMs=400`;
      await expectFailure(url, 'CONNECTION');
      expect(performance.now() - begun).to.be.below(5_000);
      expect(peer.accepted).to.equal(1);
    });
  }

  it('a silent TLS peer fails with CONNECTION within connectTimeoutMs', async () => {
    await using peer = await silentPeer();
    const begun = performance.now();
    await expectFailure(`rabbits://guest:${SECRET}@127.0.0.1:${peer.port}/?connectTimeoutMs=400`, 'CONNECTION');
    expect(performance.now() - begun).to.be.below(5_000);
  });

  it('a plain port asked for TLS fails with CONNECTION, for nothing was verified', () =>
    expectFailure(rabbitUrl(broker, { password: SECRET }).replace('rabbit:', 'rabbits:'), 'CONNECTION'));

  it('immunity 4: a peer that drips bytes does not stretch connectTimeoutMs', async () => {
    await using proxy = await TcpProxy.open(broker);
    proxy.latencyMs = 900; // each answer comes within the limit, all of them together do not
    const begun = performance.now();
    await expectFailure(`${rabbitUrl(broker, { port: proxy.port })}?connectTimeoutMs=2100`, 'CONNECTION');
    expect(performance.now() - begun).to.be.within(2_090, 4_000);
  });

  it('immunity 4: a credentials callback that never answers fails with CONNECTION within connectTimeoutMs', async () => {
    const credentials = (): Promise<never> => new Promise(() => {});
    const begun = performance.now();
    const error = await rejection(connectQuietly(broker.url, { rabbit: { credentials, connectTimeoutMs: 300 } }));
    expect(error.code).to.equal('CONNECTION');
    expect(performance.now() - begun).to.be.below(5_000);
  });

  it('a dead first host is passed over for the next', async () => {
    const [port = 0] = await freePorts(1);
    const { host, user, password } = broker;
    const url = `rabbit://${user}:${password}@127.0.0.1:${port},${host}:${broker.port}/${encodeURIComponent(broker.vhost)}?hosts=given`;
    await using transport = await connectQuietly(url);
    expect(transport.status).to.deep.include({ state: 'connected', host: `${host}:${broker.port}` });
  });

  it('several dead hosts are all named in the error', async () => {
    const [first = 0, second = 0] = await freePorts(2);
    await expectFailure(
      `rabbit://guest:${SECRET}@127.0.0.1:${first},127.0.0.1:${second}/?hosts=given`,
      'CONNECTION',
      new RegExp(`127.0.0.1:${first}: .*; 127.0.0.1:${second}: `),
    );
  });

  it('connectWithinMs goes on trying until the broker is there', async () => {
    await using proxy = await TcpProxy.open(broker);
    proxy.refuse();
    const connecting = connectQuietly(
      `${rabbitUrl(broker, { port: proxy.port })}?connectWithinMs=8000&reconnectMinMs=20`,
    );
    await proxy.accept();
    await using transport = await connecting;
    expect(transport.status.state).to.equal('connected');
  });
});
