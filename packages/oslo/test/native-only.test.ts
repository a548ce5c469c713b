import { memory, Transport } from '@posthorn/core';
import { RPCClient } from '@posthorn/rpc';
import { expect } from 'chai';
import { oslo } from '../src/index.ts';

describe('what the oslo wire cannot carry', () => {
  let transport: Transport;
  let client: RPCClient;

  beforeEach(async () => {
    transport = await Transport.open((context) => memory(context, {}), { wire: oslo() });
    client = new RPCClient(transport, { target: { topic: 't' } });
  });

  afterEach(async () => {
    await transport.close();
  });

  const refusalOf = (promise: Promise<unknown>): Promise<unknown> =>
    promise.then(
      () => 'it resolved',
      ({ code, message }) => `${code}: ${message}`,
    );

  it('refuses a stream by its name', async () => {
    expect(await refusalOf(client.stream({}, 'm').result)).to.match(/^UNSUPPORTED: the oslo wire has no streams/);
  });

  it('refuses to gather by its name', async () => {
    const gathering = client.gather({}, 'm', {}, { timeoutMs: 1_000 });
    expect(await refusalOf(gathering)).to.match(/^UNSUPPORTED: the oslo wire does not tell who replied/);
  });
});
