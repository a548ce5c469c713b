import type { Delivery, Driver, Outcome, Source, SubscribeOptions, Subscription } from '@posthorn/core';
import { Log } from './log.ts';
import { textOf } from './messages.ts';

export interface BoxOptions extends SubscribeOptions {
  /** Settle each delivery at once. Default `accept`; `hold` leaves that to the test. */
  readonly settle?: Outcome | 'hold';
}

/** A subscription that collects what it is given. */
export class Box extends Log<Delivery> {
  #subscription: Subscription | undefined;

  private constructor(patienceMs?: number) {
    super(
      'deliveries',
      ({ message, redelivered }) => `"${textOf(message).slice(0, 40)}"${redelivered ? ' again' : ''}`,
      patienceMs,
    );
  }

  static async open(
    driver: Driver,
    from: readonly Source[],
    options: BoxOptions = {},
    patienceMs?: number,
  ): Promise<Box> {
    const { settle = 'accept', ...rest } = options;
    const box = new Box(patienceMs);
    const receive = (delivery: Delivery): void => {
      box.add(delivery);
      if (settle !== 'hold') void delivery.settle(settle);
    };
    box.#subscription = await driver.subscribe(from, receive, rest);
    return box;
  }

  get subscription(): Subscription {
    if (this.#subscription === undefined) throw new Error('not subscribed yet');
    return this.#subscription;
  }

  /** The bodies, as texts, of what came so far. */
  get texts(): string[] {
    return this.items.map(({ message }) => textOf(message));
  }

  /** The bodies of the first `count` deliveries, as soon as there are that many. */
  async textsOf(count: number): Promise<string[]> {
    return (await this.first(count)).map(({ message }) => textOf(message));
  }

  /** Waits for the fence, and returns what came before it. */
  async before(fence: string): Promise<string[]> {
    await this.find(`"${fence}"`, ({ message }) => textOf(message) === fence);
    return this.texts.slice(0, this.texts.indexOf(fence));
  }
}
