import type { AddressKind, Transport } from '@posthorn/core';
import type { Finding } from './finding.ts';
import { isAtLeast } from './topology-hazards.ts';

const KINDS: Readonly<Record<AddressKind, string>> = {
  anycast: 'topics of servers',
  unicast: 'single servers',
  multicast: 'fanouts',
  topic: 'publishing to patterns',
  group: 'groups',
  mailbox: 'mailboxes',
  reply: 'replies, and so calls',
};
/** Below this, subscriptions run out of channels: each has one of its own. */
const FEW_CHANNELS = 64;
const LONG_HEARTBEAT_MS = 120_000;

/** Which broker it is, what it can do, and what its version is known for. */
export function examineBroker(transport: Transport): readonly Finding[] {
  const { product = transport.product, version } = transport.agreed ?? {};
  const name = [product ?? transport.name, version].filter((part) => part !== undefined).join(' ');
  const step = 'broker';
  return [
    { step, verdict: 'good', text: name },
    ...versionFindings(transport, product, version),
    ...featureFindings(transport),
  ];
}

function versionFindings(
  { name, wire }: Transport,
  product: string | undefined,
  version: string | undefined,
): readonly Finding[] {
  if (product !== 'RabbitMQ' || version === undefined) return [];
  const step = 'version';
  const about = (text: string, advice: string): Finding => ({ step, verdict: 'careful', text, advice });
  if (!isAtLeast(version, 3, 10))
    return [about(`RabbitMQ ${version} is older than 3.10, the oldest that Posthorn is tested with`, 'upgrade it')];
  if (!isAtLeast(version, 4, 0))
    return name === 'amqp1'
      ? [about('AMQP 1.0 is a plugin here, which can do too little for calls', 'use rabbit:// instead of amqp1://')]
      : [];
  const limit = about(
    'RabbitMQ 4 drops from a quorum queue what was given back 20 times, unless the queue says otherwise',
    "Posthorn's own queues do; for others set x-delivery-limit or a policy, and a dead letter (posthorn topology diff --api shows them)",
  );
  if (!isAtLeast(version, 4, 3)) return [limit];
  const transient = about(
    `RabbitMQ ${version} refuses queues that are neither durable nor exclusive, unless it is told otherwise`,
    wire.name === 'oslo'
      ? 'the oslo wire declares such queues as its peers do: permit transient_nonexcl_queues'
      : "Posthorn's own queues are never so; other programs on this broker may need transient_nonexcl_queues",
  );
  return [limit, transient];
}

function featureFindings({ features }: Transport): readonly Finding[] {
  const missing = Object.entries(KINDS).filter(([kind]) => !features.kinds.some((one) => one === kind));
  if (missing.length === 0) return [];
  const text = `cannot do: ${missing.map(([, what]) => what).join(', ')}`;
  return [{ step: 'features', verdict: 'careful', text, advice: 'see the page of the driver for what it can do' }];
}

/** Heartbeats, channels, frames. */
export function examineLimits({ name, agreed }: Transport): Finding {
  const step = 'limits';
  const { heartbeatMs, frameMax, channelMax } = agreed ?? {};
  if (heartbeatMs === undefined) return { step, verdict: 'skipped', text: 'this transport has none' };
  const channels = channelMax === 0 || channelMax === undefined ? 'any number of' : channelMax;
  const frames = frameMax === 0 || frameMax === undefined ? 'of any size' : `of ${frameMax} bytes`;
  const text = `heartbeat ${heartbeatMs === 0 ? 'off' : `${heartbeatMs / 1_000} s`}, ${channels} ${name === 'rabbit' ? 'channels' : 'sessions'}, frames ${frames}`;
  const figures = { heartbeatMs, ...(frameMax !== undefined && { frameMax }), ...(channelMax && { channelMax }) };
  // The sessions of AMQP 1.0 can be shared.
  if (name === 'rabbit' && channelMax !== undefined && channelMax > 0 && channelMax < FEW_CHANNELS)
    return { step, verdict: 'careful', text, figures, advice: 'each subscription takes a channel: raise channel_max' };
  if (heartbeatMs > LONG_HEARTBEAT_MS)
    return {
      step,
      verdict: 'careful',
      text,
      figures,
      advice: 'a dead connection is noticed late: lower the heartbeat',
    };
  return { step, verdict: 'good', text, figures };
}
