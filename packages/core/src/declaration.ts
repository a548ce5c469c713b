import type { SendOptions, SubscribeOptions } from './driver.ts';

/** One thing that a driver declares at its broker, as data for tools. Names are the broker's. */
export type Declaration =
  | {
      readonly kind: 'exchange';
      readonly name: string;
      /** `direct`, `fanout`, `topic`. */
      readonly type: string;
      readonly durable: boolean;
      readonly autoDelete: boolean;
    }
  | {
      readonly kind: 'queue';
      readonly name: string;
      readonly durable: boolean;
      /** Private: its name is fresh for each connection, and it goes with it. */
      readonly exclusive: boolean;
      readonly autoDelete: boolean;
      readonly arguments: Readonly<Record<string, string | number | boolean>>;
    }
  | { readonly kind: 'binding'; readonly exchange: string; readonly queue: string; readonly key: string };

/** What bears on a declaration, of the options with which `subscribe` or `send` would be called. */
export interface PlanOptions
  extends Pick<SubscribeOptions, 'group' | 'retention'>,
    Pick<SendOptions, 'unrouted' | 'keepFor' | 'delayMs'> {}

/** How a declaration and the broker agree. `unknown`: the broker cannot be asked. */
export type Comparison =
  | { readonly state: 'absent' | 'same' | 'unknown' }
  | { readonly state: 'differs' /** What the broker says of it. */; readonly reason: string };

/** What was agreed upon when the present connection was opened, as far as the broker told. */
export interface Agreed {
  /** `RabbitMQ` */
  readonly product?: string | undefined;
  /** `4.3.6` */
  readonly version?: string | undefined;
  /** A peer that is silent for longer than about twice this is taken for dead; 0: never. */
  readonly heartbeatMs?: number | undefined;
  /** Bytes of a frame, at most; 0: no limit. */
  readonly frameMax?: number | undefined;
  /** Channels or sessions of the connection, at most; 0: no limit. */
  readonly channelMax?: number | undefined;
}

/** A queue as it is now. */
export interface Inspection {
  readonly exists: boolean;
  /** Messages that nobody was given yet. */
  readonly ready: number;
  readonly consumers: number;
}
