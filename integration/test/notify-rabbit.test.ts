import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { Heard, NotifyLab } from '@posthorn/conformance';
import { newId, profiles } from '@posthorn/core';
import { httpNotifications, PRIORITIES } from '@posthorn/notify';
import { oslo } from '@posthorn/oslo';
import { expect } from 'chai';
import { connect } from 'posthorn';
import { listenOnFreePort } from '../src/free-port.ts';
import type { ManagementApi } from '../src/management.ts';
import { PublishTap } from '../src/publish-tap.ts';
import { type RabbitBroker, rabbitUrl } from '../src/rabbit-broker.ts';
import { needOwnRabbit, needRabbit } from '../src/rabbit-lab.ts';
import { TcpProxy } from '../src/tcp-proxy.ts';
import { TiedProcess } from '../src/tied-process.ts';
import type { TransportUnderTest } from '../src/transports.ts';
import { waitFor } from '../src/wait-for.ts';

const program = (name: string): string => fileURLToPath(new URL(`./programs/${name}.ts`, import.meta.url));
const command = fileURLToPath(new URL('../../packages/posthorn/src/cli.ts', import.meta.url));

/** A child in TypeScript, and what it printed on standard output. */
async function run(file: string, ...args: string[]): Promise<{ child: TiedProcess; lines: string[] }> {
  const lines: string[] = [];
  const flags = ['--import', 'tsx', '--conditions=@posthorn/source'];
  const child = await TiedProcess.start(process.execPath, [...flags, file, ...args], {
    onLine: (line) => void lines.push(line),
  });
  return { child, lines };
}

function at(url: string): TransportUnderTest {
  return { name: 'RabbitMQ', ready: async () => undefined, connect: (options) => connect(url, options) };
}

describe('notifications on RabbitMQ', function () {
  this.timeout(60_000);
  let broker: RabbitBroker & { readonly api: ManagementApi };

  before(async function () {
    this.timeout(180_000);
    broker = await needRabbit(this);
  });

  it('R-18: a listener killed while it handles an event: another handles it', async () => {
    await using lab = new NotifyLab(at(broker.url));
    const { child, lines } = await run(program('listen-and-hang'), broker.url, lab.topic);
    try {
      await waitFor('the listener', () => lines.includes('listening'), 30_000);
      await (await lab.notifier()).info({}, 'e', {});
      await waitFor('the event', () => lines.includes('begun e'));
      const heard = new Heard();
      await lab.listen([heard.endpoint]);
      child.signal('SIGKILL');
      expect(await heard.first(1)).to.deep.equal(['e']);
    } finally {
      await child.stop();
    }
  });

  it('R-09: a notification is persistent, mandatory and confirmed, with its id, and costs one publish', async () => {
    await using tap = await PublishTap.open(broker);
    await using lab = new NotifyLab(at(rabbitUrl(broker, { port: tap.port })));
    const frames: string[] = [];
    const heard = new Heard();
    await lab.listen([heard.endpoint], { on: await lab.connect() });
    const notifier = await lab.notifier();
    await notifier.info({}, 'first', {});
    tap.proxy.onFrame((frame, direction) => direction === 'client->broker' && frames.push(frame.name ?? ''));
    let confirmed = false;
    const ack = new Promise<void>((resolve) => {
      tap.proxy.onFrame((frame, direction) => {
        if (direction === 'broker->client' && frame.name === 'basic.ack') {
          confirmed = true;
          resolve();
        }
      });
    });
    await notifier.info({}, 'second', {});
    expect(confirmed, 'it resolves with the confirm, not before').to.equal(true);
    await ack;
    await heard.first(2);
    expect(profiles.notify).to.deep.equal({ confirm: true, unrouted: 'keep', persistent: true });
    const [, second] = tap.published;
    expect(second).to.deep.include({
      exchange: 'posthorn',
      routingKey: `${lab.topic}.info`,
      mandatory: true,
      immediate: false,
    });
    expect(second?.properties).to.deep.equal({
      contentType: 'application/json',
      deliveryMode: 2,
      messageId: heard.all[1]?.id,
    });
    expect(tap.published).to.have.length(2);
    expect(frames.filter((name) => /declare|bind|open/.test(name))).to.deep.equal([]);
  });

  it('M-18: one warning tells that nobody listens, however many events come at once', async () => {
    await using lab = new NotifyLab(at(broker.url));
    const notifier = await lab.notifier();
    await Promise.all(Array.from({ length: 100 }, () => notifier.info({}, 'e', {})));
    await notifier.info({}, 'e', {});
    const queue = encodeURIComponent(lab.defaultGroup('info'));
    expect(lab.logged('warn')).to.deep.equal([
      {
        message: 'nobody listens: messages are kept in a queue',
        fields: { to: `topic posthorn/${lab.topic}.info`, queue },
      },
    ]);
    const info = await waitFor('the queue to be full', async () => {
      const found = await broker.api.queue(queue, broker.vhost);
      return found?.messages === 101 && found;
    });
    expect(info.durable).to.equal(true);
  });

  it('M-18: the queue of a sender heals when somebody deletes it', async () => {
    await using lab = new NotifyLab(at(broker.url));
    const notifier = await lab.notifier();
    await notifier.info({}, 'lost with its queue', {});
    await broker.api.deleteQueue(encodeURIComponent(lab.defaultGroup('info')), broker.vhost);
    await notifier.info({}, 'kept', {});
    const heard = new Heard();
    await lab.listen([heard.endpoint]);
    await notifier.info({}, 'fence', {});
    expect(await heard.before('fence')).to.deep.equal(['kept']);
  });

  it('M-18: with two pools and no default listener there is no default queue at all', async () => {
    await using lab = new NotifyLab(at(broker.url));
    const pools = [new Heard(), new Heard()];
    for (const [n, { endpoint }] of pools.entries()) await lab.listen([endpoint], { pool: `${lab.topic}-${n}` });
    const notifier = await lab.notifier();
    await Promise.all(PRIORITIES.map((priority) => notifier.notify(priority, {}, priority, {})));
    for (const heard of pools) await heard.first(PRIORITIES.length);
    const names = (await broker.api.queues(broker.vhost)).map(({ name }) => name);
    expect(names.filter((name) => name.includes(lab.topic)).sort()).to.deep.equal(
      pools.map((_, n) => `${lab.topic}-${n}`),
    );
  });

  it('events that were told before a restart of the broker, and before any listener, arrive after it', async function () {
    this.timeout(180_000);
    const own = await needOwnRabbit(this);
    for (const wire of ['native', 'oslo'] as const) {
      await using lab = new NotifyLab(at(own.url));
      // Natively queues are durable by default.
      const options = wire === 'oslo' ? { wire: oslo({ durability: 'durable', exchange: newId() }) } : {};
      const notifier = await lab.notifier({ on: await lab.connect(options) });
      for (const event of ['one', 'two']) await notifier.info({}, event, {});
      await own.restart();
      const heard = new Heard();
      await lab.listen([heard.endpoint], { on: await lab.connect(options) });
      expect(await heard.first(2), wire).to.deep.equal(['one', 'two']);
    }
  });

  it('log records of a pino logger arrive as notifications, secrets masked, before the process ends', async () => {
    await using lab = new NotifyLab(at(broker.url));
    const heard = new Heard();
    await lab.listen([heard.endpoint]);
    const { child } = await run(program('log-through-pino'), broker.url, lab.topic);
    expect(await child.wait(), child.tail.join('\n')).to.equal('code 0');
    await heard.first(6);
    const told = heard.all.map(({ priority, payload, eventType, publisherId }) => {
      const { msg } = payload as { readonly msg: string };
      return [priority, msg, eventType, publisherId].join(' | ');
    });
    expect(told).to.have.members([
      'debug | traced | logrecord | app.host1',
      'debug | debugged | logrecord | app.host1',
      'info | informed | logrecord | app.host1',
      'warn | see rabbit://guest:***@host/ with token=*** | logrecord | app.host1',
      'error | failed | logrecord | app.host1',
      'critical | gone | logrecord | app.host1',
    ]);
    const informed = heard.all.find(({ priority }) => priority === 'info');
    expect(informed?.payload).to.deep.include({ user: 'alice', password: '***', nested: { apiKey: '***' } });
    const failed = heard.all.find(({ priority }) => priority === 'error');
    expect(failed?.payload).to.have.nested.property('err.message', 'it broke');
  });

  it('no secret of a context, a log record or an HTTP request is among the bytes on the wire', async () => {
    await using proxy = await TcpProxy.open(broker);
    const url = rabbitUrl(broker, { port: proxy.port });
    const bytes: Buffer[] = [];
    proxy.onData((chunk, direction) => direction === 'client->broker' && bytes.push(Buffer.from(chunk)));
    await using lab = new NotifyLab(at(url));
    const heard = new Heard();
    await using direct = new NotifyLab(at(broker.url));
    await lab.listen([heard.endpoint], { on: await direct.connect() });
    const notifier = await lab.notifier();
    const context = {
      user_id: 'alice',
      auth_token: 'hunter2-context',
      service_catalog: [{ url: 'https://x/?sig=hunter2-catalog' }],
      user: { name: 'alice', password: 'hunter2-nested' },
    };
    await notifier.info(context, 'told', { visible: 'plain' });
    const server = createServer((request, response) => {
      httpNotifications(notifier)(request, response, () => {
        response.setHeader('set-cookie', 'sid=hunter2-set-cookie');
        response.setHeader('x-subject-token', 'hunter2-subject');
        response.setHeader('location', 'https://x/?code=hunter2-location');
        response.end('hunter2-body');
      });
    });
    const port = await listenOnFreePort(server);
    try {
      await fetch(`http://127.0.0.1:${port}/path?token=hunter2-query`, {
        headers: {
          authorization: 'Bearer hunter2-bearer',
          'x-auth-token': 'hunter2-x-auth',
          'x-api-key': 'hunter2-api-key',
          cookie: 'sid=hunter2-cookie',
          referer: 'https://x/?token=hunter2-referer',
          'x-visible': 'header',
        },
        redirect: 'manual',
      });
    } finally {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    }
    const { child } = await run(program('log-through-pino'), url, lab.topic);
    expect(await child.wait(), child.tail.join('\n')).to.equal('code 0');
    await heard.first(9);
    const wire = Buffer.concat(bytes).toString('latin1');
    // It is not that nothing was seen.
    for (const visible of ['alice', 'plain', 'x-visible', '/path', 'http.response', 'informed'])
      expect(wire).to.include(visible);
    expect(wire.match(/hunter2-[a-z-]+/g)).to.equal(null);
  });

  it('posthorn listen prints what posthorn notify tells, one line of JSON each', async () => {
    const topic = `topic-${newId()}`;
    const pool = `${topic}-pool`;
    const listening = await run(
      command,
      ...['listen', broker.url, '--topic', topic, '--pool', pool, '--priority', 'error', '--priority', 'sample'],
      ...['--event-type', 'disk\\.'],
    );
    try {
      await waitFor(
        'the listener',
        () => listening.child.tail.includes(`listening to ${topic} in the pool ${pool}`),
        30_000,
      );
      const tell = async (...args: string[]): Promise<void> => {
        const { child } = await run(command, 'notify', broker.url, ...args, '--topic', topic);
        expect(await child.wait(), child.tail.join('\n')).to.equal('code 0');
      };
      await Promise.all([
        tell(
          'disk.full',
          '{"free":0,"big":9007199254740991,"text":"é\\n✓"}',
          '--priority',
          'error',
          '--publisher-id',
          'p1',
        ),
        tell('cpu.hot', '{}', '--priority', 'error'),
        tell('disk.full', '{}'),
      ]);
      await tell('disk.usage', '7', '--priority', 'sample', '--context', '{"user_id":"alice","auth_token":"t"}');
      await waitFor('two lines', () => listening.lines.length >= 2);
      const [first, second] = listening.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(first).to.deep.include({
        publisherId: 'p1',
        priority: 'error',
        eventType: 'disk.full',
        payload: { free: 0, big: 9_007_199_254_740_991, text: 'é\n✓' },
        context: {},
      });
      expect(second).to.deep.include({ eventType: 'disk.usage', payload: 7, context: { user_id: 'alice' } });
      expect(listening.lines).to.have.length(2);
      listening.child.signal('SIGTERM');
      expect(await listening.child.wait()).to.equal('code 0');
    } finally {
      await listening.child.stop();
      await broker.api.deleteQueue(pool, broker.vhost);
    }
  });

  it('posthorn refuses priorities, patterns and payloads that make no sense, with exit code 2', async () => {
    const wrong = [
      ['notify', broker.url, 'e', '{}', '--priority', 'shout'],
      ['notify', broker.url, 'e', '{half'],
      ['notify', broker.url, 'e', '{}', '--priority', 'info', '--priority', 'error'],
      ['listen', broker.url, '--event-type', '('],
    ];
    await Promise.all(
      wrong.map(async (args) => {
        const { child, lines } = await run(command, ...args);
        expect(await child.wait(), args.join(' ')).to.equal('code 2');
        expect(lines).to.deep.equal([]);
      }),
    );
  });
});
