import type { DriverContext, Outcome } from '@posthorn/core';
import type { Settling } from './batch.ts';
import type { Link } from './link.ts';

const LOST = Promise.resolve(false);

/**
 * How the deliveries of one channel end. All that are accepted in a turn of the event loop are acknowledged together:
 * with one frame, as far as nothing before them is still unsettled.
 *
 * Delivery tags count up from 1 on each channel (AMQP 0-9-1, section 1.8.3.13).
 */
export class Settlements implements Settling {
  readonly #link: Link;
  readonly #channel: number;
  readonly #context: DriverContext;
  #open = true;
  /** Everything below is settled. */
  #next = 1;
  /** Settled already, though something before is not. */
  readonly #ahead = new Set<number>();
  /** Accepted in this turn. */
  #accepted: number[] = [];
  #written: Promise<boolean> | undefined;
  #tell: (written: boolean) => void = () => {};

  constructor(link: Link, channel: number, context: DriverContext) {
    this.#link = link;
    this.#channel = channel;
    this.#context = context;
  }

  /** Resolves when it was handed to the socket: true; or false where it can no longer be. */
  settle(tag: number, outcome: Outcome): Promise<boolean> {
    if (!this.#open || this.#link.down !== undefined) {
      this.#context.onLateSettle?.();
      return LOST;
    }
    if (outcome === 'accept') this.#accepted.push(tag);
    else {
      this.#link.batch.nack(this.#channel, tag, outcome === 'release');
      this.#count(tag);
    }
    if (this.#written === undefined) {
      this.#written = new Promise((resolve) => {
        this.#tell = resolve;
      });
      this.#link.batch.enlist(this);
    }
    return this.#written;
  }

  writeSettlements(): void {
    const { batch, down } = this.#link;
    const tell = this.#tell;
    this.#written = undefined;
    const accepted = this.#accepted;
    this.#accepted = [];
    if (!this.#open || down !== undefined) return tell(false);
    const [only] = accepted;
    if (accepted.length === 1 && only !== undefined) batch.ack(this.#channel, only, false);
    for (const tag of accepted) this.#count(tag);
    if (accepted.length > 1) this.#acknowledge(accepted);
    batch.onWritten(tell);
  }

  /** The channel is gone, and with it what was delivered on it. */
  close(): void {
    this.#open = false;
  }

  #acknowledge(accepted: readonly number[]): void {
    const { batch } = this.#link;
    // RabbitMQ closes the channel over a tag that is settled already, so it must be one of these.
    const last = Math.max(...accepted.filter((tag) => tag < this.#next));
    if (last > 0) batch.ack(this.#channel, last, true);
    for (const tag of accepted) if (tag > last) batch.ack(this.#channel, tag, false);
  }

  #count(tag: number): void {
    if (tag !== this.#next) this.#ahead.add(tag);
    else {
      this.#next++;
      while (this.#ahead.size > 0 && this.#ahead.delete(this.#next)) this.#next++;
    }
  }
}
