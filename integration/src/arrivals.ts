import { type Delivery, newId, type Source, type Subscription, type Transport } from '@posthorn/core';
import { expect } from 'chai';
import { deferred } from './deferred.ts';
import { type Confirmed, sendUntilConfirmed } from './stubborn-sender.ts';

interface Arrival {
  /** Deliveries that the broker did not mark as made before. */
  fresh: number;
  again: number;
}

/** Accepts all that arrives, and keeps count by message id. */
export class Arrivals {
  readonly #byId = new Map<string, Arrival>();
  readonly #awaited = new Map<string, () => void>();
  #subscription: Subscription | undefined;

  static async open(transport: Transport, from: Source): Promise<Arrivals> {
    const arrivals = new Arrivals();
    arrivals.#subscription = await transport.subscribe([from], (delivery) => arrivals.#receive(delivery));
    return arrivals;
  }

  /** Sends a last message and waits for it: whatever was in the queue before it has arrived then. */
  async fence(transport: Transport, to: Parameters<Transport['send']>[0]): Promise<void> {
    const { id } = await sendUntilConfirmed(transport, to);
    const { promise, resolve } = deferred();
    this.#awaited.set(id, resolve);
    if (this.#byId.has(id)) resolve();
    await promise;
    this.#byId.delete(id);
  }

  /**
   * Fails unless each message arrived, and none more often than can be explained: by a mark of the broker, or by a
   * sender that did not know the outcome and sent again.
   */
  expectAll(confirmed: readonly Confirmed[]): { readonly duplicates: number; readonly marked: number } {
    let [duplicates, marked] = [0, 0];
    const lost: string[] = [];
    const unexplained: string[] = [];
    for (const { id, unknown } of confirmed) {
      const { fresh, again } = this.#byId.get(id) ?? { fresh: 0, again: 0 };
      if (fresh + again === 0) lost.push(id);
      if (fresh > 1 + unknown) unexplained.push(id);
      duplicates += Math.max(0, fresh + again - 1);
      marked += again;
    }
    expect({ lost, unexplained }).to.deep.equal({ lost: [], unexplained: [] });
    expect(this.#byId.size).to.equal(confirmed.length);
    return { duplicates, marked };
  }

  async close(): Promise<void> {
    await this.#subscription?.close();
  }

  #receive(delivery: Delivery): void {
    void delivery.settle('accept');
    const { messageId = newId() } = delivery.message;
    const arrival = this.#byId.get(messageId) ?? { fresh: 0, again: 0 };
    this.#byId.set(messageId, arrival);
    if (delivery.redelivered) arrival.again++;
    else arrival.fresh++;
    this.#awaited.get(messageId)?.();
  }
}
