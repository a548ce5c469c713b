import type { Message } from '@posthorn/core';

/**
 * What every message on the bus carries, whatever it is about: the document that travels and that is signed. Names are
 * those of the wire. Further fields are kept as they came, and are signed with the rest.
 */
export interface Envelope {
  /** Unique among the messages of its publisher; copies and redeliveries keep it. */
  readonly message_id: string;
  /** Who published it: `compute.host1`. */
  readonly publisher_id: string;
  /** When it was made: RFC 3339 in UTC with milliseconds, `2026-01-02T03:04:05.678Z`. */
  readonly timestamp: string;
  /** What it is: `compute.instance.create`. By default also its routing key. */
  readonly message_type: string;
  /** `major.minor` of the type. A newer minor one only adds. */
  readonly message_type_version: string;
  /** Any JSON value, null included. The data of a foreign CloudEvent that is no JSON: a text, or bytes. */
  readonly payload: unknown;
  /** `algorithm:key id:hex`, the key id percent-encoded, over everything else in here and where the message goes. */
  readonly signature?: string;
  /** After this moment nobody wants it any more: RFC 3339, as `timestamp`. */
  readonly expires_at?: string;
  /** The mailbox that answers go to. */
  readonly reply_to?: string;
  readonly [extra: string]: unknown;
}

/** Where a message was published. A mailbox has the exchange `''` and its name as the key. */
export interface Place {
  readonly exchange: string;
  readonly key: string;
}

/** How envelopes look on the wire: pure functions, which throw `MessagingError` only. */
export interface EnvelopeCodec {
  /** @throws {MalformedError} naming the field that this form cannot carry */
  encode(envelope: Envelope): Message;
  /** Whether a message is of this form, by its content type or headers. */
  recognises(message: Message): boolean;
  /** @throws {MalformedError} naming the field */
  decode(message: Message): Envelope;
}

/** What tells a message from every other one. CloudEvents of two sources may bear the same id. */
export function identityOf({ message_id, publisher_id }: Envelope): string {
  return `${message_id} ${publisher_id}`;
}
