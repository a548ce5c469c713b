import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { serveBroker } from '@posthorn/amqp1';
import { expect } from 'chai';
import { HeldCount } from '../src/amqp1-held.ts';
import { NodePeer } from '../src/node-peer.ts';
import { rabbitUrl } from '../src/rabbit.ts';
import { needRabbit } from '../src/rabbit-lab.ts';
import { figures, SOAKING, times } from '../src/soak.ts';
import { TcpProxy } from '../src/tcp-proxy.ts';
import { openVhost, type Vhost } from '../src/vhost.ts';
import { waitFor } from '../src/wait-for.ts';

const PROBE = fileURLToPath(new URL('./programs/leak-probe.ts', import.meta.url));

interface Look {
  readonly heapBytes: number;
  readonly resources: Readonly<Record<string, number>>;
  readonly processListeners: number;
  readonly abortListeners: number;
  readonly pending: number;
  readonly generation: number;
}

async function look(probe: NodePeer, when: string): Promise<Look> {
  const line = await probe.line(when);
  return JSON.parse(line.slice(when.length));
}

function expectNoLeak(before: Look, after: Look, reconnects: number): void {
  const { heapBytes: heapBefore, generation: first, ...countsBefore } = before;
  const { heapBytes: heapAfter, generation: last, ...countsAfter } = after;
  expect(last - first).to.equal(reconnects);
  expect(countsAfter).to.deep.equal(countsBefore);
  expect(countsAfter.pending).to.equal(0);
  expect(countsAfter.abortListeners).to.equal(0);
  expect(heapAfter, 'bytes of heap').to.be.below(heapBefore * 1.05 + 2 * 1024 * 1024);
}

describe('what is left behind', () => {
  it('immunity 15: nothing, on memory, by 500 reconnects and 100,000 calls', async function () {
    this.timeout(120_000);
    const probe = await NodePeer.start(PROBE, ['memory://', '100000', '500'], ['--expose-gc']);
    const before = await look(probe, 'before');
    probe.tell('go');
    const after = await look(probe, 'after');
    probe.tell('end');
    expect(await probe.wait()).to.equal('code 0');
    expectNoLeak(before, after, 500);
    figures('memory', { calls: 100_000, reconnects: 500, before, after });
  });

  const [calls, reconnects] = [times(10_000, 100_000), times(50, 500)];
  it(`immunity 15: nothing, on posthorn broker, by ${reconnects} reconnects and ${calls} calls`, async function () {
    this.timeout(SOAKING ? 600_000 : 120_000);
    await using broker = await serveBroker({ port: 0 });
    await using proxy = await TcpProxy.open({ host: '127.0.0.1', port: broker.port });
    const count = new HeldCount(proxy);
    const url = `amqp1://127.0.0.1:${proxy.port}?reconnectMinMs=1&reconnectMaxMs=10`;
    const probe = await NodePeer.start(PROBE, [url, `${calls}`, `${reconnects}`], ['--expose-gc'], (line) => {
      if (line === 'cut me') proxy.reset();
    });
    const before = await look(probe, 'before');
    const { held } = count;
    expect(held).to.deep.equal(HELD_LINKS);
    probe.tell('go');
    const after = await look(probe, 'after');
    expect(count.held).to.deep.equal(held);
    expect(proxy.connections.now).to.equal(1);
    probe.tell('end');
    expect(await probe.wait()).to.equal('code 0');
    expectNoLeak(before, after, reconnects);
    figures('posthorn broker', { calls, reconnects, before, after, held });
  });

  it(`immunity 15: nothing, on RabbitMQ, by ${reconnects} reconnects and ${calls} calls`, async function () {
    this.timeout(SOAKING ? 600_000 : 120_000);
    await using vhost = await openVhost(await needRabbit(this));
    await using proxy = await TcpProxy.open(vhost);
    const url = `${rabbitUrl(vhost, { port: proxy.port })}?reconnectMinMs=1&reconnectMaxMs=10`;
    let cuts = 0;
    const probe = await NodePeer.start(PROBE, [url, `${calls}`, `${reconnects}`], ['--expose-gc'], (line) => {
      if (line !== 'cut me') return;
      cuts++;
      proxy.reset();
    });
    const before = await look(probe, 'before');
    await oneOfEach(vhost);
    probe.tell('go');
    const after = await look(probe, 'after');
    expect(cuts).to.equal(5 + reconnects);
    await oneOfEach(vhost);
    expect(proxy.connections.now).to.equal(1);
    probe.tell('end');
    expect(await probe.wait()).to.equal('code 0');
    expectNoLeak(before, after, reconnects);
    figures('RabbitMQ', { calls, reconnects, before, after });
  });
});

/** The server's three, the client's for replies, and one to send by, each on a session of its own. */
const HELD_LINKS = { sessions: 5, links: 5 };

/** The server's three queues and the client's for replies, each with a consumer on a channel; and two to publish on. */
const HELD = { connections: 1, channels: 6, consumers: 4, queues: 4 };

/** Resolves when the broker lists in the vhost what one client and one server hold, and nothing besides. */
async function oneOfEach({ vhost, broker: { api } }: Vhost): Promise<void> {
  let held = {};
  const isSo = async (): Promise<boolean> => {
    const connections = (await api?.connections())?.filter((one) => one.vhost === vhost) ?? [];
    held = {
      connections: connections.length,
      channels: connections.reduce((sum, { channels = 0 }) => sum + channels, 0),
      consumers: (await api?.consumers(vhost))?.length,
      queues: (await api?.queues(vhost))?.length,
    };
    return isDeepStrictEqual(held, HELD);
  };
  await waitFor('the broker to list what is held', isSo).catch(() => expect(held).to.deep.equal(HELD));
}
