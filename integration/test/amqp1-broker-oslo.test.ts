import { type Broker, serveBroker } from '@posthorn/amqp1';
import { newId } from '@posthorn/core';
import { expect } from 'chai';
import { isSkip } from '../src/found.ts';
import { OsloListener, OsloNotifier } from '../src/oslo-notify-peers.ts';
import { OsloClient, OsloError, OsloServer } from '../src/oslo-peers.ts';
import { findPythonAmqp1 } from '../src/python-amqp1.ts';
import { rejection } from '../src/rejection.ts';
import { skip } from '../src/skip.ts';
import { waitFor } from '../src/wait-for.ts';

/** The first chooses routable addresses for a broker of this name. */
const MODES = ['dynamic', 'legacy'] as const;

describe('Python peers over posthorn broker', () => {
  before(async function () {
    this.timeout(180_000);
    const python = await findPythonAmqp1();
    if (isSkip(python)) skip(this, "oslo.messaging's AMQP 1.0 driver", python.skip);
  });

  for (const mode of MODES)
    describe(`with ${mode} addresses`, () => {
      const topic = `t-${newId()}`;
      const options = { 'oslo_messaging_amqp.addressing_mode': mode };
      let broker: Broker;
      let url: string;
      let servers: readonly OsloServer[] = [];
      let client: OsloClient;

      before(async function () {
        this.timeout(60_000);
        broker = await serveBroker({ port: 0 });
        url = `amqp://127.0.0.1:${broker.port}/`;
        servers = await Promise.all(['s1', 's2'].map((server) => OsloServer.start({ url, topic, server, options })));
        client = await OsloClient.start({ url, options });
      });

      after(async () => {
        for (const server of servers) await server[Symbol.asyncDispose]();
        await client?.[Symbol.asyncDispose]();
        await broker?.close();
      });

      const notes = (pattern: RegExp): string[] =>
        servers.flatMap((server) =>
          server.notes.filter(({ kw }) => pattern.test(JSON.stringify(kw))).map((note) => note.server),
        );

      it('call one of the servers', async () => {
        expect(await client.call({ topic, method: 'add', args: { a: 1, b: 2 }, timeout: 20 })).to.equal(3);
      });

      it('call the server of a name', async () => {
        for (const server of ['s2', 's1', 's2'])
          expect(await client.call({ topic, server, method: 'echo', timeout: 20 })).to.include({ server });
      });

      it('get errors back', async () => {
        const failing = client.call({ topic, method: 'boom', args: { text: 'oh' }, timeout: 20 });
        const error = await rejection(failing);
        expect(error).to.be.an.instanceOf(OsloError).with.property('class', 'ValueError');
      });

      it('hear heartbeats of a call that takes longer than their silence may', async function () {
        this.timeout(20_000);
        const slow = { topic, method: 'slow', args: { seconds: 5 }, timeout: 15, monitor: 4 };
        expect(await client.call(slow)).to.equal(5);
      });

      it('cast to one of the servers', async () => {
        await client.cast({ topic, method: 'note', args: { what: 'cast' } });
        // Before the fence: it comes by another link, and their threads keep no order.
        await waitFor('the note', () => notes(/cast/).length > 0);
        await client.fanout({ topic, method: 'note', args: { what: 'fence' } });
        for (const server of servers) await server.note(/fence/);
        expect(notes(/cast/)).to.have.lengthOf(1);
      });

      it('cast to all of them', async () => {
        await client.fanout({ topic, method: 'note', args: { what: 'to all' } });
        for (const server of servers) await server.note(/to all/);
        expect(notes(/to all/).sort()).to.deep.equal(['s1', 's2']);
      });

      it('notify, also before anybody listens', async function () {
        this.timeout(30_000);
        const topics = [`n-${newId()}`];
        await using notifier = await OsloNotifier.start({ url, options });
        await notifier.notify({ topics, event_type: 'early', payload: { n: 1 } });
        await using listener = await OsloListener.start({ url, options, topics });
        await notifier.notify({ topics, event_type: 'late', priority: 'error', payload: { n: 2 } });
        await listener.peer.line(/"late"/);
        await listener.peer.line(/"early"/);
        const heard = listener.heard.map(({ event_type, priority, payload }) => ({ event_type, priority, payload }));
        expect(heard).to.have.deep.members([
          { event_type: 'early', priority: 'info', payload: { n: 1 } },
          { event_type: 'late', priority: 'error', payload: { n: 2 } },
        ]);
      });
    });
});
