import { once } from 'node:events';
import { expect } from 'chai';
import type { EventContext, Receiver } from 'rhea';
import { type Broker, serveBroker } from '../src/broker/serve-broker.ts';
import { pairLinks, type Session } from '../src/rhea.ts';
import { BrokerPeer, outcomeOf } from './broker-peer.ts';

describe('the links of the broker', () => {
  let broker: Broker;
  let peer: BrokerPeer;

  beforeEach(async () => {
    broker = await serveBroker({ port: 0 });
    peer = await BrokerPeer.open(broker.port);
  });

  afterEach(async () => {
    await peer[Symbol.asyncDispose]();
    await broker.close();
  });

  const bodies = (messages: readonly { readonly body: unknown }[]): unknown[] => messages.map(({ body }) => body);
  const refusal = (attaching: Promise<unknown>): Promise<unknown> =>
    attaching.then(
      () => 'attached',
      (condition: unknown) => condition,
    );

  it('are those of a product that is called Posthorn, and relays for anonymous senders', () => {
    const { properties, offered_capabilities } = peer.connection as unknown as {
      readonly properties: object;
      readonly offered_capabilities: readonly string[];
    };
    expect(properties).to.include({ product: 'Posthorn' });
    expect(properties)
      .to.have.property('version')
      .that.matches(/^\d+\./);
    expect(offered_capabilities).to.include('ANONYMOUS-RELAY');
  });

  describe('to plain names', () => {
    it('make a queue of that name, which keeps what is sent before anybody receives', async () => {
      expect(await peer.send('jobs', { body: 'early' })).to.equal('accepted');
      const inbox = await peer.receive('jobs');
      expect(bodies(await inbox.first(1))).to.deep.equal(['early']);
    });

    it('share a queue', async () => {
      const inboxes = [await peer.receive('jobs'), await peer.receive('jobs')];
      for (const body of ['1', '2', '3', '4']) await peer.send('jobs', { body });
      const halves = await Promise.all(inboxes.map((inbox) => inbox.first(2)));
      expect(halves.flatMap(bodies).sort()).to.deep.equal(['1', '2', '3', '4']);
    });

    it('leave no queue behind that is empty', async () => {
      const inbox = await peer.receive('jobs');
      await inbox.close();
      expect(await refusal(peer.receive('jobs', { properties: { 'x-opt-passive': true } }))).to.equal('amqp:not-found');
    });

    for (const name of [
      'openstack.org/om/rpc/multicast/openstack/compute',
      'broadcast.openstack.compute.all',
      'topic://news',
    ]) {
      it(`give each receiver of ${name} a copy, and accept what nobody receives`, async () => {
        expect(await peer.send(name, { body: 'for nobody' })).to.equal('accepted');
        const inboxes = [await peer.receive(name), await peer.receive(name)];
        expect(await peer.send(name, { body: 'for all' })).to.equal('accepted');
        for (const inbox of inboxes) expect(bodies(await inbox.first(1))).to.deep.equal(['for all']);
      });
    }
  });

  describe('to addresses of Posthorn', () => {
    for (const to of [
      'anycast/e/t',
      'unicast/e/t/s',
      'multicast/e/t',
      'topic/e/k',
      'group/g',
      'mailbox/m',
      'reply/r',
    ]) {
      it(`release what is sent to ${to} when nobody receives there`, async () => {
        expect(await peer.send(to, { body: 'x' })).to.equal('released');
      });
    }

    for (const to of ['anycast/e/t', 'unicast/e/t/s', 'multicast/e/t', 'group/g', 'mailbox/m']) {
      it(`receive from ${to}`, async () => {
        const inbox = await peer.receive(to);
        expect(await peer.send(to, { body: 'x' })).to.equal('accepted');
        expect(bodies(await inbox.first(1))).to.deep.equal(['x']);
      });
    }

    it('decode the parts, and keep them apart', async () => {
      const [one, other] = [await peer.receive('anycast/a%2Fb/c'), await peer.receive('unicast/a/b/c')];
      await peer.send('anycast/a%2fb/c', { body: 'one' });
      await peer.send('unicast/a/b/c', { body: 'other' });
      expect(bodies(await one.first(1))).to.deep.equal(['one']);
      expect(bodies(await other.first(1))).to.deep.equal(['other']);
    });

    it('feed several sources into the one queue of a group, and tell where each message was sent', async () => {
      const properties = { 'x-opt-sources': ['topic/e2/b', 'anycast/e/t'], 'x-opt-group': 'g' };
      const inboxes = [
        await peer.receive('topic/e/a.%23', { properties }),
        await peer.receive('topic/e/a.%23', { properties }),
      ];
      const sent = ['topic/e/a.x', 'topic/e2/b', 'anycast/e/t', 'group/g'];
      for (const to of sent) expect(await peer.send(to, { body: to })).to.equal('accepted');
      const messages = (await Promise.all(inboxes.map((inbox) => inbox.first(2)))).flat();
      expect(bodies(messages).sort()).to.deep.equal([...sent].sort());
      for (const { body, message_annotations } of messages)
        expect(message_annotations).to.deep.equal({ 'x-opt-sent-to': body });
    });

    it('have a private queue for topics without a group, which goes with the link', async () => {
      const inboxes = [await peer.receive('topic/e/k'), await peer.receive('topic/e/*')];
      await peer.send('topic/e/k', { body: 'x' });
      for (const inbox of inboxes) expect(bodies(await inbox.first(1))).to.deep.equal(['x']);
      for (const inbox of inboxes) await inbox.close();
      expect(await peer.send('topic/e/k', { body: 'x' })).to.equal('released');
    });

    it('take attributes of the queue, and tell when it was there with others', async () => {
      const first = await peer.receive('group/g', { properties: { 'x-opt-max-length': 2 }, credit: 0 });
      const second = await peer.receive('group/g', { properties: { 'x-opt-max-length': 3 }, credit: 0 });
      expect([first.link.properties, second.link.properties]).to.deep.equal([undefined, { 'x-opt-differs': true }]);
      for (const body of ['1', '2', '3']) await peer.send('group/g', { body });
      first.link.add_credit(5);
      expect(bodies(await first.first(2))).to.deep.equal(['2', '3']);
    });

    it('are refused where the queue is not there and must not be made', async () => {
      const properties = { 'x-opt-passive': true };
      expect(await refusal(peer.receive('group/g', { properties }))).to.equal('amqp:not-found');
      await peer.receive('group/g');
      expect(await refusal(peer.receive('group/g', { properties }))).to.equal('attached');
    });
  });

  describe('with a dynamic source', () => {
    it('get a fresh address each, which others can send to', async () => {
      const [one, other] = [await peer.receive({ dynamic: true }), await peer.receive({ dynamic: true })];
      const [to, another] = [one.link.source.address, other.link.source.address];
      expect(to)
        .to.match(/^reply\/./)
        .and.not.equal(another);
      await using friend = await BrokerPeer.open(broker.port);
      expect(await friend.send(to, { body: 'x' })).to.equal('accepted');
      expect(bodies(await one.first(1))).to.deep.equal(['x']);
    });

    it('have it for themselves, and it goes with them', async () => {
      const inbox = await peer.receive({ dynamic: true });
      const to = inbox.link.source.address;
      expect(await refusal(peer.receive(to))).to.equal('amqp:resource-locked');
      await inbox.close();
      expect(await refusal(peer.receive(to))).to.equal('amqp:not-found');
      expect(await peer.send(to, { body: 'x' })).to.equal('released');
    });

    it('lose it with their connection', async () => {
      const friend = await BrokerPeer.open(broker.port);
      const to = (await friend.receive({ dynamic: true })).link.source.address;
      friend.kill();
      const sender = await peer.sender(to);
      // The broker learns of it a little later.
      while ((await outcomeOf(sender, { body: 'x' })) !== 'released');
    });
  });

  describe('that ask for what is not there', () => {
    it('are refused without an address', async () => {
      expect(await refusal(peer.receive({ address: undefined }))).to.equal('amqp:invalid-field');
    });

    it('are refused a dynamic target', async () => {
      expect(await refusal(peer.sender({ dynamic: true }))).to.equal('amqp:not-implemented');
    });

    it('leave the others of their session alone', async () => {
      const session = peer.connection.create_session();
      const sender = await peer.sender('jobs', session);
      const refused = session.open_receiver({ source: 'reply/nobody' });
      await once(refused, 'receiver_close');
      expect(sender.is_open()).to.equal(true);
    });
  });

  it('may bear one name for both directions in one session', async () => {
    const session = peer.connection.create_session();
    pairLinks(session as unknown as Session);
    session.begin();
    const sender = session.open_sender({ name: 'pair', target: 'jobs' });
    const receiver = session.open_receiver({ name: 'pair', source: 'jobs' });
    await Promise.all([once(sender, 'sendable'), once(receiver, 'receiver_open')]);
    sender.send({ body: 'x' });
    const [{ message }] = await once(receiver, 'message');
    expect(message.body).to.equal('x');
    receiver.close();
    await once(receiver, 'receiver_close');
    expect(await outcomeOf(sender, { body: 'y' })).to.equal('accepted');
  });

  describe('and credit', () => {
    it('get no more messages than they gave credit for', async () => {
      const inbox = await peer.receive('jobs', { credit: 2 });
      for (const body of ['1', '2', '3', '4', '5']) await peer.send('jobs', { body });
      await inbox.first(2);
      const other = await peer.receive('jobs');
      expect(bodies(await other.first(3))).to.deep.equal(['3', '4', '5']);
      expect(inbox.got).to.have.lengthOf(2);
    });

    it('get what is there when they drain, and their credit back', async () => {
      for (const body of ['1', '2']) await peer.send('jobs', { body });
      const inbox = await peer.receive('jobs', { credit: 0 });
      const drained = once(inbox.link, 'receiver_drained');
      inbox.link.add_credit(10);
      inbox.link.drain_credit();
      await drained;
      expect(bodies(inbox.got.map(({ message }) => message as { body: unknown }))).to.deep.equal(['1', '2']);
      expect((inbox.link as unknown as { readonly credit: number }).credit).to.equal(0);
      await peer.send('jobs', { body: '3' });
      const other = await peer.receive('jobs');
      expect(bodies(await other.first(1))).to.deep.equal(['3']);
    });

    it('are told that they are drained also when messages took all the credit', async () => {
      for (const body of ['1', '2', '3']) await peer.send('jobs', { body });
      const inbox = await peer.receive('jobs', { credit: 0 });
      const drained = once(inbox.link, 'receiver_drained');
      inbox.link.add_credit(2);
      inbox.link.drain_credit();
      await drained;
      expect(inbox.got).to.have.lengthOf(2);
      inbox.link.drain = false;
      inbox.link.add_credit(1);
      expect(bodies(await inbox.first(3))).to.deep.equal(['1', '2', '3']);
    });

    it('are each held to their own within one session', async () => {
      const session = peer.connection.create_session();
      session.begin();
      const open = (source: string, credit: number): { readonly got: unknown[]; readonly link: Receiver } => {
        const got: unknown[] = [];
        const link = session.open_receiver({ source, credit_window: 0 });
        link.on('message', ({ message }: EventContext) => got.push(message?.body));
        link.add_credit(credit);
        return { got, link };
      };
      const [starved, fed] = [open('a', 1), open('b', 3)];
      for (const body of ['1', '2', '3']) {
        await peer.send('a', { body });
        await peer.send('b', { body });
      }
      while (fed.got.length < 3) await once(fed.link, 'message');
      expect(starved.got).to.deep.equal(['1']);
    });

    it('wait while the session takes no more frames, and go on when it does', async () => {
      const session = peer.connection.create_session({ incoming: 4, outgoing: 4 });
      session.begin();
      const got: EventContext[] = [];
      const link = session.open_receiver({ source: 'jobs', credit_window: 0, autoaccept: false });
      link.on('message', (context: EventContext) => got.push(context));
      link.add_credit(100);
      const texts = Array.from({ length: 20 }, (_, index) => `${index}`);
      for (const body of texts) await peer.send('jobs', { body });
      const seen: unknown[] = [];
      while (seen.length < 20) {
        while (got.length === 0) await once(link, 'message');
        expect(got.length).to.be.at.most(4);
        for (const { message, delivery } of got.splice(0)) {
          seen.push(message?.body);
          delivery?.accept();
        }
      }
      expect(seen).to.deep.equal(texts);
    });
  });
});
