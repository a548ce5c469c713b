import { type Address, observed, type Retention, type SendOptions, sending, type Transport } from '@posthorn/core';
import { activityOf } from './activity.ts';
import { encode } from './codec.ts';
import type { Discovery } from './discovery.ts';
import { addressOf, fateOf, type Lanes } from './layout.ts';
import type { ServiceMessage } from './messages.ts';
import { Masked } from './redact.ts';

export interface SenderOptions {
  readonly discovery: Discovery;
  readonly lanes: Lanes;
  /** Attributes of the queues that messages make for services which have not started yet. */
  readonly retention?: Retention | undefined;
}

/** Takes messages to where the discovery says they belong. */
export class Sender {
  readonly #transport: Transport;
  readonly #options: SenderOptions;

  constructor(transport: Transport, options: SenderOptions) {
    this.#transport = transport;
    this.#options = options;
  }

  /**
   * Resolves when the broker has the message.
   *
   * @throws {ServiceError} `UnableToDiscover`, before anything is written
   * @throws {MessagingError} as `Transport.send` does
   */
  async send(message: ServiceMessage): Promise<void> {
    const { lanes, retention } = this.#options;
    const exchange = await this.#exchangeFor(message);
    const to = addressOf(message, exchange, lanes);
    const options: SendOptions = {
      confirm: true,
      persistent: true,
      ...fateOf(message, exchange, lanes),
      ...(retention && { retention }),
    };
    if (!sending.hasSubscribers) return await this.#send(to, message, options);
    const activity = activityOf(message, 'sent', to, this.#transport);
    await observed(sending, activity, () => this.#send(to, { ...message, headers: activity.headers }, options));
  }

  async #send(to: Address, message: ServiceMessage, options: SendOptions): Promise<void> {
    const encoded = encode(message);
    this.#transport.logger.debug({ sent: new Masked(message) }, 'sending a message');
    await this.#transport.send(to, encoded, options);
  }

  #exchangeFor(message: ServiceMessage): string | Promise<string> {
    const { discovery } = this.#options;
    return message.type === 'notification'
      ? discovery.localPublisher(message.source.service)
      : discovery.remoteService(message.destination.service);
  }
}
