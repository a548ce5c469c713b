import {
  type Address,
  ConfigError,
  describe,
  type Features,
  type SendOptions,
  type Source,
  UnsupportedError,
} from '@posthorn/core';
import { formatAddress, parseForm } from '../broker/addresses.ts';
import {
  DELAY,
  DIFFERS,
  GROUP,
  KEEP,
  KEEP_FOR,
  PASSIVE,
  retentionToNames,
  SENT_TO,
  SOURCES,
} from '../broker/vocabulary.ts';
import type { Annotation, Intake, IntakeOptions, Profile, Sent } from '../profile.ts';

const FEATURES: Features = {
  kinds: ['anycast', 'unicast', 'multicast', 'topic', 'group', 'mailbox', 'reply'],
  unroutable: 'detected',
  ttl: true,
  delay: true,
  priority: true,
  keep: true,
  deliveryCount: true,
  untilEmpty: true,
  inPlace: true,
  durable: false,
};

/**
 * `posthorn broker`: each kind of address has a form of its own, and the broker does the rest. What it has to know besides
 * are annotations of the message, and properties of the receiver's link.
 */
export const posthorn: Profile = {
  name: 'posthorn',
  features: FEATURES,
  release: 'modified',
  drain: true,
  managed: false,
  differs: DIFFERS,
  route(to, options) {
    const annotations = annotationsOf(to, options);
    // The name of a reply address is an address as it is, whoever made it; a plain one would keep what nobody receives.
    if (to.kind === 'reply') return { address: to.name, annotations: { ...annotations, [KEEP]: false } };
    return { address: formatAddress(to), annotations };
  },
  intake(from, options): Intake {
    const [first, ...others] = from;
    if (first === undefined) throw new ConfigError('subscribe', 'no source to subscribe to');
    if (first.kind === 'reply')
      return {
        links: [{ label: { kind: 'reply', name: '' }, source: { dynamic: true, expiryPolicy: 'link-detach' } }],
      };
    const properties = propertiesOf(others, options);
    return { links: [{ label: labelOf(first), source: { address: formatAddress(first) }, properties }], sentTo };
  },
};

function sentTo({ annotations }: Sent): Address | undefined {
  const address = annotations[SENT_TO];
  return typeof address === 'string' ? parseForm(address) : undefined;
}

function annotationsOf(
  to: Address,
  { unrouted, delayMs, keepFor, retention }: SendOptions,
): Record<string, Annotation> | undefined {
  const keeps = unrouted === 'keep';
  if (keeps && (to.kind === 'multicast' || to.kind === 'reply'))
    throw new UnsupportedError('amqp1', `keeping messages for ${describe(to)}`);
  if (!keeps && delayMs === undefined) return undefined;
  return {
    ...(keeps && { [KEEP]: true, ...retentionToNames(retention) }),
    ...(keeps && keepFor !== undefined && { [KEEP_FOR]: keepFor }),
    ...(delayMs !== undefined && { [DELAY]: Math.ceil(delayMs) }),
  };
}

function propertiesOf(
  others: readonly Source[],
  { group, retention, untilEmpty }: IntakeOptions,
): Record<string, Annotation> {
  return {
    ...retentionToNames(retention),
    ...(others.length > 0 && { [SOURCES]: others.map(textOf) }),
    ...(group !== undefined && { [GROUP]: group }),
    ...(untilEmpty && { [PASSIVE]: true }),
  };
}

function textOf(source: Source): string {
  if (source.kind === 'reply') throw new ConfigError('subscribe', 'a reply source stands alone');
  return formatAddress(source);
}

/** Where a message was sent that does not say so itself. */
function labelOf(source: Exclude<Source, { kind: 'reply' }>): Address {
  return source.kind === 'topic' ? { kind: 'topic', exchange: source.exchange, key: source.pattern } : source;
}
