import { describeDriver, type Harness } from '@posthorn/conformance';
import { type Driver, parseTransportUrl } from '@posthorn/core';
import { type RabbitOptions, rabbit } from '@posthorn/rabbit';
import { isSkip, rabbitUrl, rabbitVersions } from '../src/rabbit-broker.ts';
import { skip } from '../src/skip.ts';
import { TcpProxy } from '../src/tcp-proxy.ts';
import { openVhost, type Vhost } from '../src/vhost.ts';

const WAYS: readonly RabbitOptions[] = [{}, { connections: 'split' }];

for (const { name, find } of rabbitVersions()) {
  for (const options of WAYS) {
    describe(`the conformance of ${name} ${JSON.stringify(options)}`, () => {
      let vhost: Vhost;
      const proxies = new Map<Driver, TcpProxy>();
      const harness: Harness = {
        async connect(context) {
          const proxy = await TcpProxy.open(vhost);
          const url = rabbitUrl(vhost, { host: '127.0.0.1', port: proxy.port });
          const driver = await rabbit(parseTransportUrl(url), context, options);
          proxies.set(driver, proxy);
          return driver;
        },
        breakConnection: async (driver) => proxies.get(driver)?.cut(),
      };

      before(async function () {
        this.timeout(120_000);
        const broker = await find();
        if (isSkip(broker)) skip(this, name, broker.skip);
        vhost = await openVhost(broker);
        const { restart, ctl } = broker;
        if (restart !== undefined) harness.restart = () => restart.call(broker);
        if (ctl === undefined) return;
        const watermark = (bytes: string) => ctl.call(broker, 'set_vm_memory_high_watermark', 'absolute', bytes);
        harness.block = async () => {
          await watermark('1MB');
          return async () => void (await watermark('1GB'));
        };
      });

      afterEach(async () => {
        await Promise.all([...proxies.values()].map((proxy) => proxy.close()));
        proxies.clear();
      });

      after(async () => {
        await vhost?.[Symbol.asyncDispose]();
      });

      describeDriver('the RabbitMQ driver', harness);
    });
  }
}
