/** The controllers of a configuration file. `hang` never ends. */
import {
  rpcErrorMethod,
  rpcMethod,
  rpcResponseMethod,
  rpcService,
  type ServiceFailure,
  type ServiceMessage,
  type ServiceProxy,
  type ServiceRequest,
  subscriptionMethod,
} from 'posthorn';

interface Remotes {
  readonly test_world: { world(params: { b: string }): { r: string } };
}

const tell = (handler: string, { payload }: ServiceMessage): void => console.log(handler, JSON.stringify(payload));

@rpcService('test_hello')
export class HelloController {
  @rpcMethod('test_hello.hello')
  async hello(request: ServiceRequest, proxy: ServiceProxy<Remotes>): Promise<void> {
    tell('hello', request);
    await proxy.test_world.world({ b: 'call' }).call();
    await proxy.publish({ n: 'hi' });
  }

  @rpcResponseMethod('test_world.world')
  response(response: ServiceMessage): void {
    tell('response', response);
  }

  @rpcErrorMethod('test_world.world')
  error(error: ServiceFailure): void {
    tell('error', error);
  }
}

@rpcService('test_world')
export class WorldController {
  @rpcMethod('test_world.world')
  world(request: ServiceRequest): { r: string } {
    tell('world', request);
    return { r: 'world response' };
  }

  @rpcMethod('test_world.hang')
  hang(request: ServiceRequest): Promise<void> {
    tell('hang', request);
    return new Promise(() => {});
  }

  @subscriptionMethod('test_hello.hello')
  notification(notification: ServiceMessage): void {
    tell('notification', notification);
  }
}
