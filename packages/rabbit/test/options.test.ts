import { ConfigError, parseTransportUrl } from '@posthorn/core';
import { expect } from 'chai';
import { type RabbitOptions, type RabbitSettings, rabbitSettings } from '../src/options.ts';

function settings(query = '', options: RabbitOptions = {}): RabbitSettings {
  return rabbitSettings(options, parseTransportUrl(`rabbit://localhost/${query}`));
}

function failure(query: string, options?: RabbitOptions): ConfigError {
  try {
    settings(query, options);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('the options of the RabbitMQ driver', () => {
  it('have the documented defaults', () => {
    expect(settings()).to.deep.equal({
      heartbeatMs: 30_000,
      hosts: 'random',
      connectTimeoutMs: 10_000,
      reconnectMinMs: 100,
      reconnectMaxMs: 30_000,
      connections: 'one',
      declare: 'create',
      durability: 'durable',
      onMismatch: 'adopt',
      overflow: 'reject',
      window: 1_024,
      lineMessages: 10_000,
      lineBytes: 64 * 1024 * 1024,
      frameMax: 131_072,
      mechanism: 'PLAIN',
      insecure: false,
    });
  });

  it('are read from the URL, which wins over the code', () => {
    const read = settings('?heartbeatMs=5000&insecure=true&declare=check', { heartbeatMs: 7_000, window: 5 });
    expect(read).to.deep.include({ heartbeatMs: 5_000, insecure: true, declare: 'check', window: 5 });
  });

  it('that are texts stay texts, digits or not', () => {
    const read = settings('?passphrase=0123&connectionName=true&servername=10');
    expect(read).to.deep.include({ passphrase: '0123', connectionName: 'true', servername: '10' });
  });

  for (const [query, path] of [
    ['?hartbeatMs=1', 'url.hartbeatMs'],
    ['?heartbeatMs=999', 'url.heartbeatMs'],
    ['?connectTimeoutMs=0', 'url.connectTimeoutMs'],
    ['?connectTimeoutMs=1.5', 'url.connectTimeoutMs'],
    ['?connections=three', 'url.connections'],
    ['?declare=maybe', 'url.declare'],
    ['?durability=transient', 'url.durability'],
    ['?window=5000', 'url.window'],
    ['?lineMessages=-1', 'url.lineMessages'],
    ['?mechanism=GSSAPI', 'url.mechanism'],
    ['?ca=', 'url.ca'],
    ['?credentials=x', 'url.credentials'],
    ['?insecure=yes', 'url.insecure'],
  ] as const) {
    it(`${query} is a CONFIG error at ${path}`, () => expect(failure(query).path).to.equal(path));
  }

  it('name the place of a wrong option in code', () => {
    expect(failure('', { window: 0 }).path).to.equal('options.window');
  });

  it('never show the value of a wrong option', () => {
    expect(failure('?hidden=s3cret').message).to.not.contain('s3cret');
    expect(failure('?ca=&passphrase=s3cret').message).to.not.contain('s3cret');
  });
});
