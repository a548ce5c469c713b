import { type TracingChannel, tracingChannel } from 'node:diagnostics_channel';
import type { HeaderValue } from './message.ts';
import type { Context } from './serializer.ts';
import type { Transport } from './transport.ts';

/** Something that an application does with a message, as subscribers of the channels below see it. */
export interface Activity {
  readonly pattern: 'rpc' | 'notify' | 'messaging' | 'services';
  /** On the way out `call`, `cast`, `notify`, `publish`, …; on the way in `serve`, `listen`, `subscribe`, …. */
  readonly operation: string;
  /** What it is about: a method, an event type, the type of a message. */
  readonly name: string;
  readonly transport: Transport;
  readonly exchange: string | undefined;
  /** Or the routing key, where the pattern has no topics. */
  readonly topic: string;
  readonly server?: string | undefined;
  /** Of the message, where it is known: on the way in. */
  readonly id?: string | undefined;
  readonly context: Context;
  /** They travel with the message. On the way out a subscriber may add to them, `traceparent` for one. */
  readonly headers: Record<string, HeaderValue>;
}

/**
 * The channels of `node:diagnostics_channel` that tell what this process sends and what it does with what it is sent:
 * `tracing:posthorn:send:start` and so on, by the rules of Node's `TracingChannel`. Each runs from the application's call to its
 * outcome, and its messages are one `Activity`, with `result` or `error` at the end. Nobody pays for what nobody subscribes to.
 */
export const sending: TracingChannel<unknown, Activity> = tracingChannel<unknown, Activity>('posthorn:send');
export const processing: TracingChannel<unknown, Activity> = tracingChannel<unknown, Activity>('posthorn:process');
