import {
  connect,
  LocalDiscovery,
  rpcErrorMethod,
  rpcMethod,
  rpcResponseMethod,
  rpcService,
  type ServiceFailure,
  type ServiceProxy,
  type ServiceRequest,
  type ServiceResponse,
  ServiceServer,
  serviceClient,
} from 'posthorn';
import { z } from 'zod';

// #region answers
interface Remotes {
  test_hello: { hello(params: { param: unknown }): void };
  test_world: { world(params: { param: unknown }): { param: string } };
}
type Proxy = ServiceProxy<Remotes>;

@rpcService('test_hello')
class HelloController {
  @rpcMethod('test_hello.hello')
  handler(_request: ServiceRequest, proxy: Proxy, { param }: { param: unknown }): void {
    console.log(param);
    proxy.test_world.world({ param }).call();
  }

  @rpcResponseMethod('test_world.world')
  world_resp(_response: ServiceResponse, _proxy: Proxy, { param }: { param: string }): void {
    // Handles responses from test_world.world
    console.log(param); // === 'world response'
  }

  @rpcErrorMethod('test_world.world')
  world_error(error: ServiceFailure): void {
    // Handles errors from test_world.world
    console.log(error.payload);
  }
}

@rpcService('test_world')
class WorldController {
  @rpcMethod('test_world.world', { params: z.object({ param: z.coerce.number() }) })
  world(_request: ServiceRequest, _proxy: Proxy, { param }: { param: number }): { param: string } {
    console.log(param); // === 12345
    return { param: 'world response' };
  }
}
// #endregion answers

const disc = new LocalDiscovery();
// register remote service's exchange to send requests, responses, errors
disc.registerRemoteService('test_hello', 'test_exchange');
disc.registerRemoteService('test_world', 'test_exchange');

const [url = 'memory://', param = '12345'] = process.argv.slice(2);
const transport = await connect(url);
const services = [HelloController, WorldController];
await new ServiceServer(transport, { exchange: 'test_exchange', discovery: disc, services }).start();

const client = serviceClient<Remotes>(transport, { discovery: disc, source: 'script.main' });
await client.test_hello.hello({ param }).cast();
