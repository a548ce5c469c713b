import { setTimeout as sleep } from 'node:timers/promises';
import { type Address, describe } from './address.ts';
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
  /** The group that gets what failed for good. By default the group's own name with `.dead`. */
  readonly deadLetter?: string;
}

const ATTEMPTS = 'ph-attempts';
const REASON = 'ph-dead-reason';
const ORIGIN = 'ph-origin';
const LONGEST_REASON = 500;
/** Dead letters kept, at most; the oldest go first. */
const DEAD_LETTERS = 10_000;

/**
 * Retries and dead letters of one group, above the seam: a copy goes to the group, or to its dead letters, with the
 * attempts counted and where it came from; only when the broker confirmed the copy is the original accepted. So nothing
 * is lost in between, and no other group sees a retry.
 */
export class Redelivery {
  readonly #transport: Transport;
  readonly #group: string;
  readonly #limit: number;
  readonly #minDelayMs: number;
  readonly #maxDelayMs: number;
  readonly #deadLetter: string;
  readonly #canDelay: boolean;

  constructor(transport: Transport, group: string, policy: RetryPolicy = {}) {
    this.#transport = transport;
    this.#group = group;
    this.#limit = policy.limit ?? 5;
    this.#minDelayMs = policy.minDelayMs ?? 1_000;
    this.#maxDelayMs = policy.maxDelayMs ?? 60_000;
    this.#deadLetter = policy.deadLetter ?? `${group}.dead`;
    this.#canDelay = transport.features.delay;
  }

  /** Another attempt later, or none if there were enough. */
  async retry(delivery: Delivery, reason: unknown): Promise<void> {
    const attempts = attemptsOf(delivery) + 1;
    if (attempts >= this.#limit) return this.bury(delivery, reason);
    const delayMs = Math.min(this.#maxDelayMs, this.#minDelayMs * 2 ** (attempts - 1));
    const copy = marked(delivery, { [ATTEMPTS]: attempts });
    // Where the broker cannot delay, the delivery is held meanwhile, and with it a place of the prefetch.
    if (!this.#canDelay) await sleep(delayMs, undefined, { ref: false });
    await this.#move(delivery, copy, { kind: 'group', name: this.#group }, this.#canDelay ? delayMs : undefined);
  }

  /** No further attempt: the message goes to the dead letters, with the reason. */
  async bury(delivery: Delivery, reason: unknown): Promise<void> {
    const text = reasonText(reason);
    const copy = marked(delivery, { [ATTEMPTS]: attemptsOf(delivery) + 1, [REASON]: text });
    this.#transport.logger.error(
      {
        err: reason,
        from: describe(delivery.to),
        group: this.#group,
        messageId: delivery.message.messageId,
        deadLetter: this.#deadLetter,
      },
      `dead-lettered: ${text}`,
    );
    await this.#move(delivery, copy, { kind: 'group', name: this.#deadLetter }, undefined);
  }

  async #move(delivery: Delivery, copy: Message, to: Address, delayMs: number | undefined): Promise<void> {
    try {
      await this.#transport.send(to, copy, {
        confirm: true,
        persistent: true,
        unrouted: delayMs === undefined ? 'keep' : 'drop',
        retention: { maxLength: DEAD_LETTERS },
        ...(delayMs !== undefined && { delayMs }),
      });
      await delivery.settle('accept');
    } catch (error) {
      // The copy may or may not be there. Better twice than never, and never in a hot loop.
      this.#transport.logger.warn({ err: error, to: describe(to) }, 'could not move a message: it goes back');
      await sleep(this.#minDelayMs, undefined, { ref: false });
      await delivery.settle('release');
    }
  }
}

/** How often the work was tried before: copies carry the count, crashes are counted by the broker. */
function attemptsOf({ message, deliveryCount = 0 }: Delivery): number {
  const counted = message.headers?.[ATTEMPTS];
  return (typeof counted === 'number' ? counted : 0) + deliveryCount;
}

function marked({ message, to }: Delivery, marks: Readonly<Record<string, HeaderValue>>): Message {
  const { ttlMs: _, ...rest } = message;
  return { ...rest, headers: { [ORIGIN]: describe(to), ...message.headers, ...marks } };
}

function reasonText(reason: unknown): string {
  const code: ErrorCode | undefined = reason instanceof MessagingError ? reason.code : undefined;
  return `${code === undefined ? '' : `${code}: `}${messageOf(reason)}`.slice(0, LONGEST_REASON);
}
