import { expect } from 'chai';
import {
  type Controller,
  LocalDiscovery,
  rpcService,
  type ServiceNotification,
  type ServiceProxy,
  ServiceServer,
  subscriptionMethod,
} from '../src/index.ts';
import { rejection, System, thrownBy, until } from './support.ts';

describe('a server of services', () => {
  it('T-32: does not start with a service that has no discovery, and names it', async () => {
    await using system = await System.open();
    @rpcService('lonely')
    class Lonely {}
    const server = new ServiceServer(system.transport, { exchange: 'e', services: [Lonely] });
    const error = await rejection(server.start());
    expect(error).to.include({ name: 'DiscoveryMissing', number: 1034 });
    expect(error.message).to.match(/^Lonely: the service lonely /);
  });

  it('T-32: lets two services have two discoveries', async () => {
    await using system = await System.open('one', 'two');

    const blind = new LocalDiscovery();
    const server = new ServiceServer(system.transport, { exchange: 'e', discovery: blind });
    const asking = (service: string): Controller => ({ service, requests: { ask: () => ({}) } });
    server.registry.add(asking('one'));
    server.registry.add(asking('two'), system.discovery);
    await server.start();
    for (const service of ['one', 'two']) await system.to(service, 'ask').call({ replyTo: 'one' });
    await until(
      'one answer and one error',
      () => system.headersOf('response').length + system.logged('error').length === 2,
    );
    expect(system.headersOf('response').map(({ source }) => source)).to.deep.equal(['two.ask']);
    expect(system.logged('error')[0]).to.match(/^no response to one from one\.ask/);
  });

  it('does not start when what is subscribed to is not known, and names class and method', async () => {
    await using system = await System.open();
    @rpcService('world')
    class World {
      @subscriptionMethod('hello.hello')
      news(_notification: ServiceNotification): void {}
    }
    const error = await rejection(system.serve([World]));
    expect(error).to.include({ name: 'UnableToDiscover', number: 1007 });
    expect(error.message).to.match(/^World\.news: hello is not registered as a remote publisher/);
  });

  it('does not start without services', async () => {
    await using system = await System.open();
    expect(await rejection(system.serve([]))).to.include({ code: 'CONFIG', path: 'services' });
  });

  it('refuses the name of a shared queue where queues are not shared', async () => {
    await using system = await System.open();
    expect(thrownBy(() => new ServiceServer(system.transport, { exchange: 'e', queue: 'q' }))).to.include({
      path: 'queue',
    });
  });

  it('T-09: buries and logs what it cannot understand, and goes on', async () => {
    await using system = await System.open('world');
    const dead: unknown[] = [];
    await system.transport.subscribe([{ kind: 'group', name: 'e/world.dead' }], (delivery) => {
      dead.push(delivery.message.headers?.['ph-dead-reason']);
      void delivery.settle('accept');
    });
    let handled = 0;
    await system.serve([{ service: 'world', requests: { world: () => void handled++ } }]);
    const to = { kind: 'topic', exchange: 'e', key: 'world.world' } as const;
    await system.transport.send(to, { body: Buffer.from('{}'), headers: { message_type: 'request' } });
    await system.to('world', 'world').cast();
    await until('both', () => handled === 1 && dead.length === 1);
    expect(dead).to.deep.equal(['MALFORMED: a message without the header destination']);
    expect(system.logged('error')).to.have.length(1);
  });

  it('T-51: leaves nothing behind in the process that it was embedded in', async () => {
    // Mocha's own timer for this test runs from here on.
    await undefined;
    const before = process.getActiveResourcesInfo().toSorted();
    const system = await System.open('world');
    let handled = 0;
    const server = await system.serve([{ service: 'world', requests: { world: () => void handled++ } }]);
    await system.to('world', 'world').cast();
    await until('it', () => handled === 1);
    expect(await server.close()).to.deep.equal({ abandoned: [] });
    await system[Symbol.asyncDispose]();
    expect(process.getActiveResourcesInfo().toSorted()).to.deep.equal(before);
  });

  it('T-51: closes while it starts, and does not start once it is closed', async () => {
    await using system = await System.open('world');
    const server = new ServiceServer(system.transport, {
      exchange: 'e',
      discovery: system.discovery,
      services: [{ service: 'world' }],
    });
    const starting = server.start();
    expect(await server.close()).to.deep.equal({ abandoned: [] });
    await Promise.allSettled([starting]);
    expect(await rejection(new ServiceServer(system.transport, { exchange: 'e' }).start())).to.include({
      path: 'services',
    });
    expect(await rejection(server.start())).to.include({ code: 'CLOSED' });
    // Nobody is left to take it.
    await system.to('world', 'world').cast();
    await until('it', () => system.sent.length === 1);
  });

  it('T-46: logs each message at debug, with secrets masked, and sends them as they are', async () => {
    await using system = await System.open('world');
    const handled: unknown[] = [];
    await system.serve([
      { service: 'world', requests: { world: ({ headers }) => void handled.push(headers['Authorization']) } },
    ]);
    await system.to('world', 'world').cast({ headers: { Authorization: 's3cret' } });
    await until('it', () => handled.length > 0);
    const lines = system.lines.filter(({ level }) => level === 'debug');
    expect(lines.map(({ message }) => message)).to.deep.equal(['sending a message', 'received a message']);
    expect(JSON.stringify(lines)).to.include('"Authorization":"***"').and.not.to.include('s3cret');
    expect(handled).to.deep.equal(['s3cret']);
  });

  it('logs the failure of what a handler sent after its end', async () => {
    await using system = await System.open('world');
    const { promise: later, resolve: end } = deferred();
    const world = (_request: unknown, proxy: ServiceProxy): void => {
      void later.then(() => void proxy.publish({}));
    };
    await system.serve([{ service: 'world', requests: { world } }]);
    await system.to('world', 'world').cast();
    await system.to('world', 'world').cast();
    await until('both', () => system.lines.filter(({ message }) => message === 'received a message').length === 2);
    end();
    await until('the log', () => system.logged('error').length === 2);
    expect(system.logged('error')[0]).to.match(
      /^world: request world failed on a request: world is not registered as a local/,
    );
  });
});

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
