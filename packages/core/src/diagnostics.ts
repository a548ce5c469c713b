import { type TracingChannel, tracingChannel } from 'node:diagnostics_channel';
import type { HeaderValue } from './message.ts';
import type { Context } from './serializer.ts';
import type { JobEnd } from './server.ts';
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
  /** Of the message, where it is known. */
  readonly id?: string | undefined;
  readonly context: Context;
  /** The arguments or the payload. For tests: telemetry should not show it. */
  readonly content: unknown;
  /** They travel with the message. On the way out a subscriber may add to them, `traceparent` for one. */
  readonly headers: Record<string, HeaderValue>;
  /** Where several messages are processed at once: what each of them is. `headers` is empty then. */
  readonly batch?: readonly Pick<Activity, 'id' | 'headers'>[];
  /** Why it failed, where its promise resolves nevertheless: a message that comes again, one that the broker refused. */
  failure?: unknown;
  /**
   * Calls what it is given, once and at once, and returns what that returns. A subscriber of `start` may set it (and
   * calls the one that is there already), so that the work runs in a context of its own.
   */
  within?: (<T>(work: () => T) => T) | undefined;
}

/**
 * The channels of `node:diagnostics_channel` that tell what this process sends and what it does with what it is sent:
 * `tracing:posthorn:send:start` and so on, by the rules of Node's `TracingChannel`. Each runs from the application's call to its
 * outcome, and its messages are one `Activity`, with `result` or `error` at the end. Nobody pays for what nobody subscribes to.
 */
export const sending: TracingChannel<object, Activity> = tracingChannel<object, Activity>('posthorn:send');
export const processing: TracingChannel<object, Activity> = tracingChannel<object, Activity>('posthorn:process');

/** Tells a channel of work, which it does meanwhile. For patterns, which ask before whether anybody listens. */
export function observed<T>(
  channel: TracingChannel<object, Activity>,
  activity: Activity,
  work: () => Promise<T>,
): Promise<T> {
  // Async, so that what throws at once ends as what rejects does: with `asyncEnd`.
  return channel.tracePromise(
    async () => await (activity.within === undefined ? work() : activity.within(work)),
    activity,
  );
}

/** `observed`, for the work of a job: it fails without rejecting. */
export function observedJob(activity: Activity, work: () => Promise<JobEnd>): Promise<JobEnd> {
  return observed(processing, activity, async () => {
    const end = await work();
    if (typeof end !== 'string') activity.failure = end.reason;
    return end;
  });
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-/;

/** The ids of a message, for the line of a log. */
export function idsOf(
  messageId: string | undefined,
  headers: Readonly<Record<string, HeaderValue>> = {},
): { readonly messageId: string | undefined; readonly traceId?: string } {
  const { traceparent } = headers;
  const [, traceId] = (typeof traceparent === 'string' && TRACEPARENT.exec(traceparent)) || [];
  return { messageId, ...(traceId !== undefined && { traceId }) };
}
