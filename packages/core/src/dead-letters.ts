import { ConfigError, UnsupportedError } from './errors.ts';
import type { Delivery, HeaderValue, Message } from './message.ts';
import { attemptsOf, type Home, marks } from './redelivery.ts';
import type { Transport } from './transport.ts';

/** A message whose work failed for good. */
export interface DeadLetter {
  readonly id: string | undefined;
  /** Why it is dead. */
  readonly reason: string;
  /** How often it was tried. */
  readonly attempts: number;
  /** Where it was sent at first: `topic metering/cpu`. */
  readonly origin: string | undefined;
  /** The queue that it goes back to. */
  readonly home: Home;
  readonly message: Message;
}

export interface DeadLettersOptions {
  /** Default: the name of the group or mailbox with `.dead`. */
  readonly deadLetter?: string;
  /** Read this many at most. Default 10,000. */
  readonly limit?: number;
}

/** Reads the dead letters of the group or mailbox of that name, and sends them back to it. Nobody else sees them. */
export class DeadLetters {
  readonly #transport: Transport;
  readonly #name: string;
  readonly #queue: Home;
  readonly #limit: number;

  /** @throws {UnsupportedError} where the transport cannot tell the end of a queue */
  constructor(transport: Transport, name: string, { deadLetter, limit = 10_000 }: DeadLettersOptions = {}) {
    if (!transport.features.untilEmpty) throw new UnsupportedError(transport.name, 'reading a queue until it is empty');
    if (!Number.isInteger(limit) || limit < 1) throw new ConfigError('limit', 'expected an integer above 0');
    this.#transport = transport;
    this.#name = name;
    this.#queue = { kind: 'group', name: deadLetter ?? `${name}.dead` };
    this.#limit = limit;
  }

  /** The dead letters, oldest first. They stay. */
  async list(): Promise<readonly DeadLetter[]> {
    return await this.#read(async (deliveries) => deliveries.map((delivery) => this.#letterOf(delivery)));
  }

  /**
   * Sends dead letters back to their home, to be tried anew: those with the ids, or all. At one that is refused it ends,
   * and that one stays, with those after it; `onGone` is told of each that went before.
   *
   * @returns the ids of those that went
   * @throws {UnroutableError} the home does not exist any more
   */
  async redrive(
    ids?: readonly string[],
    onGone: (id: string | undefined) => void = () => undefined,
  ): Promise<readonly (string | undefined)[]> {
    const wanted = ids && new Set(ids);
    return await this.#read(async (deliveries) => {
      const gone: (string | undefined)[] = [];
      for (const delivery of deliveries) {
        const { messageId } = delivery.message;
        if (wanted !== undefined && (messageId === undefined || !wanted.has(messageId))) continue;
        const { home, message } = this.#letterOf(delivery);
        await this.#transport.send(home, revived(message), { confirm: true, persistent: true, unrouted: 'fail' });
        await delivery.settle('accept');
        gone.push(messageId);
        onGone(messageId);
      }
      return gone;
    });
  }

  /** Holds all that is there while `use` looks at it; what it does not settle goes back. */
  async #read<T>(use: (deliveries: readonly Delivery[]) => Promise<T>): Promise<T> {
    const deliveries: Delivery[] = [];
    let full = (): void => {};
    const isFull = new Promise<void>((resolve) => {
      full = resolve;
    });
    const receive = (delivery: Delivery): void => {
      deliveries.push(delivery);
      if (deliveries.length === this.#limit) full();
    };
    const options = { prefetch: this.#limit, untilEmpty: true };
    const subscription = await this.#transport.subscribe([this.#queue], receive, options);
    try {
      const error = await Promise.race([subscription.ended, isFull]);
      if (error !== undefined) throw error;
      return await use(deliveries);
    } finally {
      await subscription.close();
    }
  }

  #letterOf(delivery: Delivery): DeadLetter {
    const { message } = delivery;
    const { [marks.reason]: reason, [marks.origin]: origin, [marks.home]: home } = message.headers ?? {};
    return {
      id: message.messageId,
      reason: typeof reason === 'string' ? reason : 'rejected',
      attempts: attemptsOf({ message }),
      origin: typeof origin === 'string' ? origin : undefined,
      home: homeOf(home) ?? { kind: 'group', name: this.#name },
      message,
    };
  }
}

/** The opposite of `describe`. What the broker itself dead-lettered has no such header. */
function homeOf(text: HeaderValue | undefined): Home | undefined {
  const [, kind, name] = /^(group|mailbox) (.+)$/s.exec(typeof text === 'string' ? text : '') ?? [];
  return name === undefined ? undefined : { kind: kind === 'mailbox' ? 'mailbox' : 'group', name };
}

/** As it was before it failed, but for where it came from. */
function revived(message: Message): Message {
  const {
    [marks.attempts]: _attempts,
    [marks.reason]: _reason,
    [marks.home]: _home,
    ...headers
  } = message.headers ?? {};
  return { ...message, headers };
}
