import { amqp1, type Broker, serveBroker } from '@posthorn/amqp1';
import { describeDriver, type Harness } from '@posthorn/conformance';
import { type Driver, parseTransportUrl } from '@posthorn/core';
import { TcpProxy } from '../src/tcp-proxy.ts';

describe('the conformance of amqp1:// on posthorn broker', () => {
  let broker: Broker;
  const proxies = new Map<Driver, TcpProxy>();
  const harness: Harness = {
    async connect(context) {
      const proxy = await TcpProxy.open({ host: '127.0.0.1', port: broker.port });
      const driver = await amqp1(parseTransportUrl(`amqp1://127.0.0.1:${proxy.port}?reconnectMinMs=20`), context);
      proxies.set(driver, proxy);
      return driver;
    },
    breakConnection: async (driver) => proxies.get(driver)?.cut(),
    // It keeps nothing, so that there is nothing to restart with; and it rejects what is too much.
    never: ['restart', 'block'],
  };

  before(async () => {
    broker = await serveBroker({ port: 0 });
  });

  afterEach(async () => {
    await Promise.all([...proxies.values()].map((proxy) => proxy.close()));
    proxies.clear();
  });

  after(() => broker.close());

  describeDriver('the AMQP 1.0 driver', harness);
});
