import { setTimeout as sleep } from 'node:timers/promises';
import { type Address, describe } from './address.ts';
import { idsOf } from './diagnostics.ts';
import type { SendOptions } from './driver.ts';
import { type ErrorCode, MessagingError, messageOf } from './errors.ts';
import type { Delivery, HeaderValue, Message } from './message.ts';
import type { Transport } from './transport.ts';

/** What becomes of messages whose work failed. */
export interface RetryPolicy {
  /** Attempts at one message, at most, before it is dead-lettered. Default 5. */
  readonly limit?: number;
  /** The pause before the second attempt, doubled for each further one. Default 1,000. */
  readonly minDelayMs?: number;
  /** Default 60,000. */
  readonly maxDelayMs?: number;
  /** The group that gets what failed for good. By default the home's own name with `.dead`. */
  readonly deadLetter?: string;
}

/** A queue that is an address: where retries and redrives go, so that nobody else gets them. */
export type Home = Extract<Address, { kind: 'group' | 'mailbox' }>;

/** The headers that copies carry, besides those of their message. */
export const marks = {
  /** How often the work was tried. */
  attempts: 'ph-attempts',
  /** Why it is dead. */
  reason: 'ph-dead-reason',
  /** Where it was sent at first, for people. */
  origin: 'ph-origin',
  /** The exchange and key it was sent to at first, when that was a topic. */
  exchange: 'ph-exchange',
  key: 'ph-key',
  /** The queue that a dead letter comes from: `group metering`. */
  home: 'ph-home',
} as const;

const LONGEST_REASON = 500;
/** Dead letters kept, at most; the oldest go first. */
const DEAD_LETTERS = 10_000;

/**
 * Retries and dead letters of one home, above the seam: a copy goes to the home, or to its dead letters, with the
 * attempts counted and where it came from; only when the broker confirmed the copy is the original accepted. So nothing
 * is lost in between, and no other group sees a retry.
 */
export class Redelivery {
  readonly #transport: Transport;
  readonly #home: Home;
  readonly #limit: number;
  readonly #minDelayMs: number;
  readonly #maxDelayMs: number;
  readonly #deadLetter: string;
  readonly #canDelay: boolean;

  constructor(transport: Transport, home: Home, policy: RetryPolicy = {}) {
    this.#transport = transport;
    this.#home = home;
    this.#limit = policy.limit ?? 5;
    this.#minDelayMs = policy.minDelayMs ?? 1_000;
    this.#maxDelayMs = policy.maxDelayMs ?? 60_000;
    this.#deadLetter = policy.deadLetter ?? `${home.name}.dead`;
    this.#canDelay = transport.features.delay;
  }

  /** Another attempt later, or none if there were enough. */
  async retry(delivery: Delivery, reason: unknown): Promise<void> {
    const attempts = attemptsOf(delivery) + 1;
    if (attempts >= this.#limit) return this.bury(delivery, reason);
    const delayMs = Math.min(this.#maxDelayMs, this.#minDelayMs * 2 ** (attempts - 1));
    const copy = marked(delivery, { [marks.attempts]: attempts });
    // Where the broker cannot delay, the delivery is held meanwhile, and with it a place of the prefetch.
    if (!this.#canDelay) await sleep(delayMs, undefined, { ref: false });
    await this.#move(delivery, copy, this.#home, this.#canDelay ? { unrouted: 'drop', delayMs } : { unrouted: 'keep' });
  }

  /** No further attempt: the message goes to the dead letters, with the reason. */
  async bury(delivery: Delivery, reason: unknown): Promise<void> {
    const text = reasonText(reason);
    const copy = marked(delivery, {
      [marks.attempts]: attemptsOf(delivery) + 1,
      [marks.reason]: text,
      [marks.home]: describe(this.#home),
    });
    this.#transport.logger.error(
      {
        err: reason,
        from: describe(delivery.to),
        group: this.#home.name,
        ...idsOf(delivery.message.messageId, delivery.message.headers),
        deadLetter: this.#deadLetter,
      },
      `dead-lettered: ${text}`,
    );
    const to: Home = { kind: 'group', name: this.#deadLetter };
    await this.#move(delivery, copy, to, { unrouted: 'keep', retention: { maxLength: DEAD_LETTERS } });
  }

  async #move(delivery: Delivery, copy: Message, to: Home, options: SendOptions): Promise<void> {
    try {
      await this.#transport.send(to, copy, { ...options, confirm: true, persistent: true });
      await delivery.settle('accept');
    } catch (error) {
      // The copy may or may not be there. Better twice than never, and never in a hot loop.
      const ids = idsOf(copy.messageId, copy.headers);
      this.#transport.logger.warn({ err: error, to: describe(to), ...ids }, 'could not move a message: it goes back');
      await sleep(this.#minDelayMs, undefined, { ref: false });
      await delivery.settle('release');
    }
  }
}

/** How often the work was tried before: copies carry the count, crashes are counted by the broker. */
export function attemptsOf({ message, deliveryCount = 0 }: Pick<Delivery, 'message' | 'deliveryCount'>): number {
  const counted = message.headers?.[marks.attempts];
  return (typeof counted === 'number' ? counted : 0) + deliveryCount;
}

/** Where the message was sent at first: what copies say, for others the delivery. */
export function originOf({ message, to }: Delivery): Address {
  const { [marks.exchange]: exchange, [marks.key]: key } = message.headers ?? {};
  if (to.kind !== 'group' || typeof exchange !== 'string' || typeof key !== 'string') return to;
  return { kind: 'topic', exchange, key };
}

function marked({ message, to }: Delivery, more: Readonly<Record<string, HeaderValue>>): Message {
  const { ttlMs: _, ...rest } = message;
  const origin = { [marks.origin]: describe(to) };
  // What the broker says counts more than what the sender wrote.
  const headers =
    to.kind === 'topic'
      ? { ...message.headers, ...origin, [marks.exchange]: to.exchange, [marks.key]: to.key }
      : { ...origin, ...message.headers };
  return { ...rest, headers: { ...headers, ...more } };
}

function reasonText(reason: unknown): string {
  const code: ErrorCode | undefined = reason instanceof MessagingError ? reason.code : undefined;
  return `${code === undefined ? '' : `${code}: `}${messageOf(reason)}`.slice(0, LONGEST_REASON);
}
