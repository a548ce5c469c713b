import {
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
  type HeaderValue,
  type Invoke,
  type Job,
  type Lane,
  type Layer,
  MessagingError,
  messageOf,
  type Outcome,
  profiles,
  type Serializer,
  Server,
  type Source,
  type Target,
  TargetError,
  TimeoutError,
  type Transport,
} from '@posthorn/core';
import type { Reply, Request, RPCCodec } from './codec.ts';
import { type Access, type CallInfo, type Dispatched, Dispatcher, type Endpoint } from './dispatcher.ts';
import { type ErrorRegistry, failureOf, NoSuchMethodError, UnsupportedVersionError } from './errors.ts';
import { nativeCodec } from './native-codec.ts';
import { PingEndpoint } from './ping.ts';
import { Remembered } from './remembered.ts';
import { enterScope } from './scope.ts';

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
const CANCELS_REMEMBERED = 1_000;
const CANCELS_REMEMBERED_MS = 60_000;

/**
 * Serves endpoints on a topic. At most once: a request is settled when its method starts, and is never run again.
 */
export class RPCServer implements AsyncDisposable {
  readonly #transport: Transport;
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
    this.#dispatcher = new Dispatcher(ping ? [...endpoints, new PingEndpoint()] : endpoints, access);
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
      { err: problem, from: describe(delivery.to), messageId: request.id },
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
    const info = new Info(request, deadline, cancellation);
    const beat = this.#heartbeats(request);
    try {
      const reply = await this.#handle(request, info);
      clearInterval(beat);
      if (request.replyTo !== undefined && !info.expired) await this.#reply(request, reply);
    } finally {
      clearInterval(beat);
      info.stop();
    }
    return 'accept';
  }

  async #handle(request: Request, info: Info): Promise<Reply> {
    const { serializer, context } = this.#restored(request);
    enterScope(context, info);
    const { method, namespace, version } = request;
    let call: IncomingCall | undefined;
    try {
      call = { method, namespace, version, args: restoredArgs(serializer, context, request.args), context, info };
      const result = await this.#invoke(call);
      const value = serializer.serializeEntity === undefined ? result : serializer.serializeEntity(context, result);
      return { kind: 'result', value };
    } catch (error) {
      this.#logFailure(request, error, call !== undefined && this.#dispatcher.expects(call, error));
      return { kind: 'failure', failure: failureOf(error, this.#errors) };
    }
  }

  #restored(request: Request): { readonly serializer: Serializer; readonly context: Context } {
    const serializer = this.#serializer;
    return { serializer, context: serializer.deserializeContext?.(request.context) ?? request.context };
  }

  #logFailure({ id, method }: Request, error: unknown, asExpected: boolean): void {
    const { logger } = this.#transport;
    const foreign = error instanceof NoSuchMethodError || error instanceof UnsupportedVersionError;
    if (foreign) logger.warn({ method, messageId: id }, `refused: ${error.message}`);
    else if (asExpected) logger.debug({ err: error, method, messageId: id }, `${method} failed as expected`);
    else logger.error({ err: error, method, messageId: id }, `${method} failed: ${messageOf(error)}`);
  }

  #heartbeats(request: Request): NodeJS.Timeout | undefined {
    if (request.monitorMs === undefined || request.replyTo === undefined) return undefined;
    return setInterval(() => void this.#reply(request, { kind: 'heartbeat' }), request.monitorMs / 2);
  }

  /** Never rejects: a reply that cannot be written becomes a failure, and one that cannot be sent a log line. */
  async #reply(request: Request, reply: Reply): Promise<void> {
    const { logger } = this.#transport;
    try {
      await this.#send(request, reply);
    } catch (error) {
      const code = error instanceof MessagingError ? error.code : undefined;
      if ((code === 'MALFORMED' || code === 'TOO_LARGE') && reply.kind !== 'failure') {
        logger.error({ err: error, method: request.method, messageId: request.id }, 'a result that cannot be sent');
        return this.#reply(request, { kind: 'failure', failure: failureOf(error, this.#errors) });
      }
      const level = code === 'UNROUTABLE' ? 'debug' : 'warn';
      logger[level]({ err: error, method: request.method, messageId: request.id }, 'a reply was lost');
    }
  }

  #send(request: Request, reply: Reply): Promise<void> {
    const to = { kind: 'reply', name: request.replyTo ?? '' } as const;
    return this.#transport.send(to, this.#codec.encodeReply(request, reply), profiles.reply);
  }
}

/** What a method is told about its call. Its signal, and the timer behind it, are made when first looked at. */
class Info implements CallInfo {
  readonly #request: Request;
  readonly #cancellation: Cancellation;
  readonly deadline: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(request: Request, deadline: number | undefined, cancellation: Cancellation) {
    this.#request = request;
    this.deadline = deadline;
    this.#cancellation = cancellation;
  }

  get id(): string {
    return this.#request.id;
  }

  get method(): string {
    return this.#request.method;
  }

  get namespace(): string | undefined {
    return this.#request.namespace;
  }

  get version(): string | null | undefined {
    return this.#request.version;
  }

  get headers(): Readonly<Record<string, HeaderValue>> {
    return this.#request.headers ?? {};
  }

  get signal(): AbortSignal {
    const { deadline } = this;
    if (deadline !== undefined && this.#timer === undefined) this.#cancelAt(deadline);
    return this.#cancellation.signal;
  }

  /** Not a moment sooner, or the reply of a method that ends on its signal would still count: timers may be early. */
  #cancelAt(deadline: number): void {
    const left = deadline - performance.now();
    if (left > 0) this.#timer = setTimeout(() => this.#cancelAt(deadline), Math.ceil(left));
    else this.#cancellation.cancel(new TimeoutError(`serving ${this.method}`, this.#request.timeoutMs ?? 0));
  }

  get expired(): boolean {
    return this.deadline !== undefined && performance.now() >= this.deadline;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

function restoredArgs({ deserializeEntity }: Serializer, context: Context, args: unknown): unknown {
  if (deserializeEntity === undefined || args instanceof Uint8Array || typeof args !== 'object' || args === null)
    return args;
  return Object.fromEntries(Object.entries(args).map(([name, value]) => [name, deserializeEntity(context, value)]));
}
