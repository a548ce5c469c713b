import type { Address, Source } from '@posthorn/core';
import { expect } from 'chai';
import { chooseProfile } from '../src/choose-profile.ts';
import type { Amqp1Options } from '../src/options.ts';
import type { Profile } from '../src/profile.ts';

type Name = NonNullable<Amqp1Options['profile']>;

const profile = (name: Name, durability: 'durable' | 'quorum' = 'durable', version = '4.3.0'): Profile =>
  chooseProfile({ profile: name, durability }, { product: undefined, version, capabilities: [] });

/** Parts with everything that some broker gives a meaning to. */
const odd = { exchange: 'e/x.y*#>', topic: 't,%2F' } as const;
const TO = {
  anycast: { kind: 'anycast', exchange: 'e', topic: 't' },
  unicast: { kind: 'unicast', exchange: 'e', topic: 't', server: 's' },
  multicast: { kind: 'multicast', exchange: 'e', topic: 't' },
  topic: { kind: 'topic', exchange: 'e', key: 'a.b' },
  group: { kind: 'group', name: 'g' },
  mailbox: { kind: 'mailbox', name: 'm' },
  reply: { kind: 'reply', name: 'r/1' },
} as const satisfies Record<Address['kind'], Address>;

const TABLE: Readonly<Partial<Record<Name, Partial<Record<Address['kind'], string>>>>> = {
  rabbitmq4: {
    anycast: '/exchanges/e%2Frpc/e%2Ft',
    unicast: '/exchanges/e%2Frpc/e%2Ft%2Fs',
    multicast: '/exchanges/e%2Ft%2Fall',
    topic: '/exchanges/e/a.b',
    group: '/queues/g',
    mailbox: '/queues/m',
    reply: '/queues/r%2F1',
  },
  rabbitmq3: { anycast: '/queue/e%2Ft', group: '/queue/g', mailbox: '/queue/m' },
  activemq: {
    anycast: 'queue://e.t',
    unicast: 'queue://e.t.s',
    multicast: 'topic://e.t',
    group: 'queue://g',
    mailbox: 'queue://m',
    reply: 'r/1',
  },
  artemis: { anycast: 'e.t', unicast: 'e.t.s', multicast: 'e.t.all', group: 'g', mailbox: 'm', reply: 'r/1' },
  router: { anycast: 'anycast/e/t', unicast: 'unicast/e/t/s', multicast: 'multicast/e/t', reply: 'r/1' },
  plain: { anycast: 'e/t', unicast: 'e/t/s', group: 'g', mailbox: 'm', reply: 'r/1' },
};

describe('the profiles', () => {
  for (const [name, addresses] of Object.entries(TABLE) as [Name, Partial<Record<Address['kind'], string>>][]) {
    it(`${name} has these addresses, and declares no other kinds`, () => {
      const { route, features } = profile(name);
      const got = features.kinds.map((kind) => [kind, route(TO[kind], {}).address]);
      expect(Object.fromEntries(got)).to.deep.equal(addresses);
    });

    it(`${name} receives from where it sends to`, () => {
      const { route, intake, features, managed } = profile(name);
      // RabbitMQ 4 sends to exchanges, and receives from the queues that are bound to them.
      const kinds = features.kinds.filter(
        (kind) => kind !== 'reply' && (!managed || kind === 'group' || kind === 'mailbox'),
      );
      for (const kind of kinds) {
        const [link] = intake([TO[kind] as Source], {}).links;
        expect(link?.source.address, kind).to.equal(route(TO[kind], {}).address);
        expect(link?.label, kind).to.deep.equal(TO[kind]);
      }
    });

    it(`${name} keeps awkward names apart`, () => {
      const { route, features } = profile(name);
      const every: Address[] = [
        { kind: 'anycast', ...odd },
        { kind: 'anycast', exchange: 'e', topic: 'x.y' },
        { kind: 'anycast', exchange: 'e.x', topic: 'y' },
        { kind: 'anycast', exchange: 'e', topic: 'x/y' },
        { kind: 'anycast', exchange: 'e/x', topic: 'y' },
        { kind: 'anycast', exchange: 'e%2Fx', topic: 'y' },
        { kind: 'unicast', exchange: 'e', topic: 'x', server: 'y' },
        { kind: 'multicast', exchange: 'e', topic: 'x' },
        { kind: 'unicast', exchange: 'e', topic: 'x', server: 'all' },
        { kind: 'mailbox', name: 'e.x.y' },
      ];
      const known = every.filter(({ kind }) => features.kinds.includes(kind));
      expect(new Set(known.map((to) => route(to, {}).address)).size).to.equal(known.length);
    });
  }

  for (const name of ['rabbitmq3', 'activemq', 'artemis', 'router', 'plain'] as const)
    it(`${name} refuses attributes of queues, and groups of topics`, () => {
      const { intake, route } = profile(name);
      const refused = (task: () => unknown): void => void expect(task).to.throw().with.property('code', 'UNSUPPORTED');
      refused(() => intake([TO.anycast], { retention: { maxLength: 5 } }));
      refused(() => route(TO.anycast, { retention: { expiresMs: 5 } }));
      refused(() => intake([{ kind: 'topic', exchange: 'e', pattern: '#' }], {}));
      refused(() => intake([TO.anycast], { group: 'g' }));
    });

  it('take an attribute that all queues of the broker have', () => {
    for (const name of ['rabbitmq3', 'activemq', 'artemis'] as const) {
      const { intake, route } = profile(name);
      const retention = { durability: 'durable' } as const;
      expect(intake([TO.anycast], { retention }).links).to.have.lengthOf(1);
      expect(route(TO.anycast, { retention }).address).to.equal(route(TO.anycast, {}).address);
    }
    const { route } = profile('plain');
    expect(() => route(TO.anycast, { retention: { durability: 'durable' } })).to.throw('durability');
  });

  it('are chosen by what the peer says', () => {
    const chosen = (product?: string, version?: string): string =>
      chooseProfile({ durability: 'durable' }, { product, version, capabilities: [] }).name;
    expect(chosen('RabbitMQ', '3.10.8')).to.equal('rabbitmq3');
    expect(chosen('RabbitMQ', '4.0.5')).to.equal('rabbitmq4');
    expect(chosen('Posthorn', '0.1.0')).to.equal('posthorn');
    expect(chosen('ActiveMQ', '5.17.2')).to.equal('activemq');
    expect(chosen('apache-activemq-artemis', '2.30.0')).to.equal('artemis');
    expect(chosen('qpid-dispatch-router', '1.19.0')).to.equal('router');
    expect(chosen('skupper-router', '2.5.0')).to.equal('router');
    expect(chosen()).to.equal('plain');
  });

  it('on RabbitMQ 4 count deliveries in classic queues from 4.3 on, and in quorum queues', () => {
    const counts = (durability: 'durable' | 'quorum', version: string): boolean =>
      profile('rabbitmq4', durability, version).features.deliveryCount;
    expect(counts('durable', '4.0.5')).to.equal(false);
    expect(counts('durable', '4.3.6')).to.equal(true);
    expect(counts('quorum', '4.0.5')).to.equal(true);
  });

  it('on RabbitMQ 4 spell reply addresses as peers of both protocols do', () => {
    const { replyName } = profile('rabbitmq4');
    expect(replyName?.('reply/1')).to.equal('reply/1');
    expect(replyName?.('/queues/reply%2F1')).to.equal('reply/1');
  });

  it('on RabbitMQ 4 tell where a message was sent by its annotations', () => {
    const from: Source[] = [
      { kind: 'topic', exchange: 'e', pattern: '#' },
      { kind: 'topic', exchange: 'e/2', pattern: 'k' },
    ];
    const { sentTo, queue } = profile('rabbitmq4').intake(from, { group: 'g' });
    const at = (exchange: unknown, key: unknown): Address | undefined =>
      sentTo?.({ to: undefined, annotations: { 'x-exchange': exchange, 'x-routing-key': key } });
    expect(at('e', 'a.b')).to.deep.equal({ kind: 'topic', exchange: 'e', key: 'a.b' });
    expect(at('e%2F2', 'k')).to.deep.equal({ kind: 'topic', exchange: 'e/2', key: 'k' });
    expect(at('', queue?.name)).to.deep.equal({ kind: 'group', name: 'g' });
    expect(at('other', 'k')).to.equal(undefined);
    expect(at(undefined, undefined)).to.equal(undefined);
  });

  it('on Artemis say what kind of node they mean, and delay by an annotation', () => {
    const { route, intake } = profile('artemis');
    expect(route(TO.anycast, {}).capabilities).to.deep.equal(['queue']);
    expect(route(TO.multicast, { delayMs: 1.5 })).to.deep.equal({
      address: 'e.t.all',
      capabilities: ['topic'],
      annotations: { 'x-opt-delivery-delay': 2 },
    });
    expect(intake([{ kind: 'reply' }], {}).links[0]?.source.capabilities).to.deep.equal(['temporary-queue']);
  });
});
