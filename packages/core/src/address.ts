/**
 * Where a message goes: what is meant, never how a broker does it. Each driver turns these into its own names in one
 * file.
 *
 * | kind | who gets it |
 * |---|---|
 * | `anycast` | one of the consumers of the topic |
 * | `unicast` | the consumer of that topic that bears that server name |
 * | `multicast` | every consumer of the topic that is there now |
 * | `topic` | every group whose pattern matches the key, once per group |
 * | `group` | that group's own queue, whatever patterns it listens to |
 * | `mailbox` | whoever fetches from the mailbox; kept until then |
 * | `reply` | the one who made the name by subscribing to a fresh reply address |
 */
export type Address =
  | { readonly kind: 'anycast'; readonly exchange: string; readonly topic: string }
  | { readonly kind: 'unicast'; readonly exchange: string; readonly topic: string; readonly server: string }
  | { readonly kind: 'multicast'; readonly exchange: string; readonly topic: string }
  | { readonly kind: 'topic'; readonly exchange: string; readonly key: string }
  | { readonly kind: 'group'; readonly name: string }
  | { readonly kind: 'mailbox'; readonly name: string }
  | { readonly kind: 'reply'; readonly name: string };

export type AddressKind = Address['kind'];

/**
 * What to subscribe to. A `topic` source has a pattern of words separated by dots, where `*` stands for one word and
 * `#` for any number; a `reply` source makes a fresh name, which the subscription's `address` tells.
 */
export type Source =
  | Extract<Address, { kind: 'anycast' | 'unicast' | 'multicast' | 'mailbox' | 'group' }>
  | { readonly kind: 'topic'; readonly exchange: string; readonly pattern: string }
  | { readonly kind: 'reply' };

/** An address as people read it in logs and errors: `anycast nova/compute`. */
export function describe(address: Address | Source): string {
  switch (address.kind) {
    case 'anycast':
    case 'multicast':
      return `${address.kind} ${address.exchange}/${address.topic}`;
    case 'unicast':
      return `unicast ${address.exchange}/${address.topic}@${address.server}`;
    case 'topic':
      return `topic ${address.exchange}/${'key' in address ? address.key : address.pattern}`;
    case 'group':
    case 'mailbox':
      return `${address.kind} ${address.name}`;
    case 'reply':
      return 'name' in address ? `reply ${address.name}` : 'a reply address';
  }
}
