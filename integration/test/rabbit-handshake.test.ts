import { expect } from 'chai';
import { close, fakeBroker, type Script, secure, start, tune } from '../src/fake-broker.ts';
import { connectQuietly, rejection } from '../src/rabbit-lab.ts';

const SECRET = 'never-in-an-error';
const LIMIT_MS = 400;

const cases: readonly (readonly [string, string, RegExp, Script])[] = [
  ['offers frames below the minimum', 'CONNECTION', /./, { 'connection.start-ok': [tune({ frameMax: 1_024 })] }],
  ['offers no mechanism that is wanted', 'ACCESS', /PLAIN/, { 'protocol-header': [start('GSSAPI')] }],
  ['asks a secure challenge', 'CONNECTION', /./, { 'connection.start-ok': [secure('who goes there?')] }],
  [
    'refuses the login by connection.close',
    'ACCESS',
    /ACCESS_REFUSED/,
    { 'connection.start-ok': [close(403, 'ACCESS_REFUSED - Login was refused')] },
  ],
  ['hangs up after the login', 'ACCESS', /./, { 'connection.start-ok': ['hang up'] }],
  [
    'refuses the vhost during open',
    'ACCESS',
    /NOT_ALLOWED/,
    { 'connection.open': [close(530, 'NOT_ALLOWED - vhost / not found')] },
  ],
  [
    'shuts down during open',
    'CONNECTION',
    /CONNECTION_FORCED/,
    { 'connection.open': [close(320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'")] },
  ],
  ['hangs up during open', 'CONNECTION', /./, { 'connection.open': ['hang up'] }],
  ['never opens a channel', 'CONNECTION', /./, {}],
  ['hangs up right after the connection was open', 'CONNECTION', /./, { 'channel.open': ['hang up'] }],
  [
    'closes right after the connection was open',
    'CONNECTION',
    /CONNECTION_FORCED/,
    { 'channel.open': [close(320, 'CONNECTION_FORCED - node is going down')] },
  ],
  [
    'has an internal error right after the connection was open',
    'CONNECTION',
    /INTERNAL_ERROR/,
    { 'channel.open': [close(541, 'INTERNAL_ERROR - oops')] },
  ],
];

describe('RabbitMQ: handshakes that go wrong', () => {
  for (const [what, code, text, script] of cases)
    it(`a broker that ${what} is a ${code} error within connectTimeoutMs`, async () => {
      await using peer = await fakeBroker(script);
      const begun = performance.now();
      const url = `rabbit://guest:${SECRET}@127.0.0.1:${peer.port}/?connectTimeoutMs=${LIMIT_MS}`;
      const error = await rejection(connectQuietly(url));
      expect(error.code, error.message).to.equal(code);
      expect(error.message).to.match(text).and.to.include(`127.0.0.1:${peer.port}`);
      expect(error.message).to.not.include(SECRET);
      expect(performance.now() - begun).to.be.below(LIMIT_MS + 500);
      expect(peer.accepted).to.equal(1);
    });
});
