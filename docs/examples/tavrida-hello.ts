import {
  connect,
  LocalDiscovery,
  rpcMethod,
  rpcService,
  type ServiceProxy,
  type ServiceRequest,
  ServiceServer,
  serviceClient,
} from 'posthorn';

@rpcService('test_hello')
class HelloController {
  @rpcMethod('test_hello.hello')
  handler(_request: ServiceRequest, _proxy: ServiceProxy, { param }: { param: string }): void {
    console.log(param);
  }
}

const [url = 'memory://'] = process.argv.slice(2);
const transport = await connect(url);
const discovery = new LocalDiscovery();
// register remote service's exchange to send requests, responses, errors
discovery.registerRemoteService('test_hello', 'test_exchange');
await new ServiceServer(transport, { exchange: 'test_exchange', discovery, services: [HelloController] }).start();

interface Remotes {
  test_hello: { hello(params: { param: string }): void };
}
const client = serviceClient<Remotes>(transport, { discovery, source: 'script.main' });
await client.test_hello.hello({ param: 'hello' }).cast();
