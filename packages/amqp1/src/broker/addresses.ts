import type { Address, Source } from '@posthorn/core';

/** What the text of an address means to the broker. */
export interface Place<A extends Address | Source> {
  readonly address: A;
  /**
   * It has none of the forms below: a queue of that name, made when first used and removed once it is empty and unused,
   * or, by the prefixes that Python's peers use for their fanouts, a copy for each who listens.
   */
  readonly plain: boolean;
}

/**
 * Addresses as texts: `anycast/e/t`, `unicast/e/t/s`, `multicast/e/t`, `topic/e/key`, `group/g`, `mailbox/m`,
 * `reply/name`. The parts are percent-encoded.
 */
export function formatAddress(address: Address | Exclude<Source, { kind: 'reply' }>): string {
  return [address.kind, ...partsOf(address).map(encodeURIComponent)].join('/');
}

function partsOf(address: Address | Exclude<Source, { kind: 'reply' }>): readonly string[] {
  switch (address.kind) {
    case 'anycast':
    case 'multicast':
      return [address.exchange, address.topic];
    case 'unicast':
      return [address.exchange, address.topic, address.server];
    case 'topic':
      return [address.exchange, 'key' in address ? address.key : address.pattern];
    case 'group':
    case 'mailbox':
    case 'reply':
      return [address.name];
  }
}

/** Where a message goes. */
export function parseAddress(text: string): Place<Address> {
  const known = parseForm(text);
  return known === undefined ? plainPlace(text) : { address: known, plain: false };
}

/** What a receiver asks for. */
export function parseSource(text: string): Place<Source> {
  const { address, plain } = parseAddress(text);
  if (address.kind === 'topic')
    return { address: { kind: 'topic', exchange: address.exchange, pattern: address.key }, plain };
  return { address: address.kind === 'reply' ? { kind: 'reply' } : address, plain };
}

/** The address that has this form, or undefined. */
export function parseForm(text: string): Address | undefined {
  const [kind, ...encoded] = text.split('/');
  const parts = encoded.map(decode);
  const [first, second, third] = parts;
  if (first === undefined || parts.includes(undefined)) return undefined;
  switch (`${kind} ${parts.length}`) {
    case 'anycast 2':
    case 'multicast 2':
      return second === undefined
        ? undefined
        : { kind: kind as 'anycast' | 'multicast', exchange: first, topic: second };
    case 'unicast 3':
      if (second === undefined || third === undefined) return undefined;
      return { kind: 'unicast', exchange: first, topic: second, server: third };
    case 'topic 2':
      return second === undefined ? undefined : { kind: 'topic', exchange: first, key: second };
    case 'group 1':
    case 'mailbox 1':
    case 'reply 1':
      return { kind: kind as 'group' | 'mailbox' | 'reply', name: first };
    default:
      return undefined;
  }
}

function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

/** `openstack.org/om/rpc/multicast/…` and `broadcast.…` are oslo.messaging's; `topic://` is what ActiveMQ has. */
const FOR_ALL = /\/multicast\/|^broadcast\.|^topic:\/\//;

function plainPlace(text: string): Place<Address> {
  const address: Address = FOR_ALL.test(text)
    ? { kind: 'multicast', exchange: '', topic: text }
    : { kind: 'mailbox', name: text };
  return { address, plain: true };
}
