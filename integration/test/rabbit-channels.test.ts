import { newId, type Transport } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import type { ManagementApi } from '../src/management.ts';
import type { RabbitBroker } from '../src/rabbit-broker.ts';
import { connectQuietly, needRabbit, rejection } from '../src/rabbit-lab.ts';
import { openVhost, type Vhost } from '../src/vhost.ts';
import { waitFor } from '../src/wait-for.ts';

describe('RabbitMQ: channels that the broker closes', () => {
  let broker: RabbitBroker & { readonly api: ManagementApi };
  let vhost: Vhost;

  before(async function () {
    this.timeout(90_000);
    broker = await needRabbit(this);
  });

  beforeEach(async () => {
    vhost = await openVhost(broker);
  });

  afterEach(() => vhost?.[Symbol.asyncDispose]());

  /** A server with `echo`, and `hang` that waits for `release`. */
  async function serve(transport: Transport, exchange: string, topic = 't') {
    let release = (): void => {};
    let hanging = 0;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const endpoint = {
      echo: (_: unknown, args: object) => args,
      async hang(): Promise<string> {
        hanging++;
        await released;
        return 'released';
      },
    };
    await new RPCServer(transport, { target: { exchange, topic, server: 'one' }, endpoints: [endpoint] }).start();
    const client = new RPCClient(transport, { target: { exchange, topic } });
    return { client, release, hanging: () => hanging };
  }

  function expectSameConnection({ status }: Transport): void {
    expect(status).to.deep.include({ state: 'connected', generation: 1 });
  }

  it('an exchange deleted under a publisher: what was written has an unknown outcome, and the next call is at work again', async () => {
    await using transport = await connectQuietly(vhost.url);
    const { client } = await serve(transport, 'e');
    await client.call({}, 'echo', {});
    await broker.api.deleteExchange('e/rpc', vhost.vhost);
    expect((await rejection(client.call({}, 'echo', {}))).code).to.equal('UNKNOWN');
    // The exchange is declared again; its bindings went with the old one, which nobody is told.
    expect((await rejection(client.call({}, 'echo', {}))).code).to.equal('UNROUTABLE');
    const other = await serve(transport, 'e', 'other');
    expect(await other.client.call({}, 'echo', { a: 1 })).to.deep.equal({ a: 1 });
    expectSameConnection(transport);
  });

  it('immunity 2: a cast to a deleted exchange has an unknown outcome, and calls that are pending elsewhere get their replies', async () => {
    await using transport = await connectQuietly(vhost.url);
    const { client, release, hanging } = await serve(transport, 'alive');
    const doomed = await serve(transport, 'doomed');
    await doomed.client.cast({}, 'echo', {});
    const pending = client.call({}, 'hang', {});
    await waitFor('the call to hang', () => hanging() === 1);
    await broker.api.deleteExchange('doomed/rpc', vhost.vhost);
    expect((await rejection(doomed.client.cast({}, 'echo', {}))).code).to.equal('UNKNOWN');
    await doomed.client.cast({}, 'echo', {}); // the exchange is there again
    release();
    expect(await pending).to.equal('released');
    expectSameConnection(transport);
  });

  for (const [queue, prepare] of [
    ['e/t', (client: RPCClient) => client],
    ['e/t/one', (client: RPCClient) => client.prepare({ server: 'one' })],
  ] as const) {
    it(`immunity 12: the queue ${queue} deleted under its consumer is made again`, async () => {
      await using transport = await connectQuietly(vhost.url);
      const { client } = await serve(transport, 'e');
      const prepared = prepare(client);
      await prepared.call({}, 'echo', {});
      await broker.api.deleteQueue(queue, vhost.vhost);
      await waitFor('a call that succeeds', () => prepared.call({}, 'echo', { again: 1 }, { timeoutMs: 2_000 }));
      expectSameConnection(transport);
    });
  }

  it('immunity 5: a deleted reply queue: pending calls are told at once that their outcome is unknown, and the next call works', async () => {
    await using transport = await connectQuietly(`${vhost.url}?wire=oslo`); // whose reply queues are not exclusive
    const { client, release, hanging } = await serve(transport, 'e');
    const calls = Array.from({ length: 10 }, () => rejection(client.call({}, 'hang', {})));
    await waitFor('all calls to hang', () => hanging() === 10);
    const name = await waitFor('the reply queue', async () =>
      (await broker.api.queues(vhost.vhost)).map((queue) => queue.name).find((one) => one.startsWith('reply_')),
    );
    const begun = performance.now();
    await broker.api.deleteQueue(name, vhost.vhost);
    const codes = (await Promise.all(calls)).map(({ code }) => code);
    expect(performance.now() - begun).to.be.below(1_000);
    expect(new Set(codes)).to.deep.equal(new Set(['UNKNOWN']));
    expect(await client.call({}, 'echo', { a: 1 })).to.deep.equal({ a: 1 });
    release();
    expectSameConnection(transport);
  });

  it('a vhost that is deleted and made again is taken up again, with all its topology', async () => {
    await using transport = await connectQuietly(`${vhost.url}?reconnectMaxMs=200`);
    const topic = newId();
    const { client } = await serve(transport, 'e', topic);
    await client.call({}, 'echo', {});
    await broker.api.deleteVhost(vhost.vhost);
    await waitFor('the connection to go', () => transport.status.state === 'disconnected');
    await broker.api.putVhost(vhost.vhost);
    await broker.api.putPermissions(vhost.vhost, broker.user);
    await waitFor('a call that succeeds', () => client.call({}, 'echo', { again: 1 }, { timeoutMs: 2_000 }));
  });
});
