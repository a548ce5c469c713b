import { attemptsOf, type Delivery, type HeaderValue, originOf } from '@posthorn/core';
import type { Envelope, Place } from './envelope.ts';
import { placeOf } from './place.ts';

/** A message as its handler sees it. */
export interface ReceivedMessage<Payload = unknown> {
  /** As its type has it: validated, an instance of its class; as it came where the type is unknown. */
  readonly payload: Payload;
  /** Unique among the messages of its publisher; the same each time it is delivered. */
  readonly messageId: string;
  readonly publisherId: string;
  readonly timestamp: Date;
  readonly type: string;
  readonly version: string;
  /** Where it was published; `''` for a mailbox. */
  readonly exchange: string;
  /** For a mailbox: its name. */
  readonly key: string;
  /** The mailbox that answers go to. */
  readonly replyTo: string | undefined;
  /** Which attempt this is: 1 for the first. */
  readonly attempts: number;
  /** Whether the broker says that it was delivered before. */
  readonly redelivered: boolean;
  /** All that came with the message: `traceparent` for one. */
  readonly headers: Readonly<Record<string, HeaderValue>>;
  /** All of it, as it came. */
  readonly envelope: Envelope;
}

/**
 * Where a delivered message was published: copies for retries and redrives say it themselves, for others the broker
 * does. Undefined for what was put straight into the queue of a group.
 */
export function publishedAt(delivery: Delivery): Place | undefined {
  const origin = originOf(delivery);
  return origin.kind === 'topic' || origin.kind === 'mailbox' ? placeOf(origin) : undefined;
}

export function receivedMessage(
  envelope: Envelope,
  { exchange, key }: Place = { exchange: '', key: '' },
  delivery: Delivery,
): ReceivedMessage {
  return {
    payload: envelope.payload,
    messageId: envelope.message_id,
    publisherId: envelope.publisher_id,
    timestamp: new Date(envelope.timestamp),
    type: envelope.message_type,
    version: envelope.message_type_version,
    exchange,
    key,
    replyTo: envelope.reply_to,
    attempts: attemptsOf(delivery) + 1,
    redelivered: delivery.redelivered,
    headers: delivery.message.headers ?? {},
    envelope,
  };
}
