import {
  type CloseOptions,
  type CloseReport,
  checkTarget,
  compose,
  concurrent,
  type Delivery,
  describe,
  type Executor,
  idsOf,
  type Job,
  type Lane,
  type Layer,
  MessagingError,
  type Serializer,
  Server,
  type Source,
  type Target,
  TargetError,
  type Transport,
} from '@posthorn/core';
import type { Request } from './codec.ts';
import { type Access, Dispatcher, type Endpoint } from './dispatcher.ts';
import { type ErrorRegistry, failureOf } from './errors.ts';
import { Info } from './info.ts';
import { nativeCodec } from './native-codec.ts';
import { PingEndpoint } from './ping.ts';
import { Remembered } from './remembered.ts';
import { Replies } from './replies.ts';
import { type IncomingCall, ServedCall, type Serving } from './served-call.ts';
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

const CONCURRENCY = 64;
const CANCELS_REMEMBERED = 1_000;
const CANCELS_REMEMBERED_MS = 60_000;

/**
 * Serves endpoints on a topic. At most once: a request is settled when its method starts, and is never run again.
 */
export class RPCServer implements AsyncDisposable {
  readonly #serving: Serving;
  readonly #server: Server;

  constructor(transport: Transport, options: RPCServerOptions) {
    const { target, endpoints, access, serializer = {}, errors = {}, layers = [], ping = true } = options;
    const { exchange = transport.wire.exchange, topic, server } = target ?? {};
    if (topic === undefined || server === undefined)
      throw new TargetError('an RPC server needs a target with a topic and a server');
    checkTarget(target);
    const codec = transport.wire.codecs.rpc ?? nativeCodec(transport.wire.contents);
    const all = ping ? [...endpoints, new PingEndpoint()] : endpoints;
    const dispatcher = new Dispatcher(all, access, (value, call) => this.#progress(value, call));
    this.#serving = {
      transport,
      codec,
      place: { exchange, topic, server },
      dispatcher,
      invoke: invokeOf(dispatcher, layers),
      serializer,
      errors,
      replies: new Replies(transport, codec, server, errors),
      cancelled: new Remembered(CANCELS_REMEMBERED, CANCELS_REMEMBERED_MS),
    };
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
    const { codec } = this.#serving;
    const incoming = codec.decodeRequest(delivery.message);
    if (incoming.kind === 'cancel') return this.#cancel(incoming.id, delivery);
    const { request } = incoming;
    if (request.problem !== undefined) return this.#refuse(request, request.problem, delivery);
    return new ServedCall(this.#serving, request);
  }

  /** A request that makes no sense: its sender is told, where it can be. */
  #refuse(request: Request, problem: MessagingError, delivery: Delivery): undefined {
    if (request.replyTo === undefined) throw problem;
    const { transport, replies, errors } = this.#serving;
    void delivery.settle('reject');
    transport.logger.warn(
      { err: problem, from: describe(delivery.to), ...idsOf(request.id, request.headers) },
      `refused: ${problem.message}`,
    );
    void replies.send(request, { kind: 'failure', failure: failureOf(problem, errors) });
  }

  #cancel(id: string, delivery: Delivery): undefined {
    void delivery.settle('accept');
    const gone = new MessagingError('CLOSED', 'the caller gave up');
    if (!this.#server.cancel(id, gone)) this.#serving.cancelled.add(id);
  }

  /** Takes what a streaming method yields. Only `stream` reads it; whoever called it otherwise waits for the result alone. */
  async #progress(value: unknown, { context, info }: IncomingCall): Promise<void> {
    const writer = info instanceof Info ? info.progress : undefined;
    if (writer === undefined) return dropProgress();
    const { serializer } = this.#serving;
    const plain = serializer.serializeEntity === undefined ? value : serializer.serializeEntity(context, value);
    return writer.write(plain, info.signal);
  }
}

/** Layers deal with promises. Without them a method that is not async costs none. */
function invokeOf(dispatcher: Dispatcher, layers: readonly Layer<IncomingCall>[]): Serving['invoke'] {
  if (layers.length === 0) return (call) => dispatcher.invoke(call);
  return compose(layers, async (call) => await dispatcher.invoke(call));
}
