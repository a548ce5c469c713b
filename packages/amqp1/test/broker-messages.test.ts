import { once } from 'node:events';
import { expect } from 'chai';
import rhea, { type EventContext, type Message } from 'rhea';
import { type Broker, serveBroker } from '../src/broker/serve-broker.ts';
import { decode } from '../src/decoder.ts';
import { tuneSession } from '../src/rhea.ts';
import { BrokerPeer, type Inbox, outcomeOf } from './broker-peer.ts';

const AMQP = 0;

describe('the messages of the broker', () => {
  let broker: Broker;
  let peer: BrokerPeer;

  beforeEach(async () => {
    broker = await serveBroker({ port: 0, maxMessageBytes: 100_000, maxBytes: 300_000 });
    peer = await BrokerPeer.open(broker.port);
  });

  afterEach(async () => {
    await peer[Symbol.asyncDispose]();
    await broker.close();
  });

  /** What comes of this message, as bytes. */
  const passed = async (bytes: Buffer): Promise<Buffer> => {
    const sender = await peer.sender('jobs');
    expect(await outcomeOf(sender, bytes, AMQP)).to.equal('accepted');
    const session = peer.connection.create_session();
    tuneSession(session as never, 10);
    session.begin();
    const link = session.open_receiver({ source: 'jobs', credit_window: 1 });
    const [{ message }] = await once(link, 'message');
    return message;
  };

  describe('pass', () => {
    it('as they came, but for their header and what was meant for the broker alone', async () => {
      const bare = (rhea.message as unknown as { encode(message: object): Buffer }).encode({
        subject: 'a subject',
        group_id: 'g',
        application_properties: { n: 1, t: 'x' },
        body: { any: ['value', 1, null] },
      });
      const from = bare.indexOf(Buffer.from([0x00, 0x53, 0x73]));
      const bytes = await passed(bare);
      expect(bytes.subarray(from - bare.length).equals(bare.subarray(from))).to.equal(true);
    });

    it('without a body, as heartbeats of oslo.messaging are', async () => {
      const bytes = Buffer.from('00537345', 'hex');
      expect((await passed(bytes)).subarray(-bytes.length).equals(bytes)).to.equal(true);
    });

    it('with their annotations', async () => {
      const inbox = await peer.receive('jobs');
      const message_annotations = { 'x-opt-mine': 'text', 'x-opt-number': 7, 'x-opt-keep-for': 'g' };
      await peer.send('jobs', { body: 'x', message_annotations });
      const [message] = await inbox.first(1);
      expect(message?.message_annotations).to.deep.equal({ 'x-opt-mine': 'text', 'x-opt-number': 7 });
    });

    it('with what is left of their lifetime, and are forgotten after it', async () => {
      await peer.send('jobs', { body: 'long', ttl: 60_000, durable: true, priority: 7 });
      await peer.send('jobs', { body: 'short', ttl: 1 });
      await peer.send('jobs', { body: 'eternal' });
      await new Promise((resolve) => setTimeout(resolve, 2));
      const inbox = await peer.receive('jobs');
      const [first, second] = await inbox.first(2);
      expect([first?.body, second?.body, second?.ttl]).to.deep.equal(['long', 'eternal', undefined]);
      expect(first?.ttl).to.be.within(1, 59_999);
      expect(first).to.include({ durable: true, priority: 7, delivery_count: 0, first_acquirer: true });
    });

    it('in many frames each', async () => {
      const body = 'x'.repeat(90_000);
      const inbox = await peer.receive('jobs');
      await using small = await BrokerPeer.open(broker.port, { max_frame_size: 1_000 });
      const other = await small.receive('other');
      await small.send('jobs', { body });
      await peer.send('other', { body });
      expect((await inbox.first(1))[0]?.body).to.equal(body);
      expect((await other.first(1))[0]?.body).to.equal(body);
    });

    it('settled before they were sent, both ways', async () => {
      const inbox = await peer.receive('jobs', { presettled: true });
      const session = peer.connection.create_session();
      session.begin();
      const sender = session.open_sender({ target: 'jobs', snd_settle_mode: 1 });
      await once(sender, 'sendable');
      sender.send({ body: 'x' });
      await inbox.first(1);
      expect(inbox.got[0]?.delivery?.remote_settled).to.equal(true);
      await inbox.close();
      const next = await peer.receive('jobs');
      await peer.send('jobs', { body: 'fence' });
      expect((await next.first(1))[0]?.body).to.equal('fence');
    });

    it('later, as they ask for in either way', async () => {
      const inbox = await peer.receive('jobs');
      const from = performance.now();
      const at = new Date(Date.now() + 1_500);
      await peer.send('jobs', { body: 'later', message_annotations: { 'x-opt-delivery-time': at } });
      await peer.send('jobs', { body: 'late', message_annotations: { 'x-opt-delivery-delay': 500 } });
      await peer.send('jobs', { body: 'now' });
      const messages = await inbox.first(3);
      expect(messages.map(({ body }) => body)).to.deep.equal(['now', 'late', 'later']);
      expect(performance.now() - from).to.be.at.least(1_495);
    });

    it('when they are kept for whoever comes', async () => {
      const message_annotations = { 'x-opt-keep': true, 'x-opt-keep-for': 'g', 'x-opt-max-length': 1 };
      for (const body of ['1', '2'])
        expect(await peer.send('topic/e/k', { body, message_annotations })).to.equal('accepted');
      const inbox = await peer.receive('group/g');
      const [message] = await inbox.first(1);
      expect([message?.body, message?.message_annotations]).to.deep.equal(['2', { 'x-opt-sent-to': 'group/g' }]);
      for (const to of ['multicast/e/t', 'reply/r'])
        expect(await peer.send(to, { body: 'x', message_annotations })).to.equal('rejected amqp:not-implemented');
    });

    it('in the order of their priorities, where the queue has them', async () => {
      const inbox = await peer.receive('jobs', { credit: 0, properties: { 'x-opt-max-priority': 9 } });
      for (const priority of [1, 9, 5]) await peer.send('jobs', { body: priority, priority });
      inbox.link.add_credit(3);
      expect((await inbox.first(3)).map(({ body }) => body)).to.deep.equal([9, 5, 1]);
    });
  });

  describe('are refused', () => {
    it('when they say not where to go', async () => {
      const sender = await peer.sender();
      expect(await outcomeOf(sender, { body: 'x' })).to.equal('rejected amqp:precondition-failed');
    });

    it('when they are no messages, while the link goes on', async () => {
      const sender = await peer.sender('jobs');
      expect(await outcomeOf(sender, Buffer.from('no message'), AMQP)).to.equal('rejected amqp:decode-error');
      expect(await outcomeOf(sender, { body: 'x' })).to.equal('accepted');
    });

    it('with their link when they are too large, in whatever frames, while the other links go on', async () => {
      const session = peer.connection.create_session();
      const [sender, other] = [await peer.sender('jobs', session), await peer.sender('jobs', session)];
      expect(await outcomeOf(sender, { body: 'x'.repeat(100_000) })).to.equal(
        'detached amqp:link:message-size-exceeded',
      );
      expect(await outcomeOf(other, { body: 'x' })).to.equal('accepted');
      const inbox = await peer.receive('jobs');
      expect((await inbox.first(1))[0]?.body).to.equal('x');
    });

    it('while the broker holds too much, and taken again when it holds less', async () => {
      const body = 'x'.repeat(90_000);
      for (const name of ['1', '2', '3']) expect(await peer.send(name, { body })).to.equal('accepted');
      expect(await peer.send('4', { body })).to.equal('rejected amqp:resource-limit-exceeded');
      const inbox = await peer.receive('1');
      await inbox.first(1);
      inbox.delivery(0).accept();
      await inbox.close();
      expect(await peer.send('4', { body })).to.equal('accepted');
    });
  });

  describe('that were delivered', () => {
    /** Settles the first delivery in this way, and tells what the next one looks like to another receiver. */
    const next = async (settle: (inbox: Inbox) => void): Promise<Message | undefined> => {
      const inbox = await peer.receive('jobs', { credit: 1, properties: { 'x-opt-dead-letter': 'dead' } });
      await peer.send('jobs', { body: 'x' });
      await inbox.first(1);
      settle(inbox);
      await inbox.close();
      const other = await peer.receive('jobs');
      await peer.send('jobs', { body: 'fence' });
      const [message] = await other.first(1);
      return message;
    };

    it('are forgotten when accepted', async () => {
      expect(await next((inbox) => inbox.delivery(0).accept())).to.include({ body: 'fence' });
    });

    it('come again when released, and that does not count', async () => {
      const again = await next((inbox) => inbox.delivery(0).release());
      expect(again).to.include({ body: 'x', first_acquirer: false, delivery_count: 0 });
    });

    it('come again when modified as failed, and that counts', async () => {
      const again = await next((inbox) => inbox.delivery(0).modified({ delivery_failed: true }));
      expect(again).to.include({ body: 'x', first_acquirer: false, delivery_count: 1 });
    });

    it('come again with the annotations that were added', async () => {
      const message_annotations = { 'x-opt-why': 'because', 'x-opt-tries': 2 };
      const again = await next((inbox) => inbox.delivery(0).modified({ message_annotations }));
      expect(again).to.include({ body: 'x', delivery_count: 0 });
      expect(again?.message_annotations).to.deep.equal(message_annotations);
    });

    it('come again when they were settled without an outcome', async () => {
      const again = await next((inbox) => inbox.delivery(0).update(true, undefined));
      expect(again).to.include({ body: 'x', first_acquirer: false, delivery_count: 0 });
    });

    it('come again when nobody settled them before the link was detached', async () => {
      const again = await next(() => {});
      expect(again).to.include({ body: 'x', first_acquirer: false, delivery_count: 1 });
    });

    it('go to the dead letters when rejected', async () => {
      expect(await next((inbox) => inbox.delivery(0).reject())).to.include({ body: 'fence' });
      const dead = await peer.receive('group/dead');
      expect((await dead.first(1))[0]?.body).to.equal('x');
    });

    it('never come again to who found them undeliverable, but to others', async () => {
      const inbox = await peer.receive('jobs');
      await peer.send('jobs', { body: 'x' });
      await inbox.first(1);
      inbox.delivery(0).modified({ undeliverable_here: true });
      await peer.send('jobs', { body: 'fence' });
      expect((await inbox.first(2))[1]?.body).to.equal('fence');
      const drained = once(inbox.link, 'receiver_drained');
      inbox.link.drain_credit();
      await drained;
      expect(inbox.got).to.have.lengthOf(2);
      const other = await peer.receive('jobs');
      expect((await other.first(1))[0]?.body).to.equal('x');
    });

    it('are settled by the broker, too, for those who want to be last', async () => {
      const session = peer.connection.create_session();
      session.begin();
      const link = session.open_receiver({ source: 'jobs', credit_window: 1, autoaccept: false, rcv_settle_mode: 1 });
      const coming = once(link, 'message');
      await peer.send('jobs', { body: 'x' });
      const [{ delivery }]: [EventContext] = (await coming) as never;
      const settled = once(link, 'settled');
      delivery?.accept();
      await settled;
      link.close();
      await once(link, 'receiver_close');
      const next = await peer.receive('jobs');
      await peer.send('jobs', { body: 'fence' });
      expect((await next.first(1))[0]?.body).to.equal('fence');
    });

    it('come again when the connection is killed, in their order, to who is left', async () => {
      const victim = await BrokerPeer.open(broker.port);
      const inbox = await victim.receive('jobs', { credit: 3 });
      for (const body of ['1', '2', '3', '4']) await peer.send('jobs', { body });
      await inbox.first(3);
      inbox.delivery(1).accept();
      const heir = await peer.receive('jobs');
      await heir.first(1);
      victim.kill();
      const messages = await heir.first(3);
      const bodies = messages.map(({ body }) => body);
      expect(bodies[0]).to.equal('4');
      expect(bodies.slice(1)).to.include('1').and.include('3');
      for (const { body, delivery_count, first_acquirer } of messages.slice(1))
        expect([body, delivery_count, first_acquirer]).to.deep.equal([body, 1, false]);
    });

    it('keep within what the client reads, however much credit it gives', async () => {
      await using reader = await BrokerPeer.open(broker.port);
      const inbox = await reader.receive('jobs', { credit: 1_000 });
      const { socket } = reader.connection as unknown as { readonly socket: import('node:net').Socket };
      socket.pause();
      const body = 'x'.repeat(90_000);
      let held = 0;
      // What the broker handed out stays in its store until it is settled: only so much fits.
      while ((await peer.send('jobs', { body })) === 'accepted') held++;
      expect(held).to.equal(3);
      socket.resume();
      await inbox.first(3);
    });
  });

  it('can be read by the decoder of the driver', async () => {
    const bytes = await passed(
      (rhea.message as unknown as { encode(m: object): Buffer }).encode({ to: 'x', body: 'y' }),
    );
    expect(decode(bytes)).to.deep.include({ to: 'x', deliveryCount: 0, redelivered: false });
  });
});
