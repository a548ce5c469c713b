import {
  type Activity,
  type Cancellation,
  type CloseOptions,
  type CloseReport,
  type Context,
  checkTarget,
  compose,
  concurrent,
  type Delivery,
  describe,
  type Executor,
  type Invoke,
  idsOf,
  type Job,
  type Lane,
  type Layer,
  MessagingError,
  messageOf,
  type Outcome,
  observed,
  processing,
  profiles,
  type Serializer,
  Server,
  type Source,
  type Target,
  TargetError,
  type Transport,
} from '@posthorn/core';
import type { Reply, Request, RPCCodec } from './codec.ts';
import { type Access, type Dispatched, Dispatcher, type Endpoint } from './dispatcher.ts';
import { type ErrorRegistry, failureOf, NoSuchMethodError, UnsupportedVersionError } from './errors.ts';
import { Info } from './info.ts';
import { nativeCodec } from './native-codec.ts';
import { PingEndpoint } from './ping.ts';
import { ProgressWriter } from './progress-writer.ts';
import { Remembered } from './remembered.ts';
import { enterScope } from './scope.ts';
import { dropProgress } from './steps.ts';

export interface RPCServerOptions {
  /** Topic and server are required: the server answers for the topic, for itself by name, and to fanouts. */
  readonly target: Target;
  readonly endpoints: readonly Endpoint[];
  /** Default `concurrent(64)`. */
  readonly executor?: Executor;
  /** Requests taken from each of the server's queues and not yet started, at most. Default 64. */
  readonly prefetch?: number;
  readonly access?: Access;
  readonly serializer?: Serializer;
  /** Errors that leave under a name of their own. */
  readonly errors?: ErrorRegistry;
  readonly layers?: readonly Layer<IncomingCall>[];
  /** Answer `oslo_rpc_server_ping` with "pong". Default true. */
  readonly ping?: boolean;
}

/** A call on its way in, as layers see it. */
export type IncomingCall = Dispatched;

const CONCURRENCY = 64;
/** How often the reader of a stream is sent a sign of life, by which it is noticed when that has gone. */
const STREAM_BEAT_MS = 5_000;
const CANCELS_REMEMBERED = 1_000;
const CANCELS_REMEMBERED_MS = 60_000;

/**
 * Serves endpoints on a topic. At most once: a request is settled when its method starts, and is never run again.
 */
export class RPCServer implements AsyncDisposable {
  readonly #transport: Transport;
  readonly #place: { readonly exchange: string; readonly topic: string; readonly server: string };
  readonly #codec: RPCCodec;
  readonly #dispatcher: Dispatcher;
  readonly #invoke: Invoke<IncomingCall>;
  readonly #serializer: Serializer;
  readonly #errors: ErrorRegistry;
  readonly #server: Server;
  readonly #cancelled = new Remembered(CANCELS_REMEMBERED, CANCELS_REMEMBERED_MS);

  constructor(transport: Transport, options: RPCServerOptions) {
    const { target, endpoints, access, serializer = {}, errors = {}, layers = [], ping = true } = options;
    const { exchange = transport.wire.exchange, topic, server } = target ?? {};
    if (topic === undefined || server === undefined)
      throw new TargetError('an RPC server needs a target with a topic and a server');
    checkTarget(target);
    this.#transport = transport;
    this.#codec = transport.wire.codecs.rpc ?? nativeCodec(transport.wire.contents);
    this.#place = { exchange, topic, server };
    const all = ping ? [...endpoints, new PingEndpoint()] : endpoints;
    this.#dispatcher = new Dispatcher(all, access, (value, call) => this.#progress(value, call));
    this.#invoke = compose(layers, (call) => this.#dispatcher.invoke(call));
    this.#serializer = serializer;
    this.#errors = errors;
    const sources: readonly Source[] = [
      { kind: 'anycast', exchange, topic },
      { kind: 'unicast', exchange, topic, server },
      { kind: 'multicast', exchange, topic },
    ];
    this.#server = new Server(transport, {
      name: `RPC server ${describe(sources[1] ?? (sources[0] as Source))}`,
      lanes: sources.map((source): Lane => ({ sources: [source] })),
      executor: options.executor ?? concurrent(CONCURRENCY),
      settle: 'first',
      prefetch: options.prefetch ?? CONCURRENCY,
      open: (delivery) => this.#open(delivery),
    });
  }

  /** Subscribes. Resolves when requests sent from then on are certain to arrive. */
  async start(): Promise<this> {
    await this.#server.start();
    return this;
  }

  /** Takes no further requests for now; what is queued waits at the broker. */
  pause(): Promise<void> {
    return this.#server.pause();
  }

  resume(): Promise<void> {
    return this.#server.resume();
  }

  /**
   * Stops intake, gives back what has not started, waits until what runs has been answered. With `timeoutMs` it returns
   * on time and reports the methods that were still running, whose signals it aborts.
   */
  close(options?: CloseOptions): Promise<CloseReport> {
    return this.#server.close(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(delivery: Delivery): Job | undefined {
    const incoming = this.#codec.decodeRequest(delivery.message);
    if (incoming.kind === 'cancel') return this.#cancel(incoming.id, delivery);
    const { request } = incoming;
    if (request.problem !== undefined) return this.#refuse(request, request.problem, delivery);
    const arrived = performance.now();
    const deadline = request.timeoutMs === undefined ? undefined : arrived + request.timeoutMs;
    return {
      id: request.deliveryId ?? request.id,
      name: request.method,
      obsolete: () => {
        if (deadline !== undefined && performance.now() >= deadline) return 'expired';
        return this.#cancelled.delete(request.id) ? 'cancelled' : undefined;
      },
      run: (cancellation) => this.#run(request, deadline, cancellation),
    };
  }

  /** A request that makes no sense: its sender is told, where it can be. */
  #refuse(request: Request, problem: MessagingError, delivery: Delivery): undefined {
    if (request.replyTo === undefined) throw problem;
    void delivery.settle('reject');
    this.#transport.logger.warn(
      { err: problem, from: describe(delivery.to), ...idsOf(request.id, request.headers) },
      `refused: ${problem.message}`,
    );
    void this.#reply(request, { kind: 'failure', failure: failureOf(problem, this.#errors) });
  }

  #cancel(id: string, delivery: Delivery): undefined {
    void delivery.settle('accept');
    const gone = new MessagingError('CLOSED', 'the caller gave up');
    if (!this.#server.cancel(id, gone)) this.#cancelled.add(id);
  }

  async #run(request: Request, deadline: number | undefined, cancellation: Cancellation): Promise<Outcome> {
    const info = new Info(request, deadline, cancellation, this.#writer(request, cancellation));
    const beat = this.#heartbeats(request, cancellation);
    let call: IncomingCall | undefined;
    let reply: Reply;
    try {
      try {
        call = this.#restored(request, info);
        reply = this.#resultOf(await this.#observed(call), call, info);
      } catch (error) {
        reply = this.#failureOf(error, request, call, info);
      }
      clearInterval(beat);
      if (request.replyTo !== undefined && !info.expired) await this.#reply(request, reply);
    } finally {
      clearInterval(beat);
      info.stop();
    }
    return 'accept';
  }

  /** @throws what the application's serializer throws */
  #restored(request: Request, info: Info): IncomingCall {
    const { method, namespace, version, args } = request;
    const serializer = this.#serializer;
    const context = serializer.deserializeContext?.(request.context) ?? request.context;
    enterScope(context, info);
    return { method, namespace, version, args: restoredArgs(serializer, context, args), context, info };
  }

  /** @throws what the application's serializer throws */
  #resultOf(result: unknown, { context }: IncomingCall, info: Info): Reply {
    const serializer = this.#serializer;
    const value = serializer.serializeEntity === undefined ? result : serializer.serializeEntity(context, result);
    const parts = info.progress?.sent ?? 0;
    return parts === 0 ? { kind: 'result', value } : { kind: 'result', value, parts };
  }

  #observed(call: IncomingCall): Promise<unknown> {
    if (!processing.hasSubscribers) return this.#invoke(call);
    return observed(processing, this.#activity(call), () => this.#invoke(call));
  }

  #activity({ method: name, args: content, context, info }: IncomingCall): Activity {
    const { exchange, topic, server } = this.#place;
    const { id } = info;
    const headers = { ...info.headers };
    const transport = this.#transport;
    return {
      pattern: 'rpc',
      operation: 'serve',
      name,
      transport,
      exchange,
      topic,
      server,
      id,
      context,
      content,
      headers,
    };
  }

  #failureOf(error: unknown, request: Request, call: IncomingCall | undefined, info: Info): Reply {
    const isExpected = info.isReason(error) || (call !== undefined && this.#dispatcher.expects(call, error));
    this.#logFailure(request, error, isExpected);
    return { kind: 'failure', failure: failureOf(error, this.#errors) };
  }

  #logFailure({ id, method, headers }: Request, error: unknown, asExpected: boolean): void {
    const { logger } = this.#transport;
    const about = { method, ...idsOf(id, headers) };
    const foreign = error instanceof NoSuchMethodError || error instanceof UnsupportedVersionError;
    if (foreign) logger.warn(about, `refused: ${error.message}`);
    else if (asExpected) logger.debug({ err: error, ...about }, `${method} failed as expected`);
    else logger.error({ err: error, ...about }, `${method} failed: ${messageOf(error)}`);
  }

  #writer(request: Request, cancellation: Cancellation): ProgressWriter | undefined {
    if (request.window === undefined || request.replyTo === undefined) return undefined;
    return new ProgressWriter(this.#transport, this.#codec, request, cancellation);
  }

  /** Takes what a streaming method yields. Only `stream` reads it; whoever called it otherwise waits for the result alone. */
  async #progress(value: unknown, { context, info }: IncomingCall): Promise<void> {
    const writer = info instanceof Info ? info.progress : undefined;
    if (writer === undefined) return dropProgress();
    const serializer = this.#serializer;
    const plain = serializer.serializeEntity === undefined ? value : serializer.serializeEntity(context, value);
    return writer.write(plain, info.signal);
  }

  #heartbeats(request: Request, cancellation: Cancellation): NodeJS.Timeout | undefined {
    const { replyTo, window, monitorMs } = request;
    if (replyTo === undefined || (window === undefined && monitorMs === undefined)) return undefined;
    const everyMs = monitorMs === undefined ? STREAM_BEAT_MS : monitorMs / 2;
    return setInterval(() => void this.#reply(request, { kind: 'heartbeat' }, cancellation), everyMs);
  }

  /** Never rejects: a reply that cannot be written becomes a failure, and one that cannot be sent a log line. */
  async #reply(request: Request, reply: Reply, cancellation?: Cancellation): Promise<void> {
    const { logger } = this.#transport;
    const { method, id, headers } = request;
    try {
      await this.#send(request, reply);
    } catch (error) {
      const code = error instanceof MessagingError ? error.code : undefined;
      if ((code === 'MALFORMED' || code === 'TOO_LARGE') && reply.kind !== 'failure') {
        logger.error({ err: error, method, ...idsOf(id, headers) }, 'a result that cannot be sent');
        return this.#reply(request, { kind: 'failure', failure: failureOf(error, this.#errors) });
      }
      const isGone = code === 'UNROUTABLE';
      if (isGone) cancellation?.cancel(new MessagingError('CLOSED', 'the caller is gone'));
      logger[isGone ? 'debug' : 'warn']({ err: error, method, ...idsOf(id, headers) }, 'a reply was lost');
    }
  }

  #send(request: Request, reply: Reply): Promise<void> {
    const to = { kind: 'reply', name: request.replyTo ?? '' } as const;
    const named = request.gather ? { ...reply, server: this.#place.server } : reply;
    return this.#transport.send(to, this.#codec.encodeReply(request, named), profiles.reply);
  }
}

function restoredArgs({ deserializeEntity }: Serializer, context: Context, args: unknown): unknown {
  if (deserializeEntity === undefined || args instanceof Uint8Array || typeof args !== 'object' || args === null)
    return args;
  return Object.fromEntries(Object.entries(args).map(([name, value]) => [name, deserializeEntity(context, value)]));
}
