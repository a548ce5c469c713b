import { setImmediate as turn } from 'node:timers/promises';
import { type Activity, processing, sending } from '@posthorn/core';
import { expect } from 'chai';
import type { Controller, ServiceProxy, ServiceRequest } from '../src/index.ts';
import { System, until } from './support.ts';

type Ended = Activity & { readonly error?: unknown };

/** Follows both channels as a tracer does: what is sent says within what it is, and within what it was sent. */
class Follower implements Disposable {
  readonly ended: string[] = [];
  readonly failures: unknown[] = [];
  #within = '';
  readonly #channels = [sending, processing].map((channel) => {
    const subscribers = {
      start: (activity: Activity) => this.#start(activity, channel === sending),
      end: () => {},
      asyncStart: () => {},
      asyncEnd: (activity: Ended) => this.#end(activity),
      error: () => {},
    };
    channel.subscribe(subscribers);
    return { channel, subscribers };
  });

  #start(activity: Activity, isSent: boolean): void {
    if (isSent) activity.headers['trace'] = this.#within;
    else
      activity.within = (work) => {
        this.#within = `${activity.operation} ${activity.name}`;
        return work();
      };
  }

  #end({ pattern, operation, name, exchange, topic, id, headers, content, error, failure }: Ended): void {
    expect(pattern).to.equal('services');
    expect(id).to.match(/^[0-9a-f]{32}$/);
    expect(content).to.be.an('object');
    this.ended.push(`${operation} ${name} at ${exchange}/${topic} in ${headers['trace'] || 'nothing'}`);
    if (error !== undefined || failure !== undefined) this.failures.push(error ?? failure);
  }

  [Symbol.dispose](): void {
    for (const { channel, subscribers } of this.#channels) channel.unsubscribe(subscribers);
  }
}

/** A request is answered, after an await, and told to a subscriber. */
const SERVICES: readonly Controller[] = [
  {
    service: 'world',
    requests: {
      async ask(_request: ServiceRequest, proxy: ServiceProxy) {
        await turn();
        await proxy.publish({ n: 1 });
        return { n: 2 };
      },
      fail() {
        throw new RangeError('no world');
      },
    },
  },
  {
    service: 'hello',
    responses: { 'world.ask': () => undefined },
    errors: { 'world.fail': () => undefined },
    subscriptions: { 'world.ask': () => undefined },
  },
];

describe('services, as the channels of diagnostics tell of them', () => {
  const open = async (): Promise<System> => {
    const system = await System.open('world', 'hello');
    system.discovery.registerLocalPublisher('world', 'n');
    system.discovery.registerRemotePublisher('world', 'n');
    await system.serve(SERVICES);
    return system;
  };

  it('are requests, what answers them and what is published meanwhile, with headers that travel', async () => {
    await using system = await open();
    using follower = new Follower();
    await system.to('world', 'ask').call({ replyTo: 'hello', headers: { tenant: 'blue' } });
    await until('the end', () => follower.ended.length === 6);
    expect(follower.ended.toSorted()).to.deep.equal([
      'answer world.ask at e.answers/hello in serve world.ask',
      'call world.ask at e/world.ask in nothing',
      'listen world.ask at e.answers/hello in serve world.ask',
      'publish world.ask at n/world.ask in serve world.ask',
      'serve world.ask at e/world.ask in nothing',
      'subscribe world.ask at n/world.ask in serve world.ask',
    ]);
    expect(follower.failures).to.deep.equal([]);
    expect(system.headersOf('request')).to.have.nested.property('0.tenant', 'blue');
  });

  it('fail with what the handler threw, though the message is done with', async () => {
    await using system = await open();
    using follower = new Follower();
    await system.to('world', 'fail').call({ replyTo: 'hello' });
    await until('the end', () => follower.ended.length === 4);
    expect(follower.failures.map(String)).to.deep.equal(['RangeError: no world']);
    expect(follower.ended).to.include('answer world.fail at e.answers/hello in serve world.fail');
  });

  it('carry no header more when nobody listens', async () => {
    await using system = await open();
    await system.to('world', 'ask').cast();
    await until('the request', () => system.headersOf('request').length === 1);
    expect(system.headersOf('request')[0]).to.not.have.property('trace');
  });
});
