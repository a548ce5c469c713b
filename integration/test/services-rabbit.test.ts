import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Delivery, newId, silent, type Transport } from '@posthorn/core';
import {
  type Controller,
  LocalDiscovery,
  rpcMethod,
  rpcService,
  type ServiceNotification,
  ServiceServer,
  type ServiceServerOptions,
  serviceClient,
  subscriptionMethod,
} from '@posthorn/services';
import { expect } from 'chai';
import { connect } from 'posthorn';
import { deferred } from '../src/deferred.ts';
import type { ManagementApi } from '../src/management.ts';
import type { RabbitBroker } from '../src/rabbit-broker.ts';
import { needRabbit } from '../src/rabbit-lab.ts';
import { TcpProxy } from '../src/tcp-proxy.ts';
import { makeTempFolder } from '../src/temp-folder.ts';
import { TiedProcess } from '../src/tied-process.ts';
import { openVhost, type Vhost } from '../src/vhost.ts';
import { waitFor } from '../src/wait-for.ts';

const command = fileURLToPath(new URL('../../packages/posthorn/src/cli.ts', import.meta.url));
const controllers = fileURLToPath(new URL('./programs/world-services.ts', import.meta.url));

interface Remotes {
  readonly test_world: {
    world(params: { readonly b: string }): { readonly r: string };
    hang(): void;
  };
  readonly test_hello: { hello(params: { readonly a: number }): void };
}

@rpcService('test_world')
class WorldController {
  @rpcMethod('test_world.world')
  world(): object {
    return { r: 'world response' };
  }

  @subscriptionMethod('test_hello.hello')
  hello(_notification: ServiceNotification): void {}
}

const chuck: Controller = { service: 'test_chuck_norris', requests: { strike: () => ({}) } };

/** What the document's world knows. */
function discovery(): LocalDiscovery {
  const known = new LocalDiscovery();
  known.registerRemoteService('test_hello', 'test_exchange');
  known.registerRemoteService('test_world', 'test_world_exchange');
  known.registerRemotePublisher('test_hello', 'test_notification_exchange');
  return known;
}

describe('services on RabbitMQ', function () {
  this.timeout(60_000);
  let broker: RabbitBroker & { readonly api: ManagementApi };
  let vhost: Vhost;
  const opened: Transport[] = [];

  before(async function () {
    this.timeout(180_000);
    broker = await needRabbit(this);
  });

  beforeEach(async () => {
    vhost = await openVhost(broker);
  });

  afterEach(async () => {
    for (const transport of opened.splice(0)) await transport.close({ timeoutMs: 3_000 });
    await vhost[Symbol.asyncDispose]();
  });

  const open = async (query = '', url = vhost.url): Promise<Transport> => {
    const transport = await connect(`${url}${query}`, { logger: silent });
    opened.push(transport);
    return transport;
  };

  const serve = async (options: Partial<ServiceServerOptions>, on?: Transport): Promise<ServiceServer> =>
    await new ServiceServer(on ?? (await open()), {
      exchange: 'test_world_exchange',
      discovery: discovery(),
      ...options,
    }).start();

  /** What there is on the broker, but for what it brings itself. */
  async function topology(): Promise<{ exchanges: unknown[]; queues: unknown[]; bindings: unknown[] }> {
    const [exchanges, queues, bindings] = await Promise.all([
      broker.api.exchanges(vhost.vhost),
      broker.api.queues(vhost.vhost),
      broker.api.bindings(vhost.vhost),
    ]);
    return {
      exchanges: exchanges
        .filter(({ name }) => !/^(amq\.|$)/.test(name))
        .map(({ name, type, durable, auto_delete }) => ({ name, type, durable, auto_delete })),
      queues: queues.map(({ name, durable, exclusive, auto_delete, arguments: args }) => ({
        name,
        durable,
        exclusive,
        auto_delete,
        args: Object.fromEntries(Object.entries(args).filter(([key]) => key !== 'x-queue-type')),
      })),
      bindings: bindings
        .filter(({ source }) => source !== '')
        .map(({ source, destination, routing_key }) => `${source} -${routing_key}-> ${destination}`),
    };
  }

  const exchange = (name: string): object => ({ name, type: 'topic', durable: true, auto_delete: false });
  const queue = (name: string): object => ({ name, durable: true, exclusive: false, auto_delete: false, args: {} });

  const layouts: readonly (readonly [string, Partial<ServiceServerOptions>, object])[] = [
    [
      'T-33, T-34, T-35, T-36: with shared lanes and one queue has the names of the original, and no exchange for notifications',
      { lanes: 'shared', queue: 'test_world_service', services: [WorldController, chuck] },
      {
        exchanges: ['test_notification_exchange', 'test_world_exchange'].map(exchange),
        queues: [queue('test_world_service')],
        bindings: [
          'test_notification_exchange -test_hello.hello.#-> test_world_service',
          'test_world_exchange -test_chuck_norris.#-> test_world_service',
          'test_world_exchange -test_world.#-> test_world_service',
        ],
      },
    ],
    [
      'T-35, T-36: with shared lanes has a queue for each service, which gets all that is meant for it',
      { lanes: 'shared', services: [WorldController, chuck] },
      {
        exchanges: ['test_notification_exchange', 'test_world_exchange'].map(exchange),
        queues: [queue('test_chuck_norris'), queue('test_world')],
        bindings: [
          'test_notification_exchange -test_hello.hello.#-> test_world',
          'test_world_exchange -test_chuck_norris.#-> test_chuck_norris',
          'test_world_exchange -test_world.#-> test_world',
        ],
      },
    ],
    [
      'T-35, T-36: by default has a second queue for answers, bound by the same rule',
      { services: [WorldController] },
      {
        exchanges: ['test_notification_exchange', 'test_world_exchange', 'test_world_exchange.answers'].map(exchange),
        queues: [queue('test_world_exchange%2Ftest_world'), queue('test_world_exchange%2Ftest_world.answers')],
        bindings: [
          'test_notification_exchange -test_hello.hello.#-> test_world_exchange%2Ftest_world',
          'test_world_exchange -test_world.#-> test_world_exchange%2Ftest_world',
          'test_world_exchange.answers -test_world.#-> test_world_exchange%2Ftest_world.answers',
        ],
      },
    ],
  ];
  for (const [what, options, expected] of layouts)
    it(`${what}; a second start changes nothing`, async () => {
      const first = await serve(options);
      const after = await topology();
      expect(after).to.deep.equal(expected);
      await first.close();
      await serve(options);
      expect(await topology()).to.deep.equal(after);
    });

  it('T-34: a registered publisher has its second exchange from the start', async () => {
    const publishing = discovery();
    publishing.registerLocalPublisher('test_world', 'test_world_notifications');
    await serve({ lanes: 'shared', services: [chuck, WorldController], discovery: publishing });
    const { exchanges, queues } = await topology();
    expect(exchanges).to.deep.include(exchange('test_world_notifications'));
    expect(queues).to.have.length(2);
  });

  it('T-08, T-09, T-10: a raw consumer sees the seven headers and the body of the original', async () => {
    const arrived = deferred<Delivery['message']>();
    const source = { kind: 'topic', exchange: 'test_world_exchange', pattern: '#' } as const;
    await (await open()).subscribe([source], (delivery) => {
      void delivery.settle('accept');
      arrived.resolve(delivery.message);
    });
    const client = serviceClient<Remotes>(await open(), { discovery: discovery(), source: 'script.main' });
    await client.test_world.world({ b: 'call' }).call({ correlationId: '123-456' });
    const { headers = {}, body } = await arrived.promise;
    expect(headers).to.have.all.keys(
      'correlation_id',
      'request_id',
      'message_id',
      'message_type',
      'reply_to',
      'source',
      'destination',
    );
    expect(headers).to.include({
      correlation_id: '123-456',
      message_type: 'request',
      reply_to: 'script',
      source: 'script.main',
      destination: 'test_world.world',
    });
    expect(Buffer.from(body).toString()).to.equal('{"payload":{"b":"call"},"context":{}}');
  });

  it('T-05, T-42: a server of two services has one connection, and so has a client that casts 10,000 times', async () => {
    await using proxy = await TcpProxy.open(broker);
    const url = vhost.url.replace(/@[^/]+/, `@127.0.0.1:${proxy.port}`);
    let handled = 0;
    const counting: Controller = { service: 'test_world', requests: { world: () => void handled++ } };
    await serve({ services: [counting, chuck] }, await open('', url));
    expect(proxy.connections.total).to.equal(1);
    const client = serviceClient<Remotes>(await open('', url), { discovery: discovery(), source: 'script' });
    for (let batch = 0; batch < 10; batch++)
      await Promise.all(Array.from({ length: 1_000 }, () => client.test_world.world({ b: '' }).cast()));
    await waitFor('all', () => handled >= 10_000, 30_000);
    expect(proxy.connections.total).to.equal(2);
  });

  it('T-44: goes on after its connection was lost, again and again', async () => {
    const name = `services-${newId()}`;
    let handled = 0;
    const counting: Controller = { service: 'test_world', requests: { world: () => void handled++ } };
    await serve({ services: [counting] }, await open(`?connectionName=${name}&reconnectMinMs=20`));
    const client = serviceClient<Remotes>(await open(), { discovery: discovery(), source: 'script' });
    for (let n = 1; n <= 3; n++) {
      await client.test_world.world({ b: '' }).cast();
      await waitFor('it', () => handled === n, 20_000);
      await broker.api.closeConnectionsNamed(name);
    }
  });

  it('T-45: a handler that takes longer than three heartbeats does not lose its connection', async () => {
    const began = deferred();
    const ended = deferred();
    const slow: Controller = {
      service: 'test_world',
      requests: {
        async world() {
          began.resolve();
          await pause(6_500);
          ended.resolve();
        },
      },
    };
    const transport = await open('?heartbeatMs=2000');
    await serve({ services: [slow] }, transport);
    const client = serviceClient<Remotes>(await open(), { discovery: discovery(), source: 'script' });
    await client.test_world.world({ b: '' }).cast();
    await began.promise;
    await ended.promise;
    expect(transport.status).to.include({ state: 'connected', generation: 1 });
  });

  describe('from a configuration file', () => {
    const children: TiedProcess[] = [];

    afterEach(async () => {
      for (const child of children.splice(0)) await child.stop();
    });

    const configure = (services: readonly string[], exchange: string): string => {
      const folder = makeTempFolder('services');
      writeFileSync(
        join(folder, 'services.ds'),
        '[test_hello]\nexchange=test_exchange\nnotifications=test_notifications\n\n[test_world]\nexchange=test_world_exchange\n',
      );
      const names: Readonly<{ [service: string]: string }> = {
        test_hello: 'HelloController',
        test_world: 'WorldController',
      };
      const config = {
        url: vhost.url,
        exchange,
        services: services.map((name) => ({
          name,
          controller: `${controllers}#${names[name]}`,
          discovery: 'services.ds',
          subscriptions: name === 'test_world' ? ['test_hello'] : [],
        })),
      };
      const file = join(folder, 'config.yaml');
      writeFileSync(file, JSON.stringify(config));
      return file;
    };

    const run = async (file: string): Promise<{ child: TiedProcess; lines: string[] }> => {
      const lines: string[] = [];
      const child = await TiedProcess.start(
        process.execPath,
        ['--import', 'tsx', '--conditions=@posthorn/source', command, 'services', 'run', file],
        { onLine: (line) => void lines.push(line) },
      );
      children.push(child);
      return { child, lines };
    };

    it('E1, T-47: posthorn services run hosts what the file says, and ends at SIGTERM', async () => {
      const hello = await run(configure(['test_hello'], 'test_exchange'));
      const world = await run(configure(['test_world'], 'test_world_exchange'));
      for (const { child, lines } of [hello, world])
        await waitFor('the services', () => lines.length > 0 || child.ended, 30_000);
      expect([hello.lines, world.lines]).to.deep.equal([['serving test_hello'], ['serving test_world']]);
      const client = serviceClient<Remotes>(await open(), { discovery: discovery(), source: 'script' });
      await client.test_hello.hello({ a: 1 }).cast();
      await waitFor('all', () => hello.lines.length === 3 && world.lines.length === 3);
      expect(hello.lines.slice(1)).to.deep.equal(['hello {"a":1}', 'response {"r":"world response"}']);
      expect(world.lines.slice(1)).to.have.members(['world {"b":"call"}', 'notification {"n":"hi"}']);
      for (const { child } of [hello, world]) {
        child.signal('SIGTERM');
        expect(await child.wait()).to.equal('code 0');
      }
    });

    it('T-43: a message whose process is killed while it is handled is handled by another process', async () => {
      const file = configure(['test_world'], 'test_world_exchange');
      const first = await run(file);
      await waitFor('the first', () => first.lines.length > 0, 30_000);
      const client = serviceClient<Remotes>(await open(), { discovery: discovery(), source: 'script' });
      await client.test_world.hang().cast();
      await waitFor('the message', () => first.lines.includes('hang {}'));
      const second = await run(file);
      await waitFor('the second', () => second.lines.length > 0, 30_000);
      first.child.signal('SIGKILL');
      await waitFor('the message again', () => second.lines.includes('hang {}'), 20_000);
    });

    it('T-47: a file with a wrong option is one line with its place, and exit code 1', async () => {
      const file = configure(['test_world'], 'test_world_exchange');
      writeFileSync(file, 'url: memory://\nexchange: e\nservices:\n  - name: a\n    controler: x\n');
      const { child } = await run(file);
      expect(await child.wait()).to.equal('code 1');
      expect(child.tail.join('\n')).to.match(/^posthorn: CONFIG: .*config\.yaml\.services\.0\.controller: /m);
    });
  });
});
