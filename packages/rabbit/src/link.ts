import { Lifeline, type SupervisedLink } from '@posthorn/core';
import type { Channel, Model } from './amqplib.ts';
import { Batch } from './batch.ts';
import { DeliveryReader } from './delivery-reader.ts';

/**
 * One generation of the connection: what is made from it dies with it.
 *
 * Nothing of amqplib is awaited bare, since its promises stay pending for ever when the peer dies at the wrong moment:
 * `guard` ends them with the link or after a time.
 */
export class Link implements SupervisedLink {
  readonly model: Model;
  readonly generation: number;
  readonly host: string;
  readonly batch: Batch;
  readonly reader: DeliveryReader;
  /** Until the broker is told a new token. */
  refresh: NodeJS.Timeout | undefined;
  readonly #lifeline = new Lifeline();
  readonly #reasons = new WeakMap<Channel, Error>();
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(model: Model, generation: number, host: string) {
    this.model = model;
    this.generation = generation;
    this.host = host;
    this.batch = new Batch(model);
    this.reader = new DeliveryReader(model);
  }

  get down(): Error | undefined {
    return this.#lifeline.down;
  }

  get bytesRead(): number | undefined {
    return this.model.connection.stream?.bytesRead;
  }

  /** Marks the link as dead and ends what is guarded. */
  fail(error: Error): void {
    if (this.down !== undefined) return;
    this.#lifeline.cut(error);
    clearTimeout(this.refresh);
    this.batch.close();
  }

  /** The promise, or the link's end, or the end of the time, whichever is first. */
  guard<T>(operation: Promise<T>, what: string, timeoutMs?: number): Promise<T> {
    return this.#lifeline.guard(operation, what, timeoutMs);
  }

  /** Runs the tasks of one name one after another. */
  inTurn<T>(name: string, task: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(name) ?? Promise.resolve()).then(task, task);
    this.#turns.set(name, turn);
    const end = (): void => {
      if (this.#turns.get(name) === turn) this.#turns.delete(name);
    };
    turn.then(end, end);
    return turn;
  }

  /**
   * Opens a channel. `onClosed` is told when the broker closes it. When the connection ends, amqplib closes its channels
   * first and without an error: that is the link's to tell, not the channel's.
   */
  async channel(kind: 'plain' | 'confirm', onClosed: (error: Error) => void): Promise<Channel> {
    const { model } = this;
    const opening = kind === 'plain' ? model.createChannel() : model.createConfirmChannel();
    const channel = await this.guard(opening, 'opening a channel');
    channel.on('error', (error) => {
      if (error !== undefined) this.#reasons.set(channel, error);
    });
    channel.on('close', () => {
      const reason = this.reasonOf(channel);
      if (reason !== undefined) onClosed(reason);
      this.reader.detach(channel);
      // Before amqplib answers the broker: frames on a channel that is closed would end the connection.
      this.batch.flush();
    });
    // A throw in a listener of ours would else close the channel with 541.
    channel.on('handler-error', () => undefined);
    return channel;
  }

  /** Why the broker closed a channel. Known before amqplib gives up what waits for the channel. */
  reasonOf(channel: Channel): Error | undefined {
    return this.#reasons.get(channel);
  }

  /** Closes the connection politely, and cuts it when that takes too long. */
  async close(timeoutMs: number): Promise<void> {
    this.batch.flush();
    try {
      await this.guard(this.model.close(), 'closing the connection', timeoutMs);
      // A blocked broker does not read our farewell, and would keep the socket open.
      this.model.connection.stream?.destroySoon();
    } catch {
      this.destroy();
    }
  }

  /** Cuts the socket at once: with an error, or amqplib would not notice and go on sending heartbeats. */
  destroy(error: Error = new Error('cut')): void {
    this.model.connection.stream?.destroy(error);
  }
}

/** Closes a channel that nobody needs any more, in whatever state it is. */
export function closeQuietly(link: Link, channel: Channel): void {
  try {
    link.batch.flush();
    link.guard(channel.close(), 'closing a channel').catch(() => undefined);
  } catch {
    // Already closed by the broker.
  }
}
