import { ConfigError, checkVersion, newId } from '@posthorn/core';
import type { Envelope } from './envelope.ts';
import { TypedMessage } from './message-type.ts';
import type { Signer } from './signer.ts';

/** A message without a class: what it is, and its payload as JSON has it. */
export interface PlainMessage {
  readonly messageType: string;
  /** `major.minor` */
  readonly version: string;
  readonly payload: unknown;
}

export interface MessageFactoryOptions {
  /** Who publishes: `compute.host1`. */
  readonly publisherId: string;
  /** Signs the messages, once it is known where they go: when they are sent. Without it they go unsigned. */
  readonly signer?: Signer;
}

/** What may differ with each message. */
export interface DraftOptions {
  /** Default: the factory's. */
  readonly publisherId?: string;
  /** After this long nobody wants it any more; counted from when a delay is over. */
  readonly ttlMs?: number;
  readonly delayMs?: number;
  /** The mailbox that answers go to. */
  readonly replyTo?: string;
}

/** A message that lacks but its signature, which covers where it goes, too. Sent twice it is the same message twice. */
export interface Draft {
  readonly envelope: Envelope;
  readonly signer: Signer | undefined;
}

/** Puts what is to be said into envelopes. */
export class MessageFactory {
  readonly #options: MessageFactoryOptions;

  constructor(options: MessageFactoryOptions) {
    checkPublisherId(options.publisherId);
    this.#options = options;
  }

  createMessage(message: TypedMessage | PlainMessage, options: DraftOptions = {}): Draft {
    const { messageType, version } = message;
    const { publisherId = this.#options.publisherId, ttlMs, delayMs = 0, replyTo } = options;
    checkPublisherId(publisherId);
    if (typeof messageType !== 'string' || messageType === '')
      throw new ConfigError('messageType', 'expected a non-empty string');
    checkVersion('version', version);
    if (ttlMs !== undefined && !(ttlMs > 0)) throw new ConfigError('ttlMs', 'expected milliseconds above 0');
    const now = Date.now();
    return {
      envelope: {
        message_id: newId(),
        publisher_id: publisherId,
        timestamp: new Date(now).toISOString(),
        message_type: messageType,
        message_type_version: version,
        payload: (message instanceof TypedMessage ? message.toJSON() : message.payload) ?? null,
        ...(ttlMs !== undefined && { expires_at: new Date(now + delayMs + ttlMs).toISOString() }),
        ...(replyTo !== undefined && { reply_to: replyTo }),
      },
      signer: this.#options.signer,
    };
  }
}

function checkPublisherId(publisherId: string): void {
  if (typeof publisherId !== 'string' || publisherId === '')
    throw new ConfigError('publisherId', 'expected a non-empty string');
}
