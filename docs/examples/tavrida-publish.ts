import {
  connect,
  LocalDiscovery,
  rpcMethod,
  rpcService,
  type ServiceNotification,
  type ServiceProxy,
  type ServiceRequest,
  ServiceServer,
  serviceClient,
  subscriptionMethod,
} from 'posthorn';

// #region controllers
@rpcService('test_hello')
class HelloController {
  @rpcMethod('test_hello.hello')
  handler(_request: ServiceRequest, proxy: ServiceProxy, { param }: { param: string }): void {
    console.log(param);
    proxy.publish({ param: 'hello publication' });
  }
}

@rpcService('test_world')
class WorldController {
  @subscriptionMethod('test_hello.hello')
  hello_subscription(_notification: ServiceNotification, _proxy: ServiceProxy, { param }: { param: string }): void {
    console.log(param); // === 'hello publication'
  }
}
// #endregion controllers

// #region discovery
const disc = new LocalDiscovery();
// register remote service's exchange to send requests, responses, errors
disc.registerRemoteService('test_hello', 'test_exchange');
// register service's notification exchange to publish notifications
disc.registerLocalPublisher('test_hello', 'test_notification_exchange');
// register remote notification exchange to bind to and get notifications (subscribe)
disc.registerRemotePublisher('test_hello', 'test_notification_exchange');
// #endregion discovery

const [url = 'memory://'] = process.argv.slice(2);
const transport = await connect(url);
// #region server
const services = [HelloController, WorldController];
await new ServiceServer(transport, { exchange: 'test_exchange', discovery: disc, services }).start();
// #endregion server

interface Remotes {
  test_hello: { hello(params: { param: string }): void };
}
// #region client
const client = serviceClient<Remotes>(transport, { discovery: disc, source: 'script.main' });
await client.test_hello.hello({ param: 'hello' }).cast();
// #endregion client
