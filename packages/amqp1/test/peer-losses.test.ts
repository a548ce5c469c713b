import type { Address, Delivery } from '@posthorn/core';
import { expect } from 'chai';
import rhea, { type EventContext, type Receiver, type Sender, type Session } from 'rhea';
import { pairLinks } from '../src/rhea.ts';
import { outcomeOf, ScriptedPeer, statuses, until } from './scripted-peer.ts';

const to: Address & { readonly kind: 'anycast' } = { kind: 'anycast', exchange: 'e', topic: 't' };
const CONFIRM = { confirm: true, timeoutMs: 5_000 };
const RELAY = { capabilities: ['ANONYMOUS-RELAY'] };

function text(body: string): { readonly body: Buffer } {
  return { body: Buffer.from(body) };
}

const message = (body: string) => ({ body: rhea.message.data_section(Buffer.from(body)) });

describe('the driver and what the broker takes away from it', () => {
  it('does not know what became of messages whose session is ended, and sends the next on another', async () => {
    await using peer = await ScriptedPeer.open({
      onMessage: ({ session, delivery }) =>
        peer.receivers.length === 1
          ? session?.close({ condition: 'amqp:internal-error', description: 'broken' } as never)
          : delivery?.accept(),
    });
    const driver = await peer.driver();
    const failure = await driver.send(to, text('one'), CONFIRM).catch((error: Error) => error);
    expect(failure).to.have.property('code', 'UNKNOWN');
    expect(failure).to.have.nested.property('cause.message').that.contains('amqp:internal-error: broken');
    expect(await outcomeOf(driver.send(to, text('two'), CONFIRM))).to.equal('resolved');
    expect([peer.connections.length, peer.texts]).to.deep.equal([1, ['one', 'two']]);
  });

  it('knows that one message was refused where its session is ended for it, as RabbitMQ 4.0 does', async () => {
    const description =
      'Failed to deliver message to queues, delivery_tag={binary,<<0,0,0,1>>}, delivery_id=1, reason=x';
    await using peer = await ScriptedPeer.open({
      onMessage: ({ session }) => {
        if (peer.messages.length === 3) session?.close({ condition: 'amqp:internal-error', description } as never);
      },
    });
    const driver = await peer.driver();
    const outcomes = ['a', 'b', 'c'].map((body) => outcomeOf(driver.send(to, text(body), CONFIRM)));
    expect(await Promise.all(outcomes)).to.deep.equal(['UNKNOWN', 'NOT_DELIVERED', 'UNKNOWN']);
  });

  it('fails an attach whose session is ended instead of an answer', async () => {
    await using peer = await ScriptedPeer.open({
      onSender: (sender) => {
        (sender as unknown as { readonly state: { open_requests: number } }).state.open_requests = 0;
        sender.session.close({ condition: 'amqp:resource-limit-exceeded' } as never);
      },
    });
    const driver = await peer.driver();
    expect(await outcomeOf(driver.subscribe([to], () => undefined))).to.equal('CONNECTION');
  });

  it('writes what waited for credit on the next link, once, when the first is taken away', async () => {
    await using peer = await ScriptedPeer.open({
      onReceiver: (receiver, count) => receiver.add_credit(count === 1 ? 1 : 10),
      onMessage: ({ delivery }) => peer.receivers.length > 1 && delivery?.accept(),
    });
    const driver = await peer.driver();
    const outcomes = ['written', 'waiting', 'waiting too'].map((body) =>
      outcomeOf(driver.send(to, text(body), CONFIRM)),
    );
    await until('the first message', () => peer.messages.length === 1);
    peer.receivers[0]?.close({ condition: 'amqp:link:detach-forced' });
    expect(await Promise.all(outcomes)).to.deep.equal(['UNKNOWN', 'resolved', 'resolved']);
    expect(peer.texts).to.deep.equal(['written', 'waiting', 'waiting too']);
  });

  it('does not know what became of messages whose connection is closed, and goes on with the next', async () => {
    await using peer = await ScriptedPeer.open({
      onReceiver: (receiver, count) => receiver.add_credit(count === 1 ? 1 : 10),
      onMessage: ({ delivery }) => peer.receivers.length > 1 && delivery?.accept(),
      onSender: (sender, count) => void sender.once('sendable', () => sender.send(message(`m${count}`))),
    });
    const { states, onStatus } = statuses();
    const driver = await peer.driver({}, { onStatus });
    const held: Delivery[] = [];
    await driver.subscribe([to], (delivery) => void held.push(delivery));
    const failing = driver.send(to, text('written'), CONFIRM).catch((error: Error) => error);
    const waiting = outcomeOf(driver.send(to, text('waiting'), CONFIRM));
    await until('both ways', () => peer.messages.length === 1 && held.length === 1);
    peer.connections[0]?.close({ condition: 'amqp:connection:forced', description: 'maintenance' });
    const failure = await failing;
    expect(failure).to.have.property('code', 'UNKNOWN');
    expect(failure).to.have.nested.property('cause.message').that.contains('amqp:connection:forced: maintenance');
    expect(await waiting).to.equal('resolved');
    await until('the next delivery', () => held.length === 2);
    expect(await held[0]?.settle('accept')).to.equal(false);
    expect(await held[1]?.settle('accept')).to.equal(true);
    expect(peer.texts).to.deep.equal(['written', 'waiting']);
    expect(states).to.deep.equal(['connected', 'disconnected', 'connected']);
  });

  for (const [profile, outcome] of [
    ['plain', 'released'],
    ['posthorn', 'modified'],
  ] as const)
    it(`gives back as ${outcome}, where the broker is a ${profile} one`, async () => {
      const outcomes: unknown[] = [];
      const send = (sender: Sender): void => {
        for (const event of ['released', 'modified', 'rejected', 'accepted'])
          sender.on(event, ({ delivery }: EventContext) => {
            const { delivery_failed = undefined } = (delivery?.remote_state ?? {}) as { delivery_failed?: boolean };
            outcomes.push([event, Boolean(delivery_failed)]);
          });
        sender.once('sendable', () => sender.send(message('x')));
        sender.on('sender_draining', () => sender.set_drained(true));
      };
      const options = { sender_options: { treat_modified_as_released: false } };
      await using peer = await ScriptedPeer.open({ ...RELAY, options, onSender: send });
      const driver = await peer.driver({ profile });
      await driver.subscribe([to], (delivery) => void delivery.settle('release'));
      await until('the outcome', () => outcomes.length === 1);
      // A failed delivery is what brokers count.
      expect(outcomes).to.deep.equal([[outcome, outcome === 'modified']]);
    });

  it('takes a modified message for refused, and not for unroutable, where a released one is', async () => {
    const onMessage = ({ delivery }: EventContext): void => void delivery?.modified({ delivery_failed: true });
    await using peer = await ScriptedPeer.open({ ...RELAY, onMessage });
    const driver = await peer.driver({ profile: 'posthorn' });
    expect(await outcomeOf(driver.send(to, text('x'), { ...CONFIRM, unrouted: 'fail' }))).to.equal('NOT_DELIVERED');
  });

  it('waits no longer for the end of a drain when the link is taken away', async () => {
    const take = (sender: Sender): void =>
      void sender.on('sender_draining', () => sender.close({ condition: 'amqp:resource-deleted' }));
    await using peer = await ScriptedPeer.open({ ...RELAY, onSender: take });
    const driver = await peer.driver({ profile: 'posthorn' });
    const subscription = await driver.subscribe([to], () => undefined);
    const begun = performance.now();
    await subscription.close();
    expect(performance.now() - begun).to.be.below(4_500);
  });

  it('asks the management node what waited, once a broker that was blocked opens its window', async () => {
    const asked: string[] = [];
    await using peer = await ScriptedPeer.open({
      ...RELAY,
      options: {
        properties: { product: 'RabbitMQ', version: '4.3.0' },
        receiver_options: { credit_window: 0, autoaccept: false },
      },
      onMessage: ({ receiver, delivery, message: request }) => {
        delivery?.accept();
        if (receiver?.target?.address !== '/management') return;
        asked.push(String(request?.to));
        const answers = peer.senders.find((sender) => sender.session === receiver.session);
        answers?.send({ correlation_id: request?.message_id ?? '', subject: '204', body: null });
      },
      onSession: (session) =>
        // The node's two links bear the same name.
        pairLinks(session as never, ({ performative: { name, role } }) => {
          const { create_sender, create_receiver } = session as unknown as Record<string, (name: string) => never>;
          return (role ? create_sender : create_receiver)?.call(session, name) as never;
        }),
    });
    const { states, onStatus } = statuses();
    const driver = await peer.driver({}, { onStatus });
    await driver.send(to, text('before'), CONFIRM);
    for (const receiver of peer.receivers) moveWindow(receiver, 0);
    await until('the block', () => states.at(-1) === 'blocked');
    const sending = driver.send({ ...to, exchange: 'other' }, text('after'), CONFIRM);
    // Were it written meanwhile, it would be before this one gives up.
    const late = { ...CONFIRM, timeoutMs: 50 };
    expect(await outcomeOf(driver.send({ ...to, exchange: 'other' }, text('late'), late))).to.equal('TIMEOUT');
    expect(asked).to.deep.equal(['/exchanges/e%2Frpc']);
    for (const receiver of peer.receivers) moveWindow(receiver, 2_048);
    await sending;
    expect(asked).to.deep.equal(['/exchanges/e%2Frpc', '/exchanges/other%2Frpc']);
  });
});

/** Makes the peer say that it takes so many frames of the link's session from now on. */
function moveWindow(receiver: Receiver, window: number): void {
  const session = receiver.session as Session & { incoming: object; _write_flow(): void };
  session.incoming = Object.create(session.incoming, { window: { get: () => window, configurable: true } });
  session._write_flow();
}
