import { memory, silent, Transport } from '@posthorn/core';
import { expect } from 'chai';
import sinon from 'sinon';
import { RPCClient, RPCServer, waitUntilReady } from '../src/index.ts';

describe('waitUntilReady', () => {
  it('finds the servers of a client whose methods are in a namespace and a version', async () => {
    const logger = { ...silent, warn: sinon.stub() };
    await using transport = await Transport.open((context) => memory(context), { logger });
    const target = { namespace: 'images', version: '2.3' };
    const find = (): string => 'img-1';
    const server = new RPCServer(transport, { target: { topic: 't', server: 's' }, endpoints: [{ target, find }] });
    await server.start();
    const client = new RPCClient(transport, { target: { topic: 't', ...target }, versionCap: '2.3' });
    await waitUntilReady(client, { timeoutMs: 9_000 });
    expect(logger.warn.args).to.deep.equal([]);
    expect(await client.call({}, 'find')).to.equal('img-1');
  });
});
