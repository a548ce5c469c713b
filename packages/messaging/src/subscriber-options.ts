import {
  ConfigError,
  type Executor,
  type Home,
  type Retention,
  type RetryPolicy,
  type Transport,
} from '@posthorn/core';
import type { EnvelopeCodec } from './envelope.ts';
import type { OnRefused } from './gate.ts';
import type { Handlers } from './handlers.ts';
import type { IdStore } from './id-store.ts';
import { mailboxRetention } from './mailbox.ts';
import type { MessageClass, MessageType } from './message-type.ts';
import { checkName } from './place.ts';
import type { ReceivedMessage } from './received-message.ts';
import { exchangeSources, mailboxSource, type Sources } from './sources.ts';
import type { VerificationOptions } from './verification.ts';

type Told = (message: ReceivedMessage) => unknown;

interface CommonOptions {
  /** Types that handlers of patterns, batches and loops get checked and as instances; those of `on` are added. */
  readonly types?: readonly (MessageType | MessageClass)[];
  /** Refuses what is not signed as it should be. */
  readonly verify?: VerificationOptions;
  /** Remembers handled messages by their ids, so that one published twice is handled once. */
  readonly seen?: IdStore;
  /** A form of envelopes besides Posthorn's own and CloudEvents, which are always understood. */
  readonly envelope?: EnvelopeCodec;
  /** Default: 16 messages at a time, and as many as wait in batches. */
  readonly executor?: Executor;
  /** Messages taken and not settled, at most. Default: twice as many as are handled at a time. */
  readonly prefetch?: number;
  /** Messages with the same answer are handled one after the other, in order. The payload is not checked yet. */
  readonly orderBy?: (message: ReceivedMessage) => string | undefined;
  readonly retry?: RetryPolicy;
  readonly retention?: Retention;
  /** Gets what no handler takes. Without it such messages are done with, and logged. */
  readonly onUnknown?: Told;
  /**
   * Gets messages of a known type in another major version, unchecked. Without it they go to the dead letters
   * (`UNSUPPORTED_VERSION`), from where they can be sent back after an upgrade.
   */
  readonly onVersion?: Told;
  /** Told of refused messages; they are discarded in any case. */
  readonly onRefused?: OnRefused;
}

interface ExchangeOptions {
  readonly exchange: string | readonly string[];
  /**
   * Subscribers of one group share its messages; each group gets all of them, also those from when none of its
   * subscribers was there. Without a group a subscriber gets a copy of everything while it is there.
   */
  readonly group?: string;
  /** The keys to listen to besides those of `bind`: patterns. Default: the types of `on`; `#` without any handler. */
  readonly keys?: readonly string[];
  readonly mailbox?: undefined;
}

interface MailboxReaderOptions {
  readonly mailbox: string;
  readonly exchange?: undefined;
  readonly group?: undefined;
  readonly keys?: undefined;
}

export type SubscriberOptions = CommonOptions & (ExchangeOptions | MailboxReaderOptions);

/**
 * Where retries go: nowhere without a group.
 *
 * @throws {MessagingError} `CONFIG`, `INVALID_TARGET`, `UNSUPPORTED`
 */
export function homeOf(transport: Transport, options: SubscriberOptions): Home | undefined {
  const { mailbox, group, exchange } = options;
  if (mailbox !== undefined) {
    checkName('mailbox', mailbox);
    mailboxRetention(transport, options.retention);
    return { kind: 'mailbox', name: mailbox };
  }
  const exchanges = [exchange].flat();
  if (exchanges.length === 0) throw new ConfigError('exchange', 'at least one is needed');
  for (const name of exchanges) checkName('exchange', name);
  if (group === undefined) return undefined;
  checkName('group', group);
  return { kind: 'group', name: group };
}

export function sourcesOf({ mailbox, exchange, keys }: SubscriberOptions, handlers: Handlers): Sources {
  if (mailbox !== undefined) return mailboxSource(mailbox);
  const patterns = new Set([...handlers.patterns, ...(keys ?? (handlers.empty ? ['#'] : handlers.types))]);
  if (patterns.size === 0) throw new ConfigError('keys', 'nothing to listen to');
  return exchangeSources([exchange].flat(), [...patterns]);
}
