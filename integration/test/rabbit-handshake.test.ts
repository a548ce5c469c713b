import type { Status } from '@posthorn/core';
import { RPCClient } from '@posthorn/rpc';
import { expect } from 'chai';
import { deferred } from '../src/deferred.ts';
import { close, fakeBroker, type Script, secure, start, tune } from '../src/fake-broker.ts';
import { connectQuietly, rejection } from '../src/rabbit-lab.ts';

const SECRET = 'never-in-an-error';
const LIMIT_MS = 1_000;
const REFUSED = close(403, 'ACCESS_REFUSED - Login was refused');
const NO_VHOST = close(530, 'NOT_ALLOWED - vhost / not found');
const SHUTDOWN = close(320, 'CONNECTION_FORCED - broker forced connection closure');

const refusals: readonly (readonly [string, string, RegExp, Script])[] = [
  ['offers other mechanisms', 'ACCESS', /SASL mechanism PLAIN/, { 'protocol-header': [start('GSSAPI')] }],
  ['asks a secure challenge', 'CONNECTION', /secure/, { 'connection.start-ok': [secure('who goes there?')] }],
  ['refuses the login', 'ACCESS', /credentials of user "guest"/, { 'connection.start-ok': [REFUSED] }],
  ['shuts down after the login', 'CONNECTION', /CONNECTION_FORCED/, { 'connection.start-ok': [SHUTDOWN] }],
  ['hangs up after the login', 'CONNECTION', /closed abruptly/, { 'connection.start-ok': ['hang up'] }],
  ['says nothing after the login', 'CONNECTION', /no answer in time/, { 'connection.start-ok': [] }],
  [
    'offers frames below the minimum',
    'CONNECTION',
    /below the protocol minimum/,
    { 'connection.start-ok': [tune({ frameMax: 1_024 })] },
  ],
  ['refuses the vhost', 'ACCESS', /vhost "\/"/, { 'connection.open': [NO_VHOST] }],
  // amqplib keeps what the broker says at this point to itself.
  ['shuts down instead of opening', 'ACCESS', /vhost "\/"/, { 'connection.open': [SHUTDOWN] }],
  ['hangs up instead of opening', 'CONNECTION', /closed abruptly/, { 'connection.open': ['hang up'] }],
  ['never opens', 'CONNECTION', /no answer in time/, { 'connection.open': [] }],
];

describe('RabbitMQ: handshakes that go wrong', () => {
  for (const [what, code, text, script] of refusals)
    it(`a broker that ${what} is a ${code} error within connectTimeoutMs`, async () => {
      await using peer = await fakeBroker(script);
      const begun = performance.now();
      const url = `rabbit://guest:${SECRET}@127.0.0.1:${peer.port}/?connectTimeoutMs=${LIMIT_MS}`;
      const error = await rejection(connectQuietly(url));
      expect(error.code, error.message).to.equal(code);
      expect(error.message).to.match(text).and.to.include(`127.0.0.1:${peer.port}`);
      expect(error.message).to.not.include(SECRET);
      expect(performance.now() - begun).to.be.below(5 * LIMIT_MS);
      expect(peer.accepted).to.equal(1);
    });

  for (const [what, end] of [
    ['hangs up', 'hang up'],
    ['closes', SHUTDOWN],
  ] as const)
    it(`immunity 2: a broker that ${what} as soon as a connection is open is tried with growing pauses`, async () => {
      await using peer = await fakeBroker({ 'channel.open': [end] });
      const pauses: number[] = [];
      const enough = deferred();
      const onStatus = (status: Status): void => {
        if (status.state !== 'disconnected') return;
        pauses.push(status.retryInMs);
        if (pauses.length === 5) enough.resolve();
      };
      const url = `rabbit://127.0.0.1:${peer.port}/?reconnectMinMs=20&reconnectMaxMs=10000`;
      await using _ = await connectQuietly(url, { onStatus });
      await enough.promise;
      expect(pauses[0]).to.be.at.most(40);
      expect(pauses[4]).to.be.at.least(160);
      expect(peer.accepted).to.equal(5);
    });

  it('a call to a broker that never opens a channel ends at its deadline', async () => {
    await using peer = await fakeBroker();
    await using transport = await connectQuietly(`rabbit://127.0.0.1:${peer.port}/`);
    const client = new RPCClient(transport, { target: { topic: 't' }, timeoutMs: 300 });
    const begun = performance.now();
    expect((await rejection(client.call({}, 'm'))).code).to.equal('TIMEOUT');
    expect(performance.now() - begun).to.be.within(290, 5_000);
    await transport.close({ timeoutMs: 200 });
  });
});
