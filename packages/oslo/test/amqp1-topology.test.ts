import { type Features, type SendOptions, type Source, UnsupportedError } from '@posthorn/core';
import { expect } from 'chai';
import { amqp1Topology } from '../src/amqp1-topology.ts';

const FEATURES: Features = {
  kinds: ['anycast', 'mailbox', 'reply'],
  unroutable: 'detected',
  ttl: true,
  delay: true,
  priority: true,
  keep: false,
  deliveryCount: true,
  untilEmpty: true,
  inPlace: true,
  durable: false,
};

/** A broker that marks what is sent to an address as it is. */
const broker: Parameters<ReturnType<typeof amqp1Topology>>[0] = {
  name: 'some broker',
  features: FEATURES,
  route: (to) => ({ address: 'name' in to ? to.name : 'none', annotations: { asItIs: true } }),
  intake: (from) => ({
    links: from.map(() => ({ label: { kind: 'reply', name: '' }, source: { dynamic: true } })),
  }),
};

const topology = (strict = false) =>
  amqp1Topology({ addressing: 'dynamic', strict, product: 'some broker' })(broker, undefined);
const target = { exchange: 'e', topic: 't' };
const call: SendOptions = { unrouted: 'fail', confirm: false };

describe('the oslo topology over AMQP 1.0', () => {
  it('has all that RPC and notifications need, whatever the broker says of itself, and nothing beyond', () => {
    const { kinds, delay, priority, keep, untilEmpty, ...asIs } = topology().features;
    expect(kinds).to.have.members(['anycast', 'unicast', 'multicast', 'topic', 'group', 'reply']);
    expect({ delay, priority, keep, untilEmpty }).to.deep.equal({
      delay: false,
      priority: false,
      keep: true,
      untilEmpty: false,
    });
    expect(FEATURES).to.deep.include(asIs);
  });

  it('sends text in an amqp-value, to every kind of address', () => {
    const { body, route } = topology();
    expect(body).to.equal('string');
    const addressOf = (to: Parameters<typeof route>[0]): string => route(to, { confirm: true }).address;
    expect(addressOf({ kind: 'unicast', ...target, server: 's' })).to.equal('openstack.org/om/rpc/unicast/e/t/s');
    expect(addressOf({ kind: 'topic', exchange: 'e', key: 'n.info' })).to.equal(
      'openstack.org/om/notify/anycast/e/n.info',
    );
    expect(addressOf({ kind: 'group', name: 'e/n.info.dead' })).to.equal(
      'openstack.org/om/notify/anycast/e/n.info.dead',
    );
    expect(addressOf({ kind: 'group', name: 'my.dead' })).to.equal('openstack.org/om/notify/anycast/my.dead');
    expect(addressOf({ kind: 'reply', name: 'temp:1' })).to.equal('temp:1');
    expect(() => addressOf({ kind: 'mailbox', name: 'm' })).to.throw(UnsupportedError, /mailbox m/);
  });

  it('asks the broker not to keep calls that nobody serves, unless strict', () => {
    const to = { kind: 'anycast', ...target } as const;
    const address = 'openstack.org/om/rpc/anycast/e/t';
    expect(topology().route(to, call)).to.deep.equal({ address, annotations: { asItIs: true } });
    expect(topology(true).route(to, call)).to.deep.equal({ address });
    expect(topology(true).route({ kind: 'reply', name: 'r' }, call)).to.deep.equal({ address: 'r', settled: true });
    expect([topology().features.unroutable, topology(true).features.unroutable]).to.deep.equal([
      'detected',
      'undetected',
    ]);
  });

  it('settles replies when they are written, and what nobody wants to hear of', () => {
    const { route } = topology();
    expect(route({ kind: 'reply', name: 'r' }, call)).to.include({ settled: true });
    expect(route({ kind: 'multicast', ...target }, { unrouted: 'drop', confirm: false })).to.include({ settled: true });
    for (const options of [call, { unrouted: 'drop', confirm: true }, { unrouted: 'keep', confirm: true }] as const)
      expect(route({ kind: 'anycast', ...target }, options)).to.not.have.property('settled');
  });

  it('receives from one link for each source', () => {
    const sources: readonly Source[] = [
      { kind: 'anycast', ...target },
      { kind: 'multicast', ...target },
      { kind: 'topic', exchange: 'e', pattern: 'n.info' },
    ];
    expect(topology().intake(sources, { group: 'e/n.info' }).links).to.deep.equal([
      { label: sources[0], source: { address: 'openstack.org/om/rpc/anycast/e/t' } },
      { label: sources[1], source: { address: 'openstack.org/om/rpc/multicast/e/t' } },
      {
        label: { kind: 'topic', exchange: 'e', key: 'n.info' },
        source: { address: 'openstack.org/om/notify/anycast/e/n.info' },
      },
    ]);
    expect(topology().intake([{ kind: 'reply' }], {}).links).to.have.nested.property('[0].source.dynamic', true);
  });

  it('refuses pools, patterns and attributes of queues by name', () => {
    const topic = (pattern: string): readonly Source[] => [{ kind: 'topic', exchange: 'e', pattern }];
    const { intake, route } = topology();
    expect(() => intake(topic('n.info'), { group: 'pool' })).to.throw(UnsupportedError, /pool/);
    for (const pattern of ['n.*', '#']) expect(() => intake(topic(pattern), {})).to.throw(UnsupportedError, /patterns/);
    expect(() => intake(topic('n.info'), { retention: { expiresMs: 1 } })).to.throw(UnsupportedError, /expiresMs/);
    const keep = { unrouted: 'keep', retention: { maxLength: 1 } } as const;
    expect(() => route({ kind: 'topic', exchange: 'e', key: 'k' }, keep)).to.throw(UnsupportedError, /maxLength/);
    expect(route({ kind: 'group', name: 'e/k.dead' }, keep)).to.have.property('address');
  });

  it('tells exchanges and keys of groups apart, whatever is in their names', () => {
    const { intake } = topology();
    for (const exchange of ['a/b', 'a%2Fb', '', 'é'])
      expect(
        intake([{ kind: 'topic', exchange, pattern: 'x/y.info' }], {
          group: `${encodeURIComponent(exchange)}/x/y.info`,
        }).links[0]?.label,
      ).to.deep.equal({ kind: 'topic', exchange, key: 'x/y.info' });
  });
});
