import { ConfigError, ConnectionError } from '@posthorn/core';
import { expect } from 'chai';
import { channelError, connectError, isNotFound, isPreconditionFailed } from '../src/errors.ts';

function withCode(code: string | number, message: string): Error {
  return Object.assign(new Error(message), { code });
}

const REFUSED =
  'Handshake terminated by server: 403 (ACCESS-REFUSED) with message "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN"';
const NO_VHOST = 'Handshake terminated by server: 530 (NOT-ALLOWED) with message "NOT_ALLOWED - vhost v not found"';
const NO_QUEUE =
  "Operation failed: QueueDeclare; 404 (NOT-FOUND) with message \"NOT_FOUND - no queue 'q' in vhost '/'\"";

describe('errors of connecting', () => {
  const cases: readonly (readonly [unknown, string, RegExp])[] = [
    [new Error(REFUSED), 'ACCESS', /^h:1: the broker refused the credentials of user "u"$/],
    [new Error(NO_VHOST), 'ACCESS', /^h:1: user "u" may not use the vhost "v"/],
    [new Error('Expected ConnectionOpenOk; got <ConnectionClose channel:0>'), 'ACCESS', /the vhost "v"/],
    [new Error('SASL mechanism PLAIN is not provided by the server'), 'ACCESS', /^h:1: SASL mechanism PLAIN/],
    [withCode('SELF_SIGNED_CERT_IN_CHAIN', 'self-signed'), 'ACCESS', /TLS verification failed: self-signed/],
    [withCode('UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unable'), 'ACCESS', /TLS verification failed/],
    [withCode('ERR_TLS_CERT_ALTNAME_INVALID', 'altnames'), 'ACCESS', /TLS verification failed/],
    [withCode('CERT_HAS_EXPIRED', 'expired'), 'ACCESS', /TLS verification failed/],
    [withCode('ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'alert'), 'ACCESS', /TLS verification failed/],
    [withCode('ERR_SSL_WRONG_VERSION_NUMBER', 'wrong version'), 'CONNECTION', /does not speak TLS/],
    [withCode('ECONNREFUSED', 'connect ECONNREFUSED ::1:1'), 'CONNECTION', /^h:1: connect ECONNREFUSED ::1:1$/],
    [new AggregateError([new Error('one'), new Error('two')]), 'CONNECTION', /^h:1: one; two$/],
    ['a string', 'CONNECTION', /a string/],
  ];

  for (const [error, code, text] of cases) {
    it(`${error} becomes ${code}`, () => {
      const mapped = connectError(error, 'h:1', 'v', 'u');
      expect(mapped.code).to.equal(code);
      expect(mapped.message).to.match(text);
      expect(mapped.cause).to.equal(error);
    });
  }

  it('an error of ours stays what it is', () => {
    const ours = new ConfigError('ca', 'no such file');
    expect(connectError(ours, 'h', 'v', 'u')).to.equal(ours);
  });
});

describe('errors of channels', () => {
  for (const [code, expected] of [
    [403, 'ACCESS'],
    [404, 'CONFIG'],
    [405, 'CONFIG'],
    [406, 'CONFIG'],
    [504, 'CONNECTION'],
    [541, 'CONNECTION'],
  ] as const) {
    it(`reply code ${code} becomes ${expected}, with what the broker said`, () => {
      const mapped = channelError(
        withCode(code, `Channel closed by server: ${code} (X) with message "said"`),
        'queue q',
      );
      expect(mapped.code).to.equal(expected);
      expect(mapped.message).to.equal('queue q: said');
    });
  }

  it('an error of ours stays what it is', () => {
    const ours = new ConnectionError('gone');
    expect(channelError(ours, 'queue q')).to.equal(ours);
  });

  it('the reply code is found as a property', () => {
    expect(isNotFound(withCode(404, NO_QUEUE))).to.equal(true);
    expect(isPreconditionFailed(withCode(406, 'inequivalent'))).to.equal(true);
    expect(isNotFound(withCode(406, 'inequivalent'))).to.equal(false);
    expect(isNotFound(undefined)).to.equal(false);
  });
});
