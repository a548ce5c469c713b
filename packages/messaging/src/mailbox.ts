import { ConfigError, ignorable, type Retention, type Transport, UnsupportedError } from '@posthorn/core';
import { type DraftOptions, MessageFactory, type MessageFactoryOptions } from './message-factory.ts';
import type { MessageType } from './message-type.ts';
import { Outbox, type OutboxOptions, type PublishResult } from './outbox.ts';
import { checkName } from './place.ts';
import { drafted, type PublishArguments, type Publishable } from './publishing.ts';

export interface MailboxOptions extends MessageFactoryOptions, OutboxOptions {
  /** Who it belongs to: `e1-h7`. The same for the subscriber. */
  readonly name: string;
  /** The mailbox goes, with its messages, when nobody read from it for this long. Default 24 h. */
  readonly expiresMs?: number;
  /** Messages at most; the oldest go first. */
  readonly maxLength?: number;
}

export interface MailboxPublishOptions extends DraftOptions {
  readonly delayMs?: number;
  readonly signal?: AbortSignal;
}

const MAILBOX_EXPIRES_MS = 86_400_000;

/**
 * What is sent to one receiver, who may not exist yet: the sender makes the mailbox, durable, and the messages wait in it.
 * Receive with `new Subscriber(transport, { mailbox: name })`. Holds nothing that needs closing.
 */
export class Mailbox {
  readonly name: string;
  readonly #factory: MessageFactory;
  readonly #outbox: Outbox;
  readonly #retention: Retention;

  /** @throws {UnsupportedError} where the transport cannot keep messages, or not let what is unused expire */
  constructor(transport: Transport, options: MailboxOptions) {
    const { name, expiresMs, maxLength } = options;
    checkName('mailbox', name);
    this.#retention = mailboxRetention(transport, {
      ...(expiresMs !== undefined && { expiresMs }),
      ...(maxLength !== undefined && { maxLength }),
    });
    this.name = name;
    this.#factory = new MessageFactory(options);
    this.#outbox = new Outbox(transport, options);
  }

  /** As `Publisher.publish`. */
  publish(message: Publishable, options?: MailboxPublishOptions): Promise<PublishResult>;
  publish<Payload, Input>(
    type: MessageType<Payload, Input>,
    payload: Input,
    options?: MailboxPublishOptions,
  ): Promise<PublishResult>;
  publish(...args: readonly unknown[]): Promise<PublishResult> {
    return ignorable(this.#publish(args as PublishArguments<MailboxPublishOptions>));
  }

  async #publish(args: PublishArguments<MailboxPublishOptions>): Promise<PublishResult> {
    const { draft, options } = await drafted(this.#factory, args);
    return await this.#outbox.send({ kind: 'mailbox', name: this.name }, draft, {
      ...options,
      unrouted: 'keep',
      retention: this.#retention,
    });
  }
}

/**
 * The attributes of a mailbox's queue, the same for its sender and its receiver.
 *
 * @throws {UnsupportedError}
 */
export function mailboxRetention(transport: Transport, retention: Retention = {}): Retention {
  const { features, name } = transport;
  if (!features.kinds.includes('mailbox') || !features.keep)
    throw new UnsupportedError(name, 'mailboxes: it cannot keep messages for who comes later');
  const { expiresMs = MAILBOX_EXPIRES_MS } = retention;
  if (!(expiresMs > 0)) throw new ConfigError('expiresMs', 'expected milliseconds above 0');
  return { ...retention, expiresMs };
}
