import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { type SinonFakeTimers, useFakeTimers } from 'sinon';
import { HttpDiscovery } from '../src/index.ts';
import { rejection } from './support.ts';

describe('a discovery behind HTTP', () => {
  let clock: SinonFakeTimers;
  let server: Server;
  let url: string;
  let answer: { status: number; body: string };
  let asked: number;

  beforeEach(async () => {
    asked = 0;
    answer = { status: 200, body: JSON.stringify({ world: { exchange: 'e1' } }) };
    server = createServer((_, response) => {
      asked++;
      response.writeHead(answer.status, { connection: 'close' }).end(answer.body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/services`;
    clock = useFakeTimers({ toFake: ['performance'] });
  });

  afterEach(async () => {
    clock.restore();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('T-31: asks once for all that is needed within the time to live', async () => {
    const discovery = new HttpDiscovery(url, { ttlMs: 1_000 });
    expect(await Promise.all([discovery.remoteService('world'), discovery.remoteService('world')])).to.deep.equal([
      'e1',
      'e1',
    ]);
    clock.tick(999);
    expect(await discovery.remoteService('world')).to.equal('e1');
    expect(asked).to.equal(1);
  });

  it('T-31: sees a change once the time to live is over', async () => {
    const discovery = new HttpDiscovery(url, { ttlMs: 1_000 });
    await discovery.remoteService('world');
    answer.body = JSON.stringify({ world: { exchange: 'e2' } });
    clock.tick(500);
    expect(await discovery.remoteService('world')).to.equal('e1');
    clock.tick(500);
    expect(await discovery.remoteService('world')).to.equal('e2');
  });

  for (const [what, broken] of [
    ['is down', { status: 503, body: '' }],
    ['answers nonsense', { status: 200, body: '<html>' }],
    ['answers something else', { status: 200, body: '{"world":{}}' }],
  ] as const)
    it(`T-31: uses the last good list while the source ${what}, and asks no more often for that`, async () => {
      const warned: string[] = [];
      const nothing = (): void => {};
      const logger = {
        debug: nothing,
        info: nothing,
        error: nothing,
        warn: (_: object, text = '') => void warned.push(text),
      };
      const discovery = new HttpDiscovery(url, { ttlMs: 1_000, logger });
      await discovery.remoteService('world');
      const good = answer;
      answer = broken;
      clock.tick(1_000);
      expect(await discovery.remoteService('world')).to.equal('e1');
      expect(await discovery.remoteService('world')).to.equal('e1');
      expect([asked, warned.length]).to.deep.equal([2, 1]);
      answer = { ...good, body: JSON.stringify({ world: { exchange: 'e2' } }) };
      clock.tick(1_000);
      expect(await discovery.remoteService('world')).to.equal('e2');
    });

  it('T-31: is UnableToDiscover when the source never answered, and asks again for the next', async () => {
    answer = { status: 500, body: '' };
    const discovery = new HttpDiscovery(url);
    expect(await rejection(discovery.remoteService('world'))).to.include({ name: 'UnableToDiscover', number: 1007 });
    answer = { status: 200, body: JSON.stringify({ world: { exchange: 'e1' } }) };
    expect(await discovery.remoteService('world')).to.equal('e1');
  });

  it('T-31: gives up a question that takes too long', async () => {
    server.removeAllListeners('request');
    const discovery = new HttpDiscovery(url, { timeoutMs: 50 });
    expect(await rejection(discovery.remoteService('world'))).to.include({ name: 'UnableToDiscover' });
  });

  it('T-31: sees the list as its service does', async () => {
    answer.body = JSON.stringify({
      hello: { exchange: 'e', notifications: 'n' },
      world: { exchange: 'e1', notifications: 'm' },
    });
    const discovery = new HttpDiscovery(url, { service: 'hello', subscriptions: ['world'] });
    expect(await discovery.localPublisher('hello')).to.equal('n');
    expect(await discovery.remotePublisher('world')).to.equal('m');
    expect(await rejection(discovery.remoteService('hello'))).to.include({ name: 'UnableToDiscover' });
  });
});
