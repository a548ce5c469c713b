import { type Features, type Source, UnsupportedError } from '@posthorn/core';
import { expect } from 'chai';
import { amqp1OnRabbitMQ } from '../src/amqp1-on-rabbitmq.ts';
import { osloTopology } from '../src/rabbit-topology.ts';

const FEATURES: Features = {
  kinds: [],
  unroutable: 'detected',
  ttl: true,
  delay: true,
  priority: true,
  keep: true,
  deliveryCount: true,
  untilEmpty: true,
  inPlace: true,
  durable: true,
};

const rabbit = osloTopology({
  durability: 'transient',
  transientQuorum: false,
  autoDelete: false,
  transientExpiresMs: 1_800_000,
  strict: false,
});
const { route, shelf, intake, features } = amqp1OnRabbitMQ(rabbit)({ name: 'rabbitmq4', features: FEATURES });
const target = { exchange: 'openstack', topic: 'a/b' };

describe('the oslo topology over AMQP 1.0 on RabbitMQ', () => {
  it('sends to the exchanges and queues of the rabbit driver, by addresses of version 2', () => {
    const addressOf = (to: Parameters<typeof route>[0]): string => route(to).address;
    expect(addressOf({ kind: 'anycast', ...target })).to.equal('/exchanges/openstack/a%2Fb');
    expect(addressOf({ kind: 'unicast', ...target, server: 's' })).to.equal('/exchanges/openstack/a%2Fb.s');
    expect(addressOf({ kind: 'multicast', ...target })).to.equal('/exchanges/a%2Fb_fanout');
    expect(addressOf({ kind: 'topic', exchange: 'e', key: 'n.info' })).to.equal('/exchanges/e/n.info');
    for (const kind of ['reply', 'group', 'mailbox'] as const)
      expect(addressOf({ kind, name: 'q 1' })).to.equal('/queues/q%201');
  });

  it('declares what the rabbit driver declares', () => {
    const multicast = { kind: 'multicast', ...target } as const;
    expect(route(multicast).exchange).to.deep.equal(rabbit.route(multicast).exchange);
    const topic = { kind: 'topic', exchange: 'e', key: 'n.info' } as const;
    expect(shelf(topic, { retention: {} })).to.deep.equal({
      ...rabbit.kept(topic),
      first: route(topic),
      last: route(topic),
    });
    const sources: readonly Source[] = [{ kind: 'topic', exchange: 'e', pattern: 'n.info' }];
    const { links, sentTo: _, ...declared } = intake(sources, { group: 'pool' });
    expect(declared).to.deep.equal(rabbit.intake(sources, { group: 'pool' }));
    expect(links).to.deep.equal([
      { label: { kind: 'topic', exchange: 'e', key: 'n.info' }, source: { address: '/queues/pool' } },
    ]);
    const reply = intake([{ kind: 'reply' }], {});
    expect(reply.links).to.deep.equal([
      {
        label: { kind: 'reply', name: reply.queue.name },
        source: { address: `/queues/${reply.queue.name}` },
      },
    ]);
  });

  it('tells subscribers to topics where a message was sent to, also when that was the group itself', () => {
    const topics: readonly Source[] = ['n.info', 'n.error'].map((pattern) => ({
      kind: 'topic',
      exchange: 'e',
      pattern,
    }));
    const { sentTo } = intake(topics, { group: 'pool' });
    const at = (exchange: unknown, key: unknown) => ({ annotations: { 'x-exchange': exchange, 'x-routing-key': key } });
    expect(sentTo(at('e', 'n.error'))).to.deep.equal({ kind: 'topic', exchange: 'e', key: 'n.error' });
    expect(sentTo(at('', 'pool'))).to.deep.equal({ kind: 'group', name: 'pool' });
    expect(sentTo({ annotations: {} })).to.equal(undefined);
    const anycast = intake([{ kind: 'anycast', ...target }], {});
    expect(anycast.sentTo(at('openstack', 'a/b'))).to.equal(undefined);
  });

  it('has the features of the broker, but for delays and priorities', () => {
    expect(features).to.deep.include({ ...FEATURES, kinds: features.kinds, delay: false, priority: false });
    expect(features.kinds).to.include.members(['anycast', 'unicast', 'multicast', 'topic', 'group', 'reply']);
  });

  it('is refused on RabbitMQ 3', () => {
    const refused = (): unknown => amqp1OnRabbitMQ(rabbit)({ name: 'rabbitmq3', features: FEATURES });
    expect(refused).to.throw(UnsupportedError, /RabbitMQ 3, where rabbit:\/\/ can be used/);
  });
});
