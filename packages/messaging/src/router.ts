import type { PublishResult } from './outbox.ts';
import type { Publisher, PublishOptions } from './publisher.ts';
import type { Publishable } from './publishing.ts';

/**
 * What an application has to tell, by methods that know where it goes:
 *
 * ```ts
 * class CeilometerRouter extends Router {
 *   sendMeterMessage(meter: Counter) {
 *     return this.send('metering', meter);
 *   }
 * }
 * ```
 */
export class Router {
  readonly #publisher: Pick<Publisher, 'send'>;

  constructor(publisher: Pick<Publisher, 'send'>) {
    this.#publisher = publisher;
  }

  send(routingKey: string, message: Publishable, options?: PublishOptions): Promise<PublishResult> {
    return this.#publisher.send(routingKey, message, options);
  }
}
