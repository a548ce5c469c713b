import { Heard } from '@posthorn/conformance';
import { newId, silent, type Transport } from '@posthorn/core';
import {
  HANDLED,
  NotificationListener,
  type NotificationListenerOptions,
  Notifier,
  PRIORITIES,
  REQUEUE,
} from '@posthorn/notify';
import { expect } from 'chai';
import { connect } from 'posthorn';
import { type OsloAmqp1Place, osloAmqp1Candidates } from '../src/oslo-amqp1-place.ts';
import { OsloListener, type OsloListening, OsloNotifier } from '../src/oslo-notify-peers.ts';
import { rejection } from '../src/rejection.ts';
import { waitFor } from '../src/wait-for.ts';

const UNICODE = { text: 'héllo ✓ 𝒳', kéy: ['日本', '\u0000\n"\\'], big: 9_007_199_254_740_991, half: 0.5, none: null };

for (const candidate of osloAmqp1Candidates)
  describe(`notifications between Node and Python on ${candidate.name}`, function () {
    this.timeout(30_000);
    let place: OsloAmqp1Place;
    let transport: Transport;
    let python: OsloNotifier;
    let topic: string;
    const opened: AsyncDisposable[] = [];

    before(async function () {
      place = await candidate.open(this);
      transport = await connect(place.url, { wire: place.wire(), logger: silent });
      python = await OsloNotifier.start(place.python);
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
      await place?.[Symbol.asyncDispose]();
    });

    const notifier = (on = transport): Notifier => new Notifier(on, { publisherId: 'compute.host1', topics: [topic] });
    const listen = async (
      heard: Heard,
      options: Partial<Omit<NotificationListenerOptions, 'batch'>> = {},
    ): Promise<void> => {
      const endpoints = [heard.endpoint];
      const listener = new NotificationListener(transport, { targets: [{ topic }], endpoints, ...options });
      opened.push(await listener.start());
    };
    const pythonListens = async (options: Partial<OsloListening> = {}): Promise<OsloListener> => {
      const listener = await OsloListener.start({ ...place.python, topics: [topic], ...options });
      opened.push(listener);
      return listener;
    };

    for (const notifications of ['v1', 'v2'] as const)
      it(`Node tells, Python hears: every priority, unicode, context and time (${notifications})`, async () => {
        const listener = await pythonListens();
        await using telling = await connect(place.url, { wire: place.wire({ notifications }), logger: silent });
        const before = Date.now();
        const context = { user_id: 'älice', roles: ['admin'], auth_token: 'hunter2' };
        for (const priority of PRIORITIES) await notifier(telling)[priority](context, `compute.${priority}`, UNICODE);
        await waitFor('all priorities', () => listener.heard.length >= PRIORITIES.length);
        expect(listener.heard.map(({ priority, event_type }) => [priority, event_type])).to.have.deep.members(
          PRIORITIES.map((priority) => [priority, `compute.${priority}`]),
        );
        for (const { ctxt, publisher_id, payload, metadata } of listener.heard) {
          expect(publisher_id).to.equal('compute.host1');
          expect(payload).to.deep.equal(UNICODE);
          expect(ctxt).to.include({ user_id: 'älice' }).and.not.have.property('auth_token');
          expect(metadata.message_id).to.match(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
          expect(Date.parse(`${metadata.timestamp}Z`)).to.be.within(before, Date.now());
        }
      });

    for (const driver of ['messaging', 'messagingv2'] as const)
      it(`Python tells, Node hears: every priority, unicode, context and time (${driver})`, async () => {
        const heard = new Heard();
        await listen(heard);
        const before = Date.now();
        const ctxt = { user_id: 'älice', request_id: 'req-1' };
        const event = { topics: [topic], driver, publisher_id: 'nova.host2', payload: UNICODE, ctxt };
        for (const priority of PRIORITIES) await python.notify({ ...event, priority, event_type: `nova.${priority}` });
        await heard.first(PRIORITIES.length);
        expect(heard.all.map(({ priority, eventType }) => [priority, eventType])).to.have.deep.members(
          PRIORITIES.map((priority) => [priority, `nova.${priority}`]),
        );
        for (const { publisherId, payload, timestamp, context, id } of heard.all) {
          expect(publisherId).to.equal('nova.host2');
          expect(payload).to.deep.equal(UNICODE);
          // Whole milliseconds here, microseconds there.
          expect(timestamp.getTime()).to.be.within(before - 1, Date.now());
          expect(context).to.include({ request_id: 'req-1' });
          expect(id).to.match(/^[0-9a-f-]{36}$/);
        }
      });

    it('events of each side wait for the first listener of the other', async () => {
      await notifier().info({}, 'from node', {});
      const listener = await pythonListens();
      await waitFor('the event', () => listener.events.includes('from node'));
      topic = `t-${newId()}`;
      await python.notify({ topics: [topic], event_type: 'from python' });
      const heard = new Heard();
      await listen(heard);
      expect(await heard.first(1)).to.deep.equal(['from python']);
    });

    it('Node asks again for what Python told, and then dead-letters it', async () => {
      const heard = new Heard(['info'], ({ eventType }) =>
        eventType === 'twice' && heard.events.filter((event) => event === 'twice').length > 1 ? HANDLED : REQUEUE,
      );
      const dead: string[] = [];
      const name = `${place.exchange}/${topic}.info.dead`;
      const deadLetters = await transport.subscribe([{ kind: 'group', name }], (delivery) => {
        dead.push(`${delivery.message.headers?.['ph-attempts']} ${delivery.message.headers?.['ph-dead-reason']}`);
        void delivery.settle('accept');
      });
      opened.push(deadLetters);
      await listen(heard, { retry: { limit: 3, minDelayMs: 20 } });
      await python.notify({ topics: [topic], event_type: 'twice', ctxt: { request_id: 'r' } });
      await heard.first(2);
      expect(heard.all[1]).to.deep.equal(heard.all[0]);
      await python.notify({ topics: [topic], event_type: 'never' });
      await waitFor('the dead letter', () => dead.length > 0);
      expect(dead).to.deep.equal(['3 asked for again']);
      expect(heard.events).to.deep.equal(['twice', 'twice', 'never', 'never', 'never']);
    });

    // Proton's example broker forgets what is given back.
    if (candidate.multicast)
      it('Python puts back what Node told, and gets it again', async () => {
        const listener = await pythonListens({ requeue: 'again' });
        await notifier().info({}, 'again', { n: 1 });
        await waitFor('the second delivery', () => listener.events.length >= 2);
        const [first, second] = listener.heard;
        expect(second).to.deep.equal(first);
      });

    it('pools and attributes of queues are refused by name', async () => {
      for (const [options, what] of [
        [{ pool: 'metering' }, /pools on the oslo wire: metering/],
        [{ retention: { expiresMs: 1_000 } }, /queues with expiresMs on the oslo wire/],
      ] as const) {
        const error = await rejection(listen(new Heard(), options));
        expect(error).to.have.property('code', 'UNSUPPORTED');
        expect(error).to.have.property('message').that.matches(what);
      }
    });
  });
