import type { Delivery, Message, Transport } from '@posthorn/core';
import {
  type BatchEndpoint,
  type BatchOptions,
  type Notification,
  type NotificationEndpoint,
  NotificationListener,
  type NotificationListenerOptions,
  Notifier,
  type NotifierOptions,
  PRIORITIES,
  type Priority,
  type Verdict,
} from '@posthorn/notify';
import { expect } from 'chai';
import { waitFor } from '../wait-for.ts';
import { Lab } from './lab.ts';

type Listening = Partial<Omit<NotificationListenerOptions, 'batch'>> & { readonly on?: Transport };

/** What a test leaves on a broker goes by itself. */
export const RETENTION = { expiresMs: 300_000 } as const;

/** A lab for notifications: its notifiers and listeners meet at its topic, unless told otherwise. */
export class NotifyLab extends Lab {
  async notifier({ on, ...options }: Partial<NotifierOptions> & { readonly on?: Transport } = {}): Promise<Notifier> {
    return new Notifier(on ?? (await this.calling()), {
      publisherId: 'compute.host1',
      topics: [this.topic],
      retention: RETENTION,
      ...options,
    });
  }

  /** A started listener; without endpoints, to be iterated. */
  async listen(endpoints?: readonly NotificationEndpoint[], options: Listening = {}): Promise<NotificationListener> {
    const { on, ...rest } = options;
    return await new NotificationListener(on ?? (await this.serving()), {
      ...this.#defaults(),
      ...(endpoints && { endpoints }),
      ...rest,
    }).start();
  }

  async listenInBatches(
    endpoint: BatchEndpoint,
    batch: BatchOptions,
    { on, ...rest }: Omit<Listening, 'endpoints' | 'priorities'> = {},
  ): Promise<NotificationListener> {
    return await new NotificationListener(on ?? (await this.serving()), {
      ...this.#defaults(),
      ...rest,
      endpoints: [endpoint],
      batch,
    }).start();
  }

  /** The group of listeners without a pool, on the native wire. */
  defaultGroup(priority: Priority): string {
    return `posthorn/${this.topic}.${priority}`;
  }

  /** Everything that reaches a group's dead letters from now on. */
  async deadLetters(group: string, on?: Transport): Promise<Delivery['message'][]> {
    const dead: Delivery['message'][] = [];
    const receive = (delivery: Delivery): void => {
      dead.push(delivery.message);
      void delivery.settle('accept');
    };
    const retention = { maxLength: 10_000 };
    await (on ?? (await this.serving())).subscribe([{ kind: 'group', name: `${group}.dead` }], receive, { retention });
    return dead;
  }

  /** Sends what a listener cannot understand, and something good after it: only the latter is heard. */
  async expectBuried(
    bad: Message,
    reason: RegExp,
    { on, group }: { readonly on: Transport; readonly group: string },
  ): Promise<void> {
    const dead = await this.deadLetters(group, on);
    const heard = new Heard();
    await this.listen([heard.endpoint], { on, prefetch: 1 });
    const { exchange } = on.wire;
    await on.send({ kind: 'topic', exchange, key: `${this.topic}.info` }, bad, { confirm: true });
    await (await this.notifier({ on })).info({}, 'good', {});
    expect(await heard.first(1)).to.deep.equal(['good']);
    const letter = await waitFor('the dead letter', () => dead[0]);
    expect(Buffer.from(letter.body)).to.deep.equal(bad.body);
    expect(letter.headers).to.include({ ...bad.headers, 'ph-attempts': 1 });
    expect(letter.headers?.['ph-dead-reason']).to.match(reason);
    const logged = this.logged('error');
    expect(logged).to.have.length(1);
    expect(logged[0]?.message).to.match(/^dead-lettered: /);
    expect(logged[0]?.fields).to.include({
      from: `topic ${exchange}/${this.topic}.info`,
      group,
      messageId: bad.messageId,
    });
    expect(dead).to.have.length(1);
  }

  #defaults(): Pick<NotificationListenerOptions, 'targets' | 'retention'> {
    return { targets: [{ topic: this.topic }], retention: RETENTION };
  }
}

/** An endpoint that remembers. */
export class Heard {
  readonly all: Notification[] = [];
  readonly endpoint: NotificationEndpoint;

  /** @param answer what its methods do and return */
  constructor(
    priorities: readonly Priority[] = PRIORITIES,
    answer: (notification: Notification) => Verdict | undefined | Promise<Verdict | undefined> = () => undefined,
  ) {
    const method = (notification: Notification): Verdict | undefined | Promise<Verdict | undefined> => {
      this.all.push(notification);
      return answer(notification);
    };
    this.endpoint = Object.fromEntries(priorities.map((priority) => [priority, method]));
  }

  get events(): string[] {
    return this.all.map(({ eventType }) => eventType);
  }

  /** The events heard until then, in order, once there are that many. */
  async first(count: number): Promise<string[]> {
    await waitFor(`${count} notifications`, () => this.all.length >= count);
    return this.events;
  }

  /** What was heard before this event, once it was heard. */
  async before(event: string): Promise<string[]> {
    await waitFor(event, () => this.events.includes(event));
    return this.events.slice(0, this.events.indexOf(event));
  }
}
