import { expect } from 'chai';
import {
  type Controller,
  rpcErrorMethod,
  rpcMethod,
  rpcResponseMethod,
  rpcService,
  ServiceRegistry,
  type ServiceRequest,
  subscriptionMethod,
} from '../src/index.ts';
import { System, thrownBy, until } from './support.ts';

@rpcService('hello')
class Hello {
  @rpcMethod('hello.hello')
  hello(): void {}
  @rpcResponseMethod('world.world')
  worldResponse(): void {}
  @rpcErrorMethod('world.world')
  worldError(): void {}
  @subscriptionMethod('world.news')
  news(): void {}
  helper(): void {}
}

const ENTRIES = ['request hello.hello', 'response world.world', 'error world.world', 'notification world.news'];

function add(...controllers: readonly unknown[]): ServiceRegistry {
  const registry = new ServiceRegistry();
  for (const controller of controllers) registry.add(controller as Controller);
  return registry;
}

describe('a registry of services', () => {
  it('T-01: lists exactly the handlers that a class bundles', () => {
    expect(add(Hello).entries).to.deep.equal(ENTRIES);
  });

  it('T-01: lists the same of a plain object', () => {
    const nothing = (): void => {};
    const plain = {
      service: 'hello',
      requests: { hello: nothing },
      responses: { 'world.world': nothing },
      errors: { 'world.world': nothing },
      subscriptions: { 'world.news': nothing },
    };
    expect(add(plain).entries).to.deep.equal(ENTRIES);
  });

  it('takes the handlers that a class inherits, and the overridden ones once', () => {
    @rpcService('hello')
    class Polite extends Hello {
      @rpcMethod('hello.hello')
      override hello(): void {}
      @rpcMethod('hello.bye')
      bye(): void {}
    }
    expect(add(Polite).entries.toSorted()).to.deep.equal([...ENTRIES, 'request hello.bye'].toSorted());
  });

  it('T-26: lets two classes serve one service, with different entry points', () => {
    expect(add(Hello, { service: 'hello', requests: { bye: () => undefined } }).entries).to.include(
      'request hello.bye',
    );
  });

  it('T-25: lets any number of classes subscribe to the same', () => {
    const subscriber = { service: 'hello', subscriptions: { 'world.news': () => undefined } };
    expect(add(Hello, subscriber, { ...subscriber }).entries).to.have.length(6);
  });

  class Undecorated {
    hello(): void {}
  }
  class WithoutService {
    @rpcMethod('hello.hello')
    greet(): void {}
  }
  @rpcService('hello')
  class Twice {
    @rpcMethod('hello.hello')
    one(): void {}
    @rpcMethod('hello.hello')
    two(): void {}
  }
  @rpcService('hello')
  class TwoPoints {
    @rpcMethod('hello.one')
    @rpcMethod('hello.two')
    both(): void {}
  }
  @rpcService('hello')
  class Foreign {
    @rpcMethod('world.world')
    world(): void {}
  }
  @rpcService('hello')
  class Shapeless {
    @rpcMethod('hello.a.b')
    deep(): void {}
  }

  const misuses: readonly (readonly [string, readonly unknown[], number, RegExp])[] = [
    ['T-01: a class without decorators', [Undecorated], 1005, /^Undecorated: /],
    ['T-01: something else', [42], 1005, /^42: /],
    ['a handler in a class without a service', [WithoutService], 1005, /^WithoutService\.greet: /],
    ['T-26: an entry point twice in a class', [Twice], 1024, /^Twice\.two: Twice\.one handles request hello\.hello/],
    ['T-26: a method with two entry points', [TwoPoints], 1028, /^TwoPoints\.both: /],
    ['T-26: an entry point in two classes', [Hello, another()], 1023, /^Another\.again: Hello\.hello handles/],
    ['a handler of requests to another service', [Foreign], 1022, /^Foreign\.world: .* world\.world/],
    ['T-04: an entry point of three parts', [Shapeless], 1006, /^Shapeless\.deep: /],
    ['a service with dots in its name', [{ service: 'a.b' }], 1006, /a\.b/],
    ['a handler that is no function', [{ service: 'a', requests: { b: 42 } }], 1005, /^a: request b: /],
  ];
  for (const [what, controllers, number, message] of misuses)
    it(`${what} is the error ${number}, which names the class and method`, () => {
      const error = thrownBy(() => add(...controllers));
      expect(error).to.include({ number });
      expect(error.message).to.match(message);
    });

  it('is told when its decorators stand at private or static methods, or are compiled the old way', () => {
    const decorate = rpcMethod('hello.hello') as (...args: readonly unknown[]) => void;
    const method = (): void => {};
    for (const [args, message] of [
      [[method, { kind: 'method', name: '#hello', private: true }], '#hello is private'],
      [[method, { kind: 'method', name: 'hello', static: true }], 'hello is static'],
      [[{}, 'hello', { value: method }], 'experimentalDecorators'],
    ] as const)
      expect(thrownBy(() => decorate(...args)).message).to.include(message);
  });

  it('T-03: is frozen by the start of its server', async () => {
    await using system = await System.open('hello');
    const server = await system.serve([Hello], { discovery: withPublisher(system) });
    expect(thrownBy(() => server.registry.add({ service: 'late' }))).to.include({
      name: 'RegistryFrozen',
      number: 1032,
    });
  });

  it('T-03: handlers are those of the start, whatever is assigned later', async () => {
    await using system = await System.open('hello');
    const ran: string[] = [];
    @rpcService('hello')
    class Changing {
      @rpcMethod('hello.hello')
      hello(_request: ServiceRequest): void {
        ran.push('original');
        this.hello = () => void ran.push('of one instance');
        Changing.prototype.hello = () => void ran.push('of the class');
      }
    }
    await system.serve([Changing]);
    for (let n = 0; n < 3; n++) await system.to('hello', 'hello').cast();
    await until('all', () => ran.length === 3);
    expect(ran).to.deep.equal(['original', 'original', 'original']);
  });
});

function another(): Controller {
  @rpcService('hello')
  class Another {
    @rpcMethod('hello.hello')
    again(): void {}
  }
  return Another;
}

function withPublisher({ discovery }: System): System['discovery'] {
  discovery.registerRemotePublisher('world', 'n');
  return discovery;
}
