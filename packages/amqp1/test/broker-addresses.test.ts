import type { Address } from '@posthorn/core';
import { expect } from 'chai';
import fc from 'fast-check';
import { formatAddress, parseAddress, parseSource } from '../src/broker/addresses.ts';

const part = fc.string({ unit: 'grapheme' });
const addresses: fc.Arbitrary<Address> = fc.oneof(
  fc.record({ kind: fc.constantFrom('anycast' as const, 'multicast' as const), exchange: part, topic: part }),
  fc.record({ kind: fc.constant('unicast' as const), exchange: part, topic: part, server: part }),
  fc.record({ kind: fc.constant('topic' as const), exchange: part, key: part }),
  fc.record({ kind: fc.constantFrom('group' as const, 'mailbox' as const, 'reply' as const), name: part }),
);

describe('the addresses of the broker', () => {
  it('are texts that mean what they were made of', () => {
    fc.assert(
      fc.property(addresses, (address) => {
        expect(parseAddress(formatAddress(address))).to.deep.equal({ address: { ...address }, plain: false });
      }),
    );
  });

  const texts: readonly (readonly [string, Address, boolean])[] = [
    ['anycast/e/t', { kind: 'anycast', exchange: 'e', topic: 't' }, false],
    ['unicast/e/t/s', { kind: 'unicast', exchange: 'e', topic: 't', server: 's' }, false],
    ['multicast/e/t', { kind: 'multicast', exchange: 'e', topic: 't' }, false],
    ['topic/e/a%2Fb.c', { kind: 'topic', exchange: 'e', key: 'a/b.c' }, false],
    ['topic/e/', { kind: 'topic', exchange: 'e', key: '' }, false],
    ['group/a%20b', { kind: 'group', name: 'a b' }, false],
    ['mailbox/m', { kind: 'mailbox', name: 'm' }, false],
    ['reply/r', { kind: 'reply', name: 'r' }, false],
    ['jobs', { kind: 'mailbox', name: 'jobs' }, true],
    ['anycast/e', { kind: 'mailbox', name: 'anycast/e' }, true],
    ['group/a/b', { kind: 'mailbox', name: 'group/a/b' }, true],
    ['group/%', { kind: 'mailbox', name: 'group/%' }, true],
    ['', { kind: 'mailbox', name: '' }, true],
    ['topic://t', { kind: 'multicast', exchange: '', topic: 'topic://t' }, true],
    ['broadcast.e.t.all', { kind: 'multicast', exchange: '', topic: 'broadcast.e.t.all' }, true],
    ['o.org/om/rpc/multicast/e/t', { kind: 'multicast', exchange: '', topic: 'o.org/om/rpc/multicast/e/t' }, true],
    ['o.org/om/rpc/anycast/e/t', { kind: 'mailbox', name: 'o.org/om/rpc/anycast/e/t' }, true],
  ];
  for (const [text, address, plain] of texts)
    it(`read "${text}" as ${plain ? 'a plain' : 'the'} ${address.kind}`, () => {
      expect(parseAddress(text)).to.deep.equal({ address, plain });
    });

  it('are patterns where somebody receives from topics', () => {
    const { address } = parseSource('topic/e/a.*.%23');
    expect(address).to.deep.equal({ kind: 'topic', exchange: 'e', pattern: 'a.*.#' });
  });
});
