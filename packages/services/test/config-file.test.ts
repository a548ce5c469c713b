import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Transport } from '@posthorn/core';
import { expect } from 'chai';
import { configuredServer, fileDiscovery, readServicesConfig, serviceClient } from '../src/index.ts';
import { open, rejection, remote, until } from './support.ts';

const CONFIG = `
url: memory://
exchange: world_exchange
executor: serial
services:
  - { name: hello, controller: ./controllers.mjs#hello, discovery: services.ds }
  - name: world
    controller: ./controllers.mjs
    discovery: services.ds
    subscriptions: [hello]
`;
const CONTROLLERS = `
export const seen = [];
export const hello = {
  service: 'hello',
  requests: { hello: async (request, proxy) => { await proxy.publish({}); await proxy.world.world({ a: 1 }).call(); } },
  responses: { 'world.world': (response) => { seen.push(response.payload); } },
};
export default {
  service: 'world',
  requests: { world: () => ({ r: 2 }) },
  subscriptions: { 'hello.hello': (notification) => { seen.push(notification.type); } },
};
`;
const SERVICES = '[hello]\nexchange=world_exchange\nnotifications=n\n[world]\nexchange=world_exchange\n';

describe('a configuration file of services', () => {
  let folder: string;
  let transport: Transport;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'posthorn-services-'));
    writeFileSync(join(folder, 'controllers.mjs'), CONTROLLERS);
    writeFileSync(join(folder, 'services.ds'), SERVICES);
    transport = await open();
  });

  afterEach(async () => {
    await transport.close();
    await rm(folder, { recursive: true });
  });

  const write = (text: string): string => {
    const file = join(folder, 'config.yaml');
    writeFileSync(file, text);
    return file;
  };

  it('T-47: starts the services that it names', async () => {
    const server = await configuredServer(transport, await readServicesConfig(write(CONFIG)));
    await server.start();
    const discovery = await fileDiscovery(join(folder, 'services.ds'));
    await remote(serviceClient(transport, { discovery, source: 'script' }), 'hello', 'hello').cast();
    const { seen } = (await import(join(folder, 'controllers.mjs'))) as { seen: unknown[] };
    await until('both', () => seen.length === 2);
    expect(seen).to.have.deep.members(['notification', { r: 2 }]);
  });

  for (const [what, text, path, message] of [
    ['an unknown key', CONFIG.replace('exchange:', 'exchanges: x\nexchange:'), 'exchanges', 'no such option'],
    [
      'an unknown key of a service',
      CONFIG.replace('subscriptions', 'subscribes'),
      'services.1.subscribes',
      'no such option',
    ],
    ['a value of the wrong kind', CONFIG.replace('executor: serial', 'prefetch: many'), 'prefetch', 'expected'],
    ['no services', 'url: memory://\nexchange: e\nservices: []\n', 'services', 'Too small'],
  ] as const)
    it(`T-47: is refused with ${what}, and its exact place`, async () => {
      const file = write(text);
      const error = await rejection(readServicesConfig(file));
      expect(error).to.include({ code: 'CONFIG', path: `${file}.${path}` });
      expect(error.message).to.include(message);
    });

  it('T-47: is refused when it is no YAML, or not there', async () => {
    expect(await rejection(readServicesConfig(write('{')))).to.include({ code: 'CONFIG' });
    expect((await rejection(readServicesConfig(join(folder, 'none.yaml')))).message).to.match(/none\.yaml: ENOENT/);
  });

  for (const [what, from, to, message] of [
    [
      'a module that is not there',
      './controllers.mjs#hello',
      './none.mjs#hello',
      /services\.0\.controller: cannot load \.\/none\.mjs: /,
    ],
    ['an export that is not there', '#hello', '#none', /services\.0\.controller: .* does not export none/],
    [
      'a controller of another service',
      'name: hello',
      'name: other',
      /services\.0\.name: "other", but .* is the service hello/,
    ],
  ] as const)
    it(`T-47: is refused with ${what}`, async () => {
      const config = await readServicesConfig(write(CONFIG.replace(from, to)));
      expect((await rejection(configuredServer(transport, config))).message).to.match(message);
    });
});
