import { newId, type Transport } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { connectQuietly, needOwnRabbit, type OwnRabbit } from '../src/rabbit-lab.ts';
import { waitFor } from '../src/wait-for.ts';

describe('RabbitMQ: a broker that restarts', () => {
  let broker: OwnRabbit;

  before(async function () {
    this.timeout(90_000);
    broker = await needOwnRabbit(this);
  });

  for (const wire of ['native', 'oslo']) {
    it(`server and client go on by themselves, with all their topology (${wire})`, async function () {
      this.timeout(60_000);
      const url = `${broker.url}?wire=${wire}&reconnectMaxMs=500`;
      await using serving = await connectQuietly(url);
      await using calling = await connectQuietly(url);
      const topic = newId();
      const names: string[] = [];
      const endpoint = {
        run(_: unknown, { name }: { readonly name: string }): string {
          names.push(name);
          return name;
        },
      };
      await new RPCServer(serving, { target: { topic, server: 'one' }, endpoints: [endpoint] }).start();
      const client = new RPCClient(calling, { target: { topic } });
      await client.call({}, 'run', { name: 'before' });

      const restarting = broker.restart();
      await disconnected(serving);
      await disconnected(calling);
      const cast = client.cast({}, 'run', { name: 'cast meanwhile' });
      await restarting;

      await cast;
      // On the oslo wire the broker forgets all queues: nobody is there until the server has declared them again.
      await waitFor('the server', () => serving.status.state === 'connected');
      await waitFor('a call that succeeds', () => client.call({}, 'run', { name: 'after' }, { timeoutMs: 2_000 }));
      await waitFor('a call to the server by name', () =>
        client.prepare({ server: 'one' }).call({}, 'run', { name: 'directed' }, { timeoutMs: 2_000 }),
      );
      await waitFor('a fanout that arrives', async () => {
        if (!names.includes('fanout')) await client.fanout({}, 'run', { name: 'fanout' });
        return names.includes('fanout');
      });
      if (wire === 'native') expect(names).to.include('cast meanwhile'); // the topic's queue is durable
    });
  }
});

async function disconnected(transport: Transport): Promise<void> {
  await waitFor('the connection to go', () => transport.status.state === 'disconnected', 30_000);
}
