import type { Address, Declaration, PlanOptions, Source } from '@posthorn/core';
import { expect } from 'chai';
import { modernTopology } from '../src/naming.ts';
import { planOf, queueNameOf } from '../src/plan.ts';

const topology = modernTopology('durable');

function textOf(one: Declaration): string {
  switch (one.kind) {
    case 'exchange':
      return `${one.type} ${one.name}`;
    case 'queue':
      return `${one.exclusive ? 'private' : 'queue'} ${one.name} ${JSON.stringify(one.arguments)}`;
    case 'binding':
      return `${one.exchange} [${one.key}] → ${one.queue}`;
  }
}

const textsOf = (what: readonly Source[] | Address, options: PlanOptions): readonly string[] =>
  planOf(topology, what, options).map(textOf);

describe('the plan on RabbitMQ', () => {
  it('has exchanges, the queue, and bindings, in the order in which they can be made', () => {
    const sources = [
      { kind: 'topic', exchange: 'e', pattern: 'a.#' },
      { kind: 'topic', exchange: 'e', pattern: 'b' },
      { kind: 'topic', exchange: 'f', pattern: '#' },
    ] as const;
    expect(textsOf(sources, { group: 'g', retention: { maxLength: 7 } })).to.deep.equal([
      'topic e',
      'topic f',
      'queue g {"x-max-length":7}',
      'e [a.#] → g',
      'e [b] → g',
      'f [#] → g',
    ]);
  });

  it('of an address has what sending to it declares', () => {
    const to = { kind: 'topic', exchange: 'e', key: 'k' } as const;
    expect(textsOf(to, {})).to.deep.equal(['topic e']);
    expect(textsOf(to, { unrouted: 'keep', keepFor: 'g' })).to.deep.equal(['topic e', 'queue g {}']);
    expect(textsOf({ kind: 'anycast', exchange: 'e', topic: 't' }, { unrouted: 'keep' })).to.deep.equal([
      'direct e/rpc',
      'queue e/t {}',
      'e/rpc [e/t] → e/t',
    ]);
    expect(textsOf({ kind: 'group', name: 'g' }, {})).to.deep.equal([]);
  });

  it('of a delay has the queue in which messages wait', () => {
    const to = { kind: 'group', name: 'g' } as const;
    expect(textsOf(to, { delayMs: 1_000 })).to.deep.equal([
      'fanout delay/1000/',
      'queue delay/1000/ {"x-message-ttl":1000,"x-dead-letter-exchange":""}',
      'delay/1000/ [] → delay/1000/',
    ]);
  });

  it('tells private queues as such', () => {
    expect(textsOf([{ kind: 'multicast', exchange: 'e', topic: 't' }], {})[1]).to.match(/^private e\/t\/all\//);
  });

  it('knows which addresses are one queue', () => {
    expect(queueNameOf(topology, { kind: 'anycast', exchange: 'e', topic: 't' })).to.equal('e/t');
    expect(queueNameOf(topology, { kind: 'unicast', exchange: 'e', topic: 't', server: 's' })).to.equal('e/t/s');
    expect(queueNameOf(topology, { kind: 'mailbox', name: 'm' })).to.equal('m');
    expect(queueNameOf(topology, { kind: 'reply', name: 'r' })).to.equal('r');
    expect(queueNameOf(topology, { kind: 'topic', exchange: 'e', key: 'k' })).to.equal(undefined);
    expect(queueNameOf(topology, { kind: 'multicast', exchange: 'e', topic: 't' })).to.equal(undefined);
  });
});
