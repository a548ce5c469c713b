import { ignorable, type Transport } from '@posthorn/core';
import type { Draft } from './message-factory.ts';
import { Outbox, type OutboxOptions, type PublishResult } from './outbox.ts';
import { checkName } from './place.ts';

export interface ExchangeSendOptions {
  /** What becomes of it when nobody listens: `drop` (the default) forgets it, `fail` makes the result `returned`. */
  readonly unrouted?: 'drop' | 'fail';
  /** Publish it now, to be delivered no sooner than this. */
  readonly delayMs?: number;
  /** 0 to 255, higher first, for subscribers whose `retention` has `maxPriority`. */
  readonly priority?: number;
  readonly signal?: AbortSignal;
}

/** A place where publishers and subscribers meet by what the messages are about, not by who they are. */
export class Exchange {
  readonly name: string;
  readonly #outbox: Outbox;

  constructor(name: string, transport: Transport, options: OutboxOptions = {}) {
    checkName('exchange', name);
    this.name = name;
    this.#outbox = new Outbox(transport, options);
  }

  /** Signs and sends what a `MessageFactory` made. Resolves with what became of it; see `PublishResult`. */
  send(routingKey: string, message: Draft, options: ExchangeSendOptions = {}): Promise<PublishResult> {
    return ignorable(this.#outbox.send({ kind: 'topic', exchange: this.name, key: routingKey }, message, options));
  }
}
