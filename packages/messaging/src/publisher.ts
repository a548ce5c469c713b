import { ignorable, type Transport } from '@posthorn/core';
import type { ExchangeSendOptions } from './exchange.ts';
import { type DraftOptions, MessageFactory, type MessageFactoryOptions } from './message-factory.ts';
import type { MessageType } from './message-type.ts';
import { Outbox, type OutboxOptions, type PublishResult } from './outbox.ts';
import { checkName } from './place.ts';
import { drafted, type PublishArguments, type Publishable } from './publishing.ts';

export interface PublisherOptions extends MessageFactoryOptions, OutboxOptions {
  /** Where messages go that name no other: named after what they are about, not after who publishes. */
  readonly exchange: string;
}

export interface PublishOptions extends ExchangeSendOptions, DraftOptions {
  /** The routing key. Default: the type of the message. */
  readonly key?: string;
  /** Default: the publisher's. */
  readonly exchange?: string;
}

/** An `Exchange` and a `MessageFactory` in one. Holds nothing that needs closing. */
export class Publisher {
  readonly #factory: MessageFactory;
  readonly #outbox: Outbox;
  readonly #exchange: string;

  /** @throws {ConfigError} */
  constructor(transport: Transport, options: PublisherOptions) {
    checkName('exchange', options.exchange);
    this.#factory = new MessageFactory(options);
    this.#outbox = new Outbox(transport, options);
    this.#exchange = options.exchange;
  }

  /**
   * Publishes a message, or the payload of a type. Resolves with what became of it, which is not always `confirmed`: see
   * `PublishResult`. May be left alone: its rejection ends no process.
   *
   * @throws {MessagingError} (rejects) it was not written: `MALFORMED` the payload is not of its type, or no JSON;
   * `TIMEOUT`, `OVERLOADED`, `CONNECTION` as the back-pressure policy has it; `CLOSED`, `TOO_LARGE`, `UNSUPPORTED`, …
   */
  publish(message: Publishable, options?: PublishOptions): Promise<PublishResult>;
  publish<Payload, Input>(
    type: MessageType<Payload, Input>,
    payload: Input,
    options?: PublishOptions,
  ): Promise<PublishResult>;
  publish(...args: readonly unknown[]): Promise<PublishResult> {
    return ignorable(this.#publish(args as PublishArguments<PublishOptions>));
  }

  /** `publish` under this routing key. */
  send(routingKey: string, message: Publishable, options: PublishOptions = {}): Promise<PublishResult> {
    return this.publish(message, { ...options, key: routingKey });
  }

  async #publish(args: PublishArguments<PublishOptions>): Promise<PublishResult> {
    const { draft, options = {} } = await drafted(this.#factory, args);
    const { exchange = this.#exchange, key = draft.envelope.message_type } = options;
    return await this.#outbox.send({ kind: 'topic', exchange, key }, draft, options);
  }
}
