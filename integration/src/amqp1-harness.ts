import { type Amqp1Options, amqp1 } from '@posthorn/amqp1';
import type { Harness } from '@posthorn/conformance';
import { type Driver, parseTransportUrl } from '@posthorn/core';
import { type RabbitAddress, rabbitUrl } from './rabbit.ts';
import { skip } from './skip.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** Where a broker speaks AMQP 1.0. */
export interface Amqp1Place extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** The URL of the broker, or of what stands before it. */
  url(parts?: { readonly port: number }): string;
  readonly restart?: Harness['restart'];
  readonly block?: Harness['block'];
  readonly never?: Harness['never'];
  readonly knownGaps?: Harness['knownGaps'];
}

/** The URL by which a RabbitMQ is spoken to in AMQP 1.0. */
export function amqp1Url(address: RabbitAddress, parts: Partial<RabbitAddress> = {}): string {
  return rabbitUrl(address, parts).replace('rabbit:', 'amqp1:');
}

/**
 * The AMQP 1.0 driver for the conformance suite, each connection through a proxy that can cut it. To be called in a
 * `describe`: it registers the hooks that find the broker, or skip.
 */
export function amqp1Harness(
  name: string,
  find: () => Promise<Amqp1Place | { readonly skip: string }>,
  options: Amqp1Options = {},
): Harness {
  let place: Amqp1Place | undefined;
  const proxies = new Map<Driver, TcpProxy>();
  const harness: { -readonly [Key in keyof Harness]: Harness[Key] } = {
    async connect(context) {
      if (place === undefined) throw new Error(`there is no ${name}`);
      const proxy = await TcpProxy.open(place);
      const quick = { reconnectMinMs: 20, ...options };
      const driver = await amqp1(parseTransportUrl(place.url({ port: proxy.port })), context, quick);
      proxies.set(driver, proxy);
      return driver;
    },
    breakConnection: async (driver) => proxies.get(driver)?.cut(),
  };

  before(async function () {
    this.timeout(180_000);
    const found = await find();
    if ('skip' in found) skip(this, name, found.skip);
    place = found;
    const { restart, block, never, knownGaps } = found;
    const abilities = { ...(restart && { restart }), ...(block && { block }), ...(never && { never }) };
    Object.assign(harness, { ...abilities, ...(knownGaps && { knownGaps }) });
  });

  afterEach(async () => {
    await Promise.all([...proxies.values()].map((proxy) => proxy.close()));
    proxies.clear();
  });

  after(async () => {
    await place?.[Symbol.asyncDispose]();
  });

  return harness;
}
