import type { Harness } from '@posthorn/conformance';
import { type Driver, parseTransportUrl } from '@posthorn/core';
import { type RabbitOptions, rabbit } from '@posthorn/rabbit';
import { isSkip, type RabbitCandidate, rabbitUrl } from './rabbit-broker.ts';
import { skip } from './skip.ts';
import { TcpProxy } from './tcp-proxy.ts';
import { openVhost, type Vhost } from './vhost.ts';

/**
 * The RabbitMQ driver with these options for the conformance suite: in a vhost of its own, each connection through a
 * proxy that can cut it. Restarts and memory alarms are there where the broker is ours. To be called in a `describe`:
 * it registers the hooks that find the broker, or skip.
 */
export function rabbitHarness({ name, find }: RabbitCandidate, options: RabbitOptions): Harness {
  let vhost: Vhost;
  const proxies = new Map<Driver, TcpProxy>();
  const harness: { -readonly [Key in keyof Harness]: Harness[Key] } = {
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

  return harness;
}
