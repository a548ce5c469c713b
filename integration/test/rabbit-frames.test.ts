import { newId } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { FrameTap } from '../src/frame-counter.ts';
import { rabbitUrl } from '../src/rabbit.ts';
import { connectQuietly, needRabbit } from '../src/rabbit-lab.ts';

const CLIENTS = 50;
const SERVERS = 20;
const CALLS = 1_000;

describe('RabbitMQ: what calls cost on the wire', () => {
  it('50 clients and 20 servers share one connection, and a call costs one publish and one delivery each way', async function () {
    this.timeout(90_000);
    const broker = await needRabbit(this);
    await using tap = await FrameTap.open(broker);
    const name = `frames-${newId()}`;
    await using transport = await connectQuietly(rabbitUrl(broker, { port: tap.port }), {
      rabbit: { connectionName: name },
    });
    const topics = Array.from({ length: SERVERS }, () => newId());
    const echo = { echo: (_: unknown, args: object) => args };
    await Promise.all(
      topics.map((topic) => new RPCServer(transport, { target: { topic, server: 'one' }, endpoints: [echo] }).start()),
    );
    const clients = Array.from(
      { length: CLIENTS },
      (_, index) => new RPCClient(transport, { target: { topic: topics[index % SERVERS] ?? '' } }),
    );
    const callAll = (rounds: number): Promise<unknown[]> =>
      Promise.all(
        Array.from({ length: rounds }, (_, round) =>
          clients.map((client) => client.call({}, 'echo', { round })),
        ).flat(),
      );
    await callAll(1);
    tap.reset();
    const replies = await callAll(CALLS / CLIENTS);

    expect(replies).to.have.lengthOf(CALLS);
    const { 'client->broker basic.ack': acks, ...others } = methods(tap.counts());
    // Requests that came together are settled together, before they are run; a reply needs no settlement.
    expect(acks).to.be.within(1, CALLS);
    expect(others).to.deep.equal({
      'client->broker basic.publish': 2 * CALLS,
      'broker->client basic.deliver': 2 * CALLS,
    });
    expect(tap.proxy.connections).to.deep.equal({ now: 1, total: 1 });
    expect(await broker.api.connectionsNamed(name)).to.have.lengthOf(1);
  });
});

/** Without contents and heartbeats, of which there are as many as the moment has it. */
function methods(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([key]) => / \w+\./.test(key)));
}
