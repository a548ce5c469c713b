import { performance } from 'node:perf_hooks';
import {
  type Activity,
  type Cancellation,
  type Context,
  idsOf,
  isThenable,
  type Job,
  messageOf,
  type Outcome,
  observed,
  processing,
  type Serializer,
  type Transport,
} from '@posthorn/core';
import type { Reply, Request, RPCCodec } from './codec.ts';
import type { Dispatched, Dispatcher } from './dispatcher.ts';
import { type ErrorRegistry, failureOf, NoSuchMethodError, UnsupportedVersionError } from './errors.ts';
import { Info } from './info.ts';
import { ProgressWriter } from './progress-writer.ts';
import type { Remembered } from './remembered.ts';
import type { Replies } from './replies.ts';
import { enterScope } from './scope.ts';

/** A call on its way in, as layers see it. */
export type IncomingCall = Dispatched;

/** What the calls of a server share. */
export interface Serving {
  readonly transport: Transport;
  readonly codec: RPCCodec;
  readonly place: { readonly exchange: string; readonly topic: string; readonly server: string };
  readonly dispatcher: Dispatcher;
  /** The dispatcher's, within the layers. Returns the result or a promise of it. */
  readonly invoke: (call: IncomingCall) => unknown;
  readonly serializer: Serializer;
  readonly errors: ErrorRegistry;
  readonly replies: Replies;
  /** Calls that were cancelled before they came. */
  readonly cancelled: Remembered;
}

/** How often the reader of a stream is sent a sign of life, by which it is noticed when that has gone. */
const STREAM_BEAT_MS = 5_000;

/** A request that has arrived, and what becomes of it. */
export class ServedCall implements Job {
  readonly #serving: Serving;
  readonly #request: Request;
  readonly #deadline: number | undefined;

  constructor(serving: Serving, request: Request) {
    const { timeoutMs } = request;
    this.#serving = serving;
    this.#request = request;
    this.#deadline = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
  }

  get id(): string {
    return this.#request.deliveryId ?? this.#request.id;
  }

  get name(): string {
    return this.#request.method;
  }

  obsolete(): string | undefined {
    if (this.#deadline !== undefined && performance.now() >= this.#deadline) return 'expired';
    return this.#serving.cancelled.delete(this.#request.id) ? 'cancelled' : undefined;
  }

  async run(cancellation: Cancellation): Promise<Outcome> {
    const request = this.#request;
    const info = new Info(request, this.#deadline, cancellation, this.#writer(cancellation));
    const beat = this.#heartbeats(cancellation);
    let call: IncomingCall | undefined;
    let reply: Reply;
    try {
      try {
        call = this.#restored(info);
        const returned = this.#invoke(call);
        // Most methods that are not async have returned by now: each promise is felt in every call.
        reply = this.#resultOf(isThenable(returned) ? await returned : returned, call, info);
      } catch (error) {
        reply = this.#failureOf(error, call, info);
      }
      clearInterval(beat);
      if (request.replyTo !== undefined && !info.expired) await this.#serving.replies.send(request, reply);
    } finally {
      clearInterval(beat);
      info.stop();
    }
    return 'accept';
  }

  /** @throws what the application's serializer throws */
  #restored(info: Info): IncomingCall {
    const { method, namespace, version, args, context: given } = this.#request;
    const { serializer } = this.#serving;
    const context = serializer.deserializeContext?.(given) ?? given;
    enterScope(context, info);
    return { method, namespace, version, args: restoredArgs(serializer, context, args), context, info };
  }

  /** @throws what the application's serializer throws */
  #resultOf(result: unknown, { context }: IncomingCall, info: Info): Reply {
    const { serializer } = this.#serving;
    const value = serializer.serializeEntity === undefined ? result : serializer.serializeEntity(context, result);
    const parts = info.progress?.sent ?? 0;
    return parts === 0 ? { kind: 'result', value } : { kind: 'result', value, parts };
  }

  #invoke(call: IncomingCall): unknown {
    const { invoke } = this.#serving;
    if (!processing.hasSubscribers) return invoke(call);
    return observed(processing, this.#activity(call), async () => await invoke(call));
  }

  #activity({ method: name, args: content, context, info }: IncomingCall): Activity {
    const { transport, place } = this.#serving;
    const { id } = info;
    const headers = { ...info.headers };
    return { pattern: 'rpc', operation: 'serve', name, transport, ...place, id, context, content, headers };
  }

  #failureOf(error: unknown, call: IncomingCall | undefined, info: Info): Reply {
    const { dispatcher, errors } = this.#serving;
    const isExpected = info.isReason(error) || (call !== undefined && dispatcher.expects(call, error));
    this.#logFailure(error, isExpected);
    return { kind: 'failure', failure: failureOf(error, errors) };
  }

  #logFailure(error: unknown, asExpected: boolean): void {
    const { id, method, headers } = this.#request;
    const { logger } = this.#serving.transport;
    const about = { method, ...idsOf(id, headers) };
    const foreign = error instanceof NoSuchMethodError || error instanceof UnsupportedVersionError;
    if (foreign) logger.warn(about, `refused: ${error.message}`);
    else if (asExpected) logger.debug({ err: error, ...about }, `${method} failed as expected`);
    else logger.error({ err: error, ...about }, `${method} failed: ${messageOf(error)}`);
  }

  #writer(cancellation: Cancellation): ProgressWriter | undefined {
    const { window, replyTo } = this.#request;
    if (window === undefined || replyTo === undefined) return undefined;
    const { transport, codec } = this.#serving;
    return new ProgressWriter(transport, codec, this.#request, cancellation);
  }

  #heartbeats(cancellation: Cancellation): NodeJS.Timeout | undefined {
    const { replyTo, window, monitorMs } = this.#request;
    if (replyTo === undefined || (window === undefined && monitorMs === undefined)) return undefined;
    const everyMs = monitorMs === undefined ? STREAM_BEAT_MS : monitorMs / 2;
    const { replies } = this.#serving;
    return setInterval(() => void replies.send(this.#request, { kind: 'heartbeat' }, cancellation), everyMs);
  }
}

function restoredArgs({ deserializeEntity }: Serializer, context: Context, args: unknown): unknown {
  if (deserializeEntity === undefined || args instanceof Uint8Array || typeof args !== 'object' || args === null)
    return args;
  return Object.fromEntries(Object.entries(args).map(([name, value]) => [name, deserializeEntity(context, value)]));
}
