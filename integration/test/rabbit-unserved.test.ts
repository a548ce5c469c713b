import { newId } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { connectQuietly, needRabbit, rejection } from '../src/rabbit-lab.ts';
import { waitFor } from '../src/wait-for.ts';

describe('RabbitMQ: topics that nobody serves', () => {
  let url = '';

  before(async function () {
    this.timeout(90_000);
    url = (await needRabbit(this)).url;
  });

  for (const wire of ['native', 'oslo']) {
    it(`immunity 12: a call to a topic that nobody ever served fails with UNROUTABLE in under a second (${wire})`, async () => {
      await using transport = await connectQuietly(`${url}?wire=${wire}`);
      const client = new RPCClient(transport, { target: { topic: newId() } });
      const begun = performance.now();
      const error = await rejection(client.call({}, 'anything'));
      expect(error.code).to.equal('UNROUTABLE');
      expect(performance.now() - begun).to.be.below(1_000);
    });
  }

  it('a cast that must reach somebody fails with UNROUTABLE, and by default is forgotten', async () => {
    await using transport = await connectQuietly(url);
    const client = new RPCClient(transport, { target: { topic: newId() } });
    await client.cast({}, 'anything');
    const error = await rejection(client.prepare({ unrouted: 'fail' }).cast({}, 'anything'));
    expect(error.code).to.equal('UNROUTABLE');
  });

  it('immunity 4: a call to a queue without consumer ends with TIMEOUT at its deadline, and is never executed later', async () => {
    await using transport = await connectQuietly(url);
    const target = { topic: newId(), server: 'one' };
    const executed: string[] = [];
    const endpoint = {
      run: (_: unknown, { name }: { readonly name: string }) => void executed.push(name),
    };
    const client = new RPCClient(transport, { target: { topic: target.topic } });
    const first = await new RPCServer(transport, { target, endpoints: [endpoint] }).start();
    await first.close(); // the topic's queue stays
    const begun = performance.now();
    const error = await rejection(client.call({}, 'run', { name: 'expired' }, { timeoutMs: 300 }));
    const tookMs = performance.now() - begun;
    expect(error.code).to.equal('TIMEOUT');
    expect(tookMs).to.be.within(295, 5_000);
    // The broker counts from when it has it, a little later than the client does.
    const queue = { kind: 'anycast', exchange: transport.wire.exchange, topic: target.topic } as const;
    await waitFor('the broker to discard it', async () => (await transport.inspect(queue))?.ready === 0);
    await using second = new RPCServer(transport, { target, endpoints: [endpoint] });
    await second.start();
    await client.call({}, 'run', { name: 'in time' }); // behind the expired one, in the same queue
    expect(executed).to.deep.equal(['in time']);
  });
});
