import { newId } from '@posthorn/core';
import { RPCClient } from '@posthorn/rpc';
import { expect } from 'chai';
import { deferred } from '../src/deferred.ts';
import { rabbitUrl } from '../src/rabbit-broker.ts';
import { connectQuietly, needRabbit, rejection } from '../src/rabbit-lab.ts';
import { TcpProxy } from '../src/tcp-proxy.ts';

describe('RabbitMQ: closing during an outage', () => {
  it('ends at once, and so do the calls that wait for the connection', async function () {
    this.timeout(90_000);
    await using proxy = await TcpProxy.open(await needRabbit(this));
    const lost = deferred();
    const transport = await connectQuietly(rabbitUrl(await needRabbit(this), { port: proxy.port }), {
      onStatus: ({ state }) => state === 'disconnected' && lost.resolve(),
    });
    proxy.refuse();
    proxy.reset();
    await lost.promise;
    const call = rejection(new RPCClient(transport, { target: { topic: newId() } }).call({}, 'm'));
    const began = performance.now();
    await transport.close();
    expect(performance.now() - began).to.be.below(1_000);
    expect((await call).code).to.equal('CLOSED');
  });
});
