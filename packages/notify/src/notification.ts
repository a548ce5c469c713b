import type { Context, HeaderValue, Message } from '@posthorn/core';
import type { Priority } from './priorities.ts';

/** Something that happened, told to whom it may concern. */
export interface Notification {
  /** Unique; kept when it is delivered again. */
  readonly id: string;
  /** Who tells: `compute.host1`. */
  readonly publisherId: string;
  /** What happened: `compute.instance.create.end`. */
  readonly eventType: string;
  readonly priority: Priority;
  /** Any JSON value. */
  readonly payload: unknown;
  /** When, in UTC. */
  readonly timestamp: Date;
  readonly context: Context;
  readonly headers?: Readonly<Record<string, HeaderValue>> | undefined;
}

/** The wire format of notifications: pure functions, which throw `MessagingError` only. */
export interface NotifyCodec {
  encode(notification: Notification): Message;
  decode(message: Message): Notification;
  /** The group of listeners without a pool, to what an exchange gets under that key. */
  defaultGroup(exchange: string, key: string): string;
}

declare module '@posthorn/core' {
  interface WireCodecs {
    notify: NotifyCodec;
  }
}
