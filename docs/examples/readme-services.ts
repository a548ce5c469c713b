import { LocalDiscovery, ServiceServer as Server, type ServiceObject } from 'posthorn';
import { transport } from './place.ts';

process.chdir(import.meta.dirname);
const world: ServiceObject = {
  service: 'test_world',
  requests: { world: (_request, _proxy, { b }) => ({ r: `the world got ${b}` }) },
};
const discovered = new LocalDiscovery();
discovered.registerRemoteService('test_hello', 'test_exchange');
await new Server(transport, { exchange: 'test_world_exchange', discovery: discovered, services: [world] }).start();

// #region all
import {
  fileDiscovery,
  rpcMethod,
  rpcResponseMethod,
  rpcService,
  type ServiceProxy,
  type ServiceRequest,
  type ServiceResponse,
  ServiceServer,
  serviceClient,
} from 'posthorn';

interface Remotes {
  test_hello: { hello(params: { a: number }): void };
  test_world: { world(params: { b: number }): { r: string } };
}

@rpcService('test_hello')
class HelloController {
  @rpcMethod('test_hello.hello')
  async hello(_request: ServiceRequest, proxy: ServiceProxy<Remotes>, { a }: { a: number }) {
    await proxy.test_world.world({ b: a }).call(); // sent: the answer comes below
    await proxy.publish({ said: 'hello' }); // to all that subscribed to test_hello.hello
  }

  @rpcResponseMethod('test_world.world')
  answered(_response: ServiceResponse, _proxy: ServiceProxy<Remotes>, { r }: { r: string }) {
    console.log(r);
  }
}

const discovery = await fileDiscovery('services.ds', { service: 'test_hello' });
await new ServiceServer(transport, { exchange: 'test_exchange', discovery, services: [HelloController] }).start();

const everybody = await fileDiscovery('services.ds');
const client = serviceClient<Remotes>(transport, { discovery: everybody, source: 'script.main' });
await client.test_hello.hello({ a: 1 }).cast();
// #endregion all
