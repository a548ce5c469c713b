import { DeadLetters, type RetryPolicy, type Transport } from '@posthorn/core';
import {
  defineMessage,
  hmacSha256,
  Mailbox,
  type MailboxOptions,
  Publisher,
  type PublisherOptions,
  type ReceivedMessage,
  type SignatureVerifier,
  type Signer,
  Subscriber,
  type SubscriberOptions,
  TypedMessage,
} from '@posthorn/messaging';
import { z } from 'zod';
import { waitFor } from '../wait-for.ts';
import { Lab } from './lab.ts';

/** A message by its class. */
export class Counter extends TypedMessage {
  static readonly messageType = 'counter';
  static readonly version = '1.0';
  readonly name: string;
  readonly volume: number;

  constructor(name: string, volume = 1) {
    super(Counter);
    this.name = name;
    this.volume = volume;
  }

  get doubled(): number {
    return 2 * this.volume;
  }
}

/** A message by the schema of its payload. */
export const Sample = defineMessage({
  type: 'sample.cpu',
  version: '1.2',
  payload: z.object({ host: z.string(), load: z.number().default(0) }),
});

/** What a test leaves on a broker goes by itself. */
export const RETENTION = { expiresMs: 300_000 } as const;
export const QUICK: RetryPolicy = { minDelayMs: 20, maxDelayMs: 100 };

/** Signs with the key of that id, and verifies what that one signed. */
export function keyPair(id: string): Signer & SignatureVerifier {
  return hmacSha256({ keys: { [id]: `the long secret of ${id}` }, signWith: id });
}

type On = { readonly on?: Transport };
export type Listening = On & Partial<Extract<SubscriberOptions, { readonly exchange: string | readonly string[] }>>;
export type Reading = On & Partial<Extract<SubscriberOptions, { readonly mailbox: string }>>;

/** A lab for publishers and subscribers, who meet at its exchange unless told otherwise. */
export class MessagingLab extends Lab {
  readonly exchange = this.topic;
  readonly group = `${this.topic}-group`;
  readonly mailboxName = `${this.topic}-box`;

  async publisher({ on, ...options }: On & Partial<PublisherOptions> = {}): Promise<Publisher> {
    return new Publisher(on ?? (await this.calling()), {
      exchange: this.exchange,
      publisherId: 'compute.host1',
      ...options,
    });
  }

  /** Not started yet. */
  async subscriber({ on, ...options }: Listening = {}): Promise<Subscriber> {
    return new Subscriber(on ?? (await this.serving()), {
      exchange: this.exchange,
      retention: RETENTION,
      retry: QUICK,
      ...options,
    });
  }

  /** Started, with one handler for everything. */
  async hear(heard: Heard, options: Listening = {}): Promise<Subscriber> {
    return await (await this.subscriber(options)).bind('#', heard.handler).start();
  }

  async mailbox({ on, ...options }: On & Partial<MailboxOptions> = {}): Promise<Mailbox> {
    return new Mailbox(on ?? (await this.calling()), {
      name: this.mailboxName,
      publisherId: 'engine-1',
      ...RETENTION,
      ...options,
    });
  }

  /** Reads the lab's mailbox with one handler for everything. */
  async read(heard: Heard, { on, ...options }: Reading = {}): Promise<Subscriber> {
    const subscriber = new Subscriber(on ?? (await this.serving()), {
      mailbox: this.mailboxName,
      retention: RETENTION,
      retry: QUICK,
      ...options,
    });
    return await subscriber.bind('#', heard.handler).start();
  }

  /** The dead letters of a group, by default the lab's. */
  async dead(name: string = this.group): Promise<DeadLetters> {
    return new DeadLetters(await this.calling(), name);
  }
}

/** A handler that remembers. */
export class Heard {
  readonly all: ReceivedMessage[] = [];
  readonly #answer: (message: ReceivedMessage) => unknown;

  /** @param answer what the handler does then */
  constructor(answer: (message: ReceivedMessage) => unknown = () => undefined) {
    this.#answer = answer;
  }

  readonly handler = (_: unknown, message: ReceivedMessage): unknown => {
    this.all.push(message);
    return this.#answer(message);
  };

  get payloads(): unknown[] {
    return this.all.map(({ payload }) => payload);
  }

  /** The messages heard until then, once there are that many. */
  async first(count: number): Promise<ReceivedMessage[]> {
    await waitFor(`${count} messages`, () => this.all.length >= count);
    return this.all;
  }

  /** The payloads before this one, once it was heard. */
  async before(payload: unknown): Promise<unknown[]> {
    await waitFor(String(payload), () => this.payloads.includes(payload));
    return this.payloads.slice(0, this.payloads.indexOf(payload));
  }
}

/** A message without a type of ours. */
export function plain(
  payload: unknown,
  messageType = 'thing',
): { messageType: string; version: string; payload: unknown } {
  return { messageType, version: '1.0', payload };
}

/** From 0 up. */
export function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}
