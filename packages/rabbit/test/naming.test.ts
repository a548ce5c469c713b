import type { Address, Source } from '@posthorn/core';
import { expect } from 'chai';
import fc from 'fast-check';
import { delayIntake, modernTopology } from '../src/naming.ts';
import type { Route } from '../src/topology.ts';

const topology = modernTopology('durable');
const ID = /[0-9a-f]{32}/;

function routeText({ exchange, key }: Route): string {
  return exchange === undefined ? `→ ${key}` : `${exchange.type} ${exchange.name} → ${key}`;
}

describe('the names on RabbitMQ', () => {
  const routes: readonly (readonly [Address, string])[] = [
    [{ kind: 'anycast', exchange: 'e', topic: 't' }, 'direct e/rpc → e/t'],
    [{ kind: 'unicast', exchange: 'e', topic: 't', server: 's' }, 'direct e/rpc → e/t/s'],
    [{ kind: 'multicast', exchange: 'e', topic: 't' }, 'fanout e/t/all → '],
    [{ kind: 'topic', exchange: 'e', key: 'a.b' }, 'topic e → a.b'],
    [{ kind: 'group', name: 'g' }, '→ g'],
    [{ kind: 'mailbox', name: 'm' }, '→ m'],
    [{ kind: 'reply', name: 'reply/1' }, '→ reply/1'],
    [{ kind: 'anycast', exchange: 'a/b', topic: 'c d%' }, 'direct a%2Fb/rpc → a%2Fb/c%20d%25'],
    [{ kind: 'unicast', exchange: 'e', topic: 't', server: 'h/é' }, 'direct e/rpc → e/t/h%2F%C3%A9'],
  ];

  for (const [address, expected] of routes) {
    it(`${JSON.stringify(address)} goes ${expected}`, () => {
      expect(routeText(topology.route(address))).to.equal(expected);
    });
  }

  const queues: readonly (readonly [Source, string, string])[] = [
    [{ kind: 'anycast', exchange: 'e', topic: 't' }, 'e/t durable keep {}', 'direct e/rpc → e/t'],
    [
      { kind: 'unicast', exchange: 'e', topic: 't', server: 's' },
      'e/t/s durable ifEmpty {"x-expires":1800000}',
      'direct e/rpc → e/t/s',
    ],
    [{ kind: 'multicast', exchange: 'e', topic: 't' }, 'e/t/all/ID exclusive delete {}', 'fanout e/t/all → '],
    [{ kind: 'topic', exchange: 'e', pattern: 'a.#' }, 'e/ID exclusive delete {}', 'topic e → a.#'],
    [{ kind: 'group', name: 'g' }, 'g durable keep {}', ''],
    [{ kind: 'mailbox', name: 'm' }, 'm durable keep {}', ''],
    [{ kind: 'reply' }, 'reply/ID exclusive delete {}', ''],
  ];

  for (const [source, expected, bindings] of queues) {
    it(`${JSON.stringify(source)} is read from ${expected}`, () => {
      const { queue, bindings: made } = topology.intake([source], {});
      const kind = queue.exclusive ? 'exclusive' : queue.durable ? 'durable' : 'transient';
      const text = `${queue.name.replace(ID, 'ID')} ${kind} ${queue.onClose} ${JSON.stringify(queue.arguments)}`;
      expect(text).to.equal(expected);
      expect(made.map(routeText).join()).to.equal(bindings);
    });
  }

  it('several sources feed the one queue of their group', () => {
    const sources: Source[] = ['a.*', 'b'].map((pattern) => ({ kind: 'topic', exchange: 'e', pattern }));
    const { queue, bindings } = topology.intake(sources, { group: 'g/1' });
    expect(queue).to.deep.include({ name: 'g%2F1', durable: true, exclusive: false });
    expect(bindings.map(routeText)).to.deep.equal(['topic e → a.*', 'topic e → b']);
  });

  it('a private queue takes a new name each time', () => {
    const once = (): string => topology.intake([{ kind: 'reply' }], {}).queue.name;
    expect(once()).to.not.equal(once());
  });

  it('durability quorum makes shared queues quorum queues, and leaves private ones alone', () => {
    const quorum = modernTopology('quorum');
    const type = (source: Source): unknown => quorum.intake([source], {}).queue.arguments['x-queue-type'];
    expect(type({ kind: 'anycast', exchange: 'e', topic: 't' })).to.equal('quorum');
    expect(type({ kind: 'multicast', exchange: 'e', topic: 't' })).to.equal(undefined);
    const server: Source = { kind: 'unicast', exchange: 'e', topic: 't', server: 's' };
    expect(quorum.intake([server], {}).queue.onClose).to.equal('unbind');
    expect(quorum.intake([server], { retention: { durability: 'durable' } }).queue.onClose).to.equal('ifEmpty');
  });

  it('retention becomes the arguments of the queue', () => {
    const { queue } = topology.intake([{ kind: 'group', name: 'g' }], {
      retention: { durability: 'quorum', expiresMs: 5, maxLength: 7, maxPriority: 9, deadLetter: 'd/l' },
    });
    expect(queue.arguments).to.deep.equal({
      'x-queue-type': 'quorum',
      'x-delivery-limit': 1_000_000,
      'x-expires': 5,
      'x-max-length': 7,
      'x-max-priority': 9,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': 'd%2Fl',
    });
  });

  it('what waits for the listeners of a topic is in the queue of their group, which is not bound', () => {
    const topic: Address = { kind: 'topic', exchange: 'e', key: 'a.b' };
    for (const [options, name] of [
      [{}, 'a.b'],
      [{ keepFor: 'e/a.b' }, 'e%2Fa.b'],
    ] as const) {
      const { queue, bindings } = topology.kept(topic, options);
      expect([queue.name, bindings]).to.deep.equal([name, []]);
      const group = options.keepFor ?? 'a.b';
      expect(queue).to.deep.equal(topology.intake([{ kind: 'topic', exchange: 'e', pattern: 'a.b' }], { group }).queue);
      expect(topology.route({ kind: 'group', name: group }).key).to.equal(name);
    }
  });

  it('delays are rounded up to two digits, and go on to the exchange they are for', () => {
    const to = topology.route({ kind: 'group', name: 'g' });
    for (const [delayMs, ttl] of [
      [0, 1],
      [0.5, 1],
      [7, 7],
      [99, 99],
      [101, 110],
      [1_000, 1_000],
      [1_234, 1_300],
      [99_001, 100_000],
    ])
      expect(delayIntake(to, delayMs ?? 0).queue.arguments, `${delayMs}`).to.deep.equal({
        'x-message-ttl': ttl,
        'x-dead-letter-exchange': '',
      });
    const topic = delayIntake(topology.route({ kind: 'topic', exchange: 'e', key: 'k' }), 50);
    expect(topic.queue.arguments).to.include({ 'x-dead-letter-exchange': 'e' });
    expect(topic.bindings).to.deep.equal([
      { exchange: { name: 'delay/50/e', type: 'fanout', durable: true, autoDelete: false }, key: '' },
    ]);
  });

  it('a name above 255 bytes is a CONFIG error', () => {
    const long: Address = { kind: 'anycast', exchange: 'e', topic: 'é'.repeat(60) };
    expect(() => topology.route(long)).to.throw(/has 362 bytes.*allows 255/);
  });

  it('different RPC addresses never share a name', () => {
    const part = fc.string({ minLength: 1, maxLength: 6, unit: fc.constantFrom('a', '/', '%', '2', 'F', 'all') });
    const address: fc.Arbitrary<Address> = fc.oneof(
      fc.record({ kind: fc.constant('anycast' as const), exchange: part, topic: part }),
      fc.record({ kind: fc.constant('unicast' as const), exchange: part, topic: part, server: part }),
      fc.record({ kind: fc.constant('multicast' as const), exchange: part, topic: part }),
    );
    fc.assert(
      fc.property(address, address, (one, other) => {
        fc.pre(JSON.stringify(one) !== JSON.stringify(other));
        expect(routeText(topology.route(one))).to.not.equal(routeText(topology.route(other)));
      }),
    );
  });
});
