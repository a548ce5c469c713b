import { deflateSync } from 'node:zlib';
import { Heard } from '@posthorn/conformance';
import { newId, serial, type Transport } from '@posthorn/core';
import {
  HANDLED,
  type Notification,
  NotificationListener,
  type NotificationListenerOptions,
  Notifier,
  PRIORITIES,
  REQUEUE,
} from '@posthorn/notify';
import { type OsloOptions, oslo } from '@posthorn/oslo';
import { expect } from 'chai';
import { type ConnectOptions, connect } from 'posthorn';
import { OsloListener, type OsloListening, OsloNotifier } from '../src/oslo-notify-peers.ts';
import { type OsloPlace, openOsloPlace } from '../src/oslo-place.ts';
import { envelope, RawOslo } from '../src/oslo-raw.ts';
import { rabbitVersions } from '../src/rabbit-broker.ts';
import { recordingLogger } from '../src/recording-logger.ts';
import { skip } from '../src/skip.ts';
import { waitFor } from '../src/wait-for.ts';

const UNICODE = { text: 'héllo ✓ 𝒳', kéy: ['日本', '\u0000\n"\\'], big: 9_007_199_254_740_991, half: 0.5, none: null };

for (const candidate of rabbitVersions()) {
  const title = `notifications between Node and Python on ${candidate.name}`;

  describe(title, function () {
    this.timeout(60_000);
    let place: OsloPlace;
    let transport: Transport;
    let python: OsloNotifier;
    let topic: string;
    const opened: AsyncDisposable[] = [];

    before(async function () {
      place = await openOsloPlace(this, title, candidate);
      transport = await node();
      python = await OsloNotifier.start({ url: place.url, exchange: place.exchange });
    });

    beforeEach(() => {
      topic = `t-${newId()}`;
    });

    afterEach(async () => {
      await Promise.all(opened.splice(0).map((one) => one[Symbol.asyncDispose]()));
    });

    after(async () => {
      await transport?.close();
      await python?.[Symbol.asyncDispose]();
      await place?.vhost[Symbol.asyncDispose]();
    });

    const node = (options: OsloOptions = {}, more: ConnectOptions = {}): Promise<Transport> =>
      connect(place.url, {
        wire: oslo({ exchange: place.exchange, ...options }),
        logger: recordingLogger(),
        ...more,
      });
    const notifier = (on = transport): Notifier => new Notifier(on, { publisherId: 'compute.host1', topics: [topic] });
    const listen = async (
      heard: Heard,
      options: Partial<Omit<NotificationListenerOptions, 'batch'>> = {},
    ): Promise<NotificationListener> => {
      const listener = await new NotificationListener(transport, {
        targets: [{ topic }],
        endpoints: [heard.endpoint],
        ...options,
      }).start();
      opened.push(listener);
      return listener;
    };
    const pythonListens = async (options: Partial<OsloListening> = {}): Promise<OsloListener> => {
      const { url, exchange } = place;
      const listener = await OsloListener.start({ url, exchange, topics: [topic], ...options });
      opened.push(listener);
      return listener;
    };

    for (const format of ['v1', 'v2'] as const)
      it(`Node tells, Python hears: every priority, unicode, context and time (${format})`, async () => {
        const listener = await pythonListens();
        await using telling = await node({ notifications: format });
        const before = Date.now();
        for (const priority of PRIORITIES)
          await notifier(telling)[priority](
            { user_id: 'älice', roles: ['admin'], auth_token: 'hunter2' },
            `compute.${priority}`,
            UNICODE,
          );
        await waitFor('all priorities', () => listener.heard.length >= PRIORITIES.length);
        expect(listener.heard.map(({ priority, event_type }) => [priority, event_type])).to.have.deep.members(
          PRIORITIES.map((priority) => [priority, `compute.${priority}`]),
        );
        for (const { ctxt, publisher_id, payload, metadata } of listener.heard) {
          expect(publisher_id).to.equal('compute.host1');
          expect(payload).to.deep.equal(UNICODE);
          expect(ctxt).to.include({ user_id: 'älice' }).and.not.have.property('auth_token');
          expect(metadata.message_id).to.match(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
          expect(metadata.timestamp).to.match(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$/);
          expect(Date.parse(`${metadata.timestamp}Z`)).to.be.within(before, Date.now());
        }
      });

    for (const driver of ['messaging', 'messagingv2'] as const)
      it(`Python tells, Node hears: every priority, unicode, context and time (${driver})`, async () => {
        const heard = new Heard();
        await listen(heard);
        const before = Date.now();
        const ctxt = { user_id: 'älice', request_id: 'req-1', auth_token: 'hunter2' };
        const event = { topics: [topic], driver, publisher_id: 'nova.host2', payload: UNICODE, ctxt };
        for (const priority of PRIORITIES) await python.notify({ ...event, priority, event_type: `nova.${priority}` });
        await heard.first(PRIORITIES.length);
        const told = heard.all.map(({ priority, eventType }) => [priority, eventType]);
        expect(told).to.have.deep.members(PRIORITIES.map((priority) => [priority, `nova.${priority}`]));
        for (const { publisherId, payload, timestamp, context, id } of heard.all) {
          expect(publisherId).to.equal('nova.host2');
          expect(payload).to.deep.equal(UNICODE);
          // Whole milliseconds here, microseconds there.
          expect(timestamp.getTime()).to.be.within(before - 1, Date.now());
          expect(context).to.include({ request_id: 'req-1' }).and.not.have.property('auth_token', 'hunter2');
          expect(id).to.match(/^[0-9a-f-]{36}$/);
        }
      });

    it('Python tells without a publisher, and Node hears it', async () => {
      const heard = new Heard();
      await listen(heard);
      await python.notify({ topics: [topic], event_type: 'anonymous' });
      expect(await heard.first(1)).to.deep.equal(['anonymous']);
      expect(heard.all[0]?.publisherId).to.equal('');
    });

    it('Node filters what Python tells', async () => {
      const [filtered, all] = [new Heard(), new Heard()];
      await listen(filtered, {
        endpoints: [
          {
            ...filtered.endpoint,
            filter: { publisherId: '^compute', eventType: /.*\.end$/, payload: { state: 'act' } },
          },
          all.endpoint,
        ],
        executor: serial(),
      });
      const event = {
        topics: [topic],
        publisher_id: 'compute.h',
        event_type: 'boot.end',
        payload: { state: 'active' },
      };
      await python.notify({ ...event, publisher_id: 'network.h' });
      await python.notify({ ...event, event_type: 'boot.start' });
      await python.notify({ ...event, payload: { state: 'error' } });
      await python.notify(event);
      await all.first(4);
      expect(filtered.all.map(({ publisherId, eventType }) => [publisherId, eventType])).to.deep.equal([
        ['compute.h', 'boot.end'],
      ]);
    });

    it('Python filters what Node tells', async () => {
      const listener = await pythonListens({ publisherId: '^compute', eventType: '.*end$' });
      for (const event of ['boot.start', 'boot.end']) await notifier().info({}, event, {});
      await notifier().prepare({ publisherId: 'network.h' }).info({}, 'port.end', {});
      await notifier().info({}, 'fence.end', {});
      // Its threads keep no order: the fence may overtake, but what is filtered out never comes.
      await waitFor('both', () => listener.events.length >= 2);
      expect(listener.events.toSorted()).to.deep.equal(['boot.end', 'fence.end']);
    });

    it('pools of both sides each get every event once, and Node and Python share a pool', async () => {
      const [metering, dashboard] = [`${topic}-metering`, `${topic}-dashboard`];
      const heard = { metering: new Heard(), dashboard: new Heard() };
      await listen(heard.metering, { pool: metering });
      await listen(heard.dashboard, { pool: dashboard, executor: serial() });
      const shared = await pythonListens({ pool: metering });
      const own = await pythonListens({ pool: `${topic}-own` });
      // Python declares when it starts, and consumes in a thread of its own.
      const group = { kind: 'group', name: metering } as const;
      await waitFor('both to consume', async () => (await transport.inspect(group))?.consumers === 2);
      const events = Array.from({ length: 20 }, (_, n) => `event-${n}`);
      for (const [n, event] of events.entries()) {
        const priority = n % 2 === 0 ? 'info' : 'error';
        if (n % 4 < 2) await notifier().notify(priority, {}, event, {});
        else await python.notify({ topics: [topic], event_type: event, priority });
      }
      await waitFor('the pool that Node and Python share', () => {
        return heard.metering.events.length + shared.events.length >= events.length;
      });
      await heard.dashboard.first(events.length);
      await waitFor("Python's own pool", () => own.events.length >= events.length);
      expect([...heard.metering.events, ...shared.events].toSorted()).to.deep.equal(events.toSorted());
      expect(heard.metering.events, 'the share of Node').not.to.be.empty;
      expect(shared.events, 'the share of Python').not.to.be.empty;
      expect(heard.dashboard.events).to.deep.equal(events);
      // Python's listener has a pool of threads, which keeps no order.
      expect(own.events.toSorted()).to.deep.equal(events.toSorted());
    });

    it("pools are one queue of that name, as Python's", async function () {
      const { api } = place.vhost.broker;
      if (api === undefined) return skip(this, 'the layout of pools', 'the broker has no management API');
      const pool = `${topic}-pool`;
      const layout = async (): Promise<unknown> => {
        const bindings = (await api.bindings(place.vhost.vhost)).filter(({ destination }) => destination === pool);
        const queue = await api.queue(pool, place.vhost.vhost);
        return {
          durable: queue?.durable,
          arguments: queue?.arguments,
          keys: bindings.map(({ source, routing_key }) => `${source} ${routing_key}`).sort(),
        };
      };
      await pythonListens({ pool, priorities: ['info', 'error'] });
      const theirs = await layout();
      await opened.pop()?.[Symbol.asyncDispose]();
      await api.deleteQueue(pool, place.vhost.vhost);
      await listen(new Heard(['info', 'error']), { pool });
      expect(await layout()).to.deep.equal(theirs);
    });

    it('Python takes what Node tells in batches', async () => {
      const listener = await pythonListens({ batch: { size: 10, seconds: 5 } });
      const events = Array.from({ length: 25 }, (_, n) => `event-${n}`);
      for (const event of events) await notifier().info({}, event, {});
      await waitFor('all', () => listener.events.length >= events.length, 20_000);
      expect(listener.batches).to.deep.equal([10, 10, 5]);
      // Two full batches may be handled at once, by two threads.
      expect(listener.events.toSorted()).to.deep.equal(events.toSorted());
    });

    it('Node takes what Python tells in batches', async () => {
      const batches: string[][] = [];
      const info = (batch: readonly Notification[]): void => void batches.push(batch.map(({ eventType }) => eventType));
      const listener = await new NotificationListener(transport, {
        targets: [{ topic }],
        endpoints: [{ info }],
        batch: { size: 10, maxAgeMs: 5_000 },
      }).start();
      opened.push(listener);
      const events = Array.from({ length: 25 }, (_, n) => `event-${n}`);
      for (const event of events) await python.notify({ topics: [topic], event_type: event });
      await waitFor('all', () => batches.flat().length >= events.length);
      expect(batches.flat()).to.deep.equal(events);
      expect(batches[0]).to.have.length(10);
    });

    it('Python puts back what Node told, and gets it again', async () => {
      const listener = await pythonListens({ requeue: 'again' });
      await notifier().info({}, 'again', { n: 1 });
      await waitFor('the second delivery', () => listener.events.length >= 2, 20_000);
      const [first, second] = listener.heard;
      expect(second).to.deep.equal(first);
    });

    it('Node asks again for what Python told, and then dead-letters it', async () => {
      const attempts: number[] = [];
      const heard = new Heard(['info'], ({ eventType }) => {
        attempts.push(attempts.length);
        return eventType === 'twice' && attempts.length > 1 ? HANDLED : REQUEUE;
      });
      const dead: string[] = [];
      await transport.subscribe([{ kind: 'group', name: `${topic}.info.dead` }], (delivery) => {
        dead.push(`${delivery.message.headers?.['ph-attempts']} ${delivery.message.headers?.['ph-dead-reason']}`);
        void delivery.settle('accept');
      });
      await listen(heard, { retry: { limit: 3, minDelayMs: 20 } });
      await python.notify({ topics: [topic], event_type: 'twice', ctxt: { request_id: 'r' } });
      await heard.first(2);
      expect(heard.all[1]).to.deep.equal(heard.all[0]);
      await python.notify({ topics: [topic], event_type: 'never' });
      await waitFor('the dead letter', () => dead.length > 0);
      expect(dead).to.deep.equal(['3 asked for again']);
      expect(heard.events).to.deep.equal(['twice', 'twice', 'never', 'never', 'never']);
    });

    it('M-18: events of each side wait for the first listener of the other', async () => {
      await notifier().info({}, 'from node', {});
      const listener = await pythonListens();
      await waitFor('the event', () => listener.events.includes('from node'));
      topic = `t-${newId()}`;
      await python.notify({ topics: [topic], event_type: 'from python' });
      const heard = new Heard();
      await listen(heard);
      expect(await heard.first(1)).to.deep.equal(['from python']);
    });

    it('oslo 20, test_compression: what a peer compressed is understood', async () => {
      const heard = new Heard();
      await listen(heard);
      await using raw = await RawOslo.open(place.url);
      const inner = {
        message_id: newId(),
        publisher_id: 'p',
        event_type: 'compressed',
        priority: 'INFO',
        payload: { text: 'a'.repeat(10_000) },
        timestamp: '2026-11-20 22:13:31.688801',
        _unique_id: newId(),
      };
      raw.sendBody(place.exchange, `${topic}.info`, deflateSync(envelope(inner)), {
        headers: { compression: 'application/x-gzip' },
      });
      await heard.first(1);
      expect(heard.all[0]).to.deep.include({ payload: inner.payload, headers: {} });
      expect(heard.all[0]?.timestamp.toISOString()).to.equal('2026-11-20T22:13:31.688Z');
    });

    it('one that was sent in both formats by several drivers is handled once', async () => {
      const heard = new Heard();
      await listen(heard, { executor: serial() });
      await using raw = await RawOslo.open(place.url);
      const inner = {
        message_id: 'one-id',
        publisher_id: 'p',
        event_type: 'twice',
        priority: 'INFO',
        payload: {},
        timestamp: '2026-11-20 22:13:31',
      };
      raw.send(place.exchange, `${topic}.info`, { ...inner, _unique_id: newId() });
      raw.sendBody(place.exchange, `${topic}.info`, Buffer.from(JSON.stringify({ ...inner, _unique_id: newId() })));
      raw.send(place.exchange, `${topic}.info`, { ...inner, message_id: 'other', event_type: 'fence' });
      expect(await heard.before('fence')).to.deep.equal(['twice']);
    });
  });
}
