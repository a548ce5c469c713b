import {
  type Activity,
  type Address,
  addressOf,
  ConfigError,
  type Context,
  checkTarget,
  checkVersion,
  compatible,
  compose,
  type Invoke,
  ignorable,
  type Layer,
  type Message,
  MessagingError,
  newId,
  OverloadedError,
  observed,
  profiles,
  type Serializer,
  sending,
  type Target,
  TargetError,
  TimeoutError,
  type Transport,
} from '@posthorn/core';
import type { Args, MethodName, Progress, Rest, Result, UntypedApi } from './api.ts';
import { type ErrorRegistry, VersionCapError } from './errors.ts';
import { boundsOf, type Gathered, type GatherOptions, PendingGather } from './gather.ts';
import { nativeCodec } from './native-codec.ts';
import type { OutgoingCall, Pending, Shared } from './outgoing.ts';
import { PendingCall } from './pending-call.ts';
import { type CallStream, checkWindow, ProgressReader } from './progress-reader.ts';
import { RateLimit } from './rate-limit.ts';
import { scopeOf } from './scope.ts';

export interface CallOptions {
  /** Give up after this long, from the call to the reply. */
  readonly timeoutMs?: number;
  /** Gives up; the call rejects with the signal's reason, and the server's method is told. */
  readonly signal?: AbortSignal;
}

export interface StreamOptions extends CallOptions {
  /** How much progress may wait to be read, before the producer is held back. Default 16. */
  readonly window?: number;
}

/** What `prepare` can override. */
export interface ClientOverrides extends Target {
  /** Default 60,000. */
  readonly timeoutMs?: number;
  /** The newest version of the methods that the servers are known to offer. */
  readonly versionCap?: string;
  /** Servers must give a sign of life this often, from when the request is written; the first missing one ends the call. */
  readonly monitorMs?: number;
  /** Whether a cast to a topic that nobody serves is forgotten (the default) or fails with `UNROUTABLE`. */
  readonly unrouted?: 'drop' | 'fail';
}

export interface RPCClientOptions extends Omit<ClientOverrides, keyof Target> {
  readonly target: Target;
  readonly serializer?: Serializer;
  /** Errors that arrive as classes. */
  readonly errors?: ErrorRegistry;
  readonly layers?: readonly Layer<OutgoingCall>[];
}

const DEFAULT_TIMEOUT_MS = 60_000;
const CANCELS_PER_SECOND = 100;
const ONE_ANSWER = 'a call has one answer: fanout is for casts, and gather collects the answers of all';
/** Calls that wait for a connection, at most. */
const MOST_WAITING = 10_000;

type GatherArgs<Api, M extends keyof Api> = Args<Api, M> extends void ? Record<string, never> : Args<Api, M>;

/** Calls methods of servers. Holds nothing that needs closing. */
export class RPCClient<Api = UntypedApi> {
  readonly #shared: Shared;
  readonly #settings: ClientOverrides;
  readonly #invoke: Invoke<OutgoingCall>;
  #to: Address | undefined;

  constructor(
    transport: Transport,
    { target, serializer = {}, errors = {}, layers = [], ...rest }: RPCClientOptions,
    shared?: Shared,
  ) {
    if (target?.topic === undefined) throw new TargetError('an RPC client needs a target with a topic');
    this.#shared = shared ?? share(transport, serializer, errors, layers);
    this.#settings = checked({ ...rest, ...target });
    const perform = (call: OutgoingCall): Promise<unknown> => this.#perform(call);
    const layered = compose(this.#shared.layers, perform);
    this.#invoke = layered === perform ? perform : (call) => ignorable(layered(call));
  }

  /** A client like this one, with some settings changed. Cheap; both stay usable. */
  prepare(overrides: ClientOverrides): RPCClient<Api> {
    const target = { ...this.#settings, ...overrides };
    return new RPCClient<Api>(this.#shared.transport, { ...target, target }, this.#shared);
  }

  /** Whether the version cap lets a request of this version (by default the target's) go out. */
  canSendVersion(version: string | undefined = this.#settings.version): boolean {
    const { versionCap } = this.#settings;
    return versionCap === undefined || (version !== undefined && compatible(versionCap, version));
  }

  /**
   * Calls a method and waits for its result.
   *
   * @throws {MessagingError} `UNROUTABLE` nobody serves the topic; `TIMEOUT`; `UNKNOWN` the connection was lost after
   * the request was written; `REMOTE` and registered classes for what the method threw; `NO_SUCH_METHOD`,
   * `UNSUPPORTED_VERSION`, `VERSION_CAP`, `MALFORMED`, `TOO_LARGE`, `CONNECTION`, `CLOSED`. With an aborted signal: its reason
   */
  call<M extends MethodName<Api>>(
    context: Context,
    method: M,
    ...[args, options]: Rest<Api, M, CallOptions>
  ): Promise<Result<Api, M>> {
    return this.#send('call', context, method, args, options) as Promise<Result<Api, M>>;
  }

  /**
   * Calls a method that tells of its progress, an async generator: what it yields is iterated, what it returns is the
   * result.
   *
   * ```ts
   * const fetching = images.stream({}, 'fetch', { image });
   * for await (const { percent } of fetching) console.log(`${percent} %`);
   * const { digest } = await fetching.result;
   * ```
   *
   * Progress that waits to be read holds the method back: who wants the result alone uses `call`, which lets it run.
   * Leaving the loop, an abort and the deadline abort the method's signal and end its generator. `timeoutMs` spans the whole.
   * The oslo wire has no streams: `UNSUPPORTED`.
   */
  stream<M extends MethodName<Api>>(
    context: Context,
    method: M,
    ...[args, options]: Rest<Api, M, StreamOptions>
  ): CallStream<Progress<Api, M>, Result<Api, M>> {
    const { transport, codec } = this.#shared;
    const progress = new ProgressReader(`stream ${method}`, transport, codec.control, options?.window);
    const signal = options?.signal === undefined ? progress.left : AbortSignal.any([options.signal, progress.left]);
    const result = this.#stream(context, method, args, { ...options, signal }, progress);
    return progress.follow(ignorable(result), options?.signal) as CallStream<Progress<Api, M>, Result<Api, M>>;
  }

  /**
   * Calls a method of every server of the topic, and collects what they reply: the results and the failures, each with
   * the server's name, in the order in which they came.
   *
   * Resolves at `max` replies, else when `timeoutMs` is over with those that came; nobody knows how many servers there are.
   * The oslo wire cannot say who replied: `UNSUPPORTED`.
   *
   * @throws {TooFewRepliesError} (`TIMEOUT`) fewer than `min` came
   * @throws {MessagingError} `UNROUTABLE` nobody serves the topic, unless `min` is 0; and what a call rejects with before a
   * reply
   */
  gather<M extends MethodName<Api>>(
    context: Context,
    method: M,
    args: GatherArgs<Api, M>,
    options: GatherOptions,
  ): Promise<readonly Gathered<Result<Api, M>>[]> {
    return ignorable(this.#gather(context, method, args, options) as Promise<readonly Gathered<Result<Api, M>>[]>);
  }

  /** Sends a request whose result nobody waits for. Resolves when the broker has taken it. */
  cast<M extends MethodName<Api>>(
    context: Context,
    method: M,
    ...[args, options]: Rest<Api, M, CallOptions>
  ): Promise<void> {
    return this.#send('cast', context, method, args, options) as Promise<void>;
  }

  /** A cast to every server of the topic. */
  fanout<M extends MethodName<Api>>(context: Context, method: M, ...rest: Rest<Api, M, CallOptions>): Promise<void> {
    return this.prepare({ fanout: true }).cast(context, method, ...rest);
  }

  /** What it returns can be left alone. Not async itself: each layer of promises is felt in every call. */
  #send(
    kind: OutgoingCall['kind'],
    context: Context,
    method: string,
    args: unknown,
    options?: CallOptions,
  ): Promise<unknown> {
    try {
      if (kind === 'call' && this.#settings.fanout) throw new TargetError(ONE_ANSWER);
      return this.#observed(this.#outgoing(kind, context, method, args, options));
    } catch (error) {
      return ignorable(Promise.reject(error));
    }
  }

  async #stream(
    context: Context,
    method: string,
    args: unknown,
    options: StreamOptions,
    progress: ProgressReader,
  ): Promise<unknown> {
    const { transport, codec } = this.#shared;
    if (codec.control === undefined)
      throw new MessagingError('UNSUPPORTED', `the ${transport.wire.name} wire has no streams: use call`);
    checkWindow(progress.window);
    if (this.#settings.fanout) throw new TargetError(ONE_ANSWER);
    return this.#observed({ ...this.#outgoing('stream', context, method, args, options), progress });
  }

  async #gather(context: Context, method: string, args: unknown, options: GatherOptions): Promise<unknown> {
    const { transport, codec } = this.#shared;
    if (!codec.namesServers)
      throw new MessagingError(
        'UNSUPPORTED',
        `the ${transport.wire.name} wire does not tell who replied, so that nothing can be gathered`,
      );
    const gather = boundsOf(options);
    const target = { ...this.#settings, fanout: true };
    return this.#observed({ ...this.#outgoing('gather', context, method, args, options), target, gather });
  }

  #outgoing(
    kind: OutgoingCall['kind'],
    context: Context,
    method: string,
    args: unknown,
    options: CallOptions = {},
  ): OutgoingCall {
    if (typeof method !== 'string' || method === '') throw new ConfigError('method', 'expected a non-empty string');
    if (!this.canSendVersion()) throw new VersionCapError(this.#settings.version, this.#settings.versionCap ?? '');
    const scope = scopeOf(context);
    // No time left is a time-out, not a mistake.
    if (!((options.timeoutMs ?? 1) <= 0)) checkDuration('timeoutMs', options.timeoutMs);
    const wanted = options.timeoutMs ?? this.#settings.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    // A cast is not bound to the call that it is made in: nobody waits for it.
    const end = kind === 'cast' ? undefined : scope?.deadline;
    const left = end === undefined ? wanted : Math.min(wanted, end - performance.now());
    return {
      kind,
      target: this.#settings,
      method,
      args: args ?? {},
      context,
      headers: {},
      timeoutMs: left,
      signal: joined(options.signal, kind === 'cast' ? undefined : scope?.signal),
    };
  }

  #observed(call: OutgoingCall): Promise<unknown> {
    if (!sending.hasSubscribers) return this.#invoke(call);
    return ignorable(observed(sending, activityOf(call, this.#shared.transport), () => this.#invoke(call)));
  }

  #perform(call: OutgoingCall): Promise<unknown> {
    if (call.kind === 'cast') return ignorable(this.#cast(call));
    try {
      return this.#call(call);
    } catch (error) {
      return ignorable(Promise.reject(error));
    }
  }

  #call(call: OutgoingCall): Promise<unknown> {
    const to = this.#addressOf(call.target);
    const { gather } = call;
    const { monitorMs } = this.#settings;
    const silenceMs = monitorMs && Math.max(monitorMs, this.#shared.codec.leastMonitorMs ?? 0);
    const pending: Pending =
      gather === undefined
        ? new PendingCall(call, to, this.#shared, silenceMs)
        : new PendingGather(call, gather, to, this.#shared);
    const { inbox } = this.#shared.transport;
    if (call.timeoutMs <= 0) throw new TimeoutError(pending.what, 0);
    if (inbox.name === undefined && inbox.size >= MOST_WAITING) {
      throw new OverloadedError(`${pending.what}: ${inbox.size} calls wait for the connection already`);
    }
    // Registered before anything is written: no reply can come too early.
    pending.id = inbox.expect(pending);
    try {
      if (inbox.name !== undefined) this.#write(pending, inbox.name);
      else this.#writeOnceOpen(pending);
    } catch (error) {
      inbox.fail(pending.id, error);
    }
    return pending.result;
  }

  #writeOnceOpen(pending: Pending): void {
    const { inbox } = this.#shared.transport;
    const started = performance.now();
    inbox
      .address()
      .then((replyTo) => {
        if (!inbox.has(pending.id)) return;
        pending.timeoutMs -= performance.now() - started;
        this.#write(pending, replyTo);
      })
      .catch((error: unknown) => inbox.fail(pending.id, error));
  }

  #write(pending: Pending, replyTo: string): void {
    const { transport } = this.#shared;
    const { call, to, id } = pending;
    pending.timeoutMs = Math.max(1, Math.ceil(pending.timeoutMs));
    const message = this.#encode(call, id, replyTo, pending.timeoutMs);
    transport.send(to, message, pending).catch((error: unknown) => pending.giveUp(error));
  }

  async #cast(call: OutgoingCall): Promise<void> {
    const { transport, codec } = this.#shared;
    const to = this.#addressOf(call.target);
    const { timeoutMs, signal } = call;
    const profile = { ...(call.target.fanout ? profiles.fanout : profiles.cast), ...codec.profiles?.cast };
    const unrouted = this.#settings.unrouted ?? profile.unrouted;
    await transport.send(to, this.#encode(call, newId()), {
      ...profile,
      unrouted,
      timeoutMs,
      ...(signal && { signal }),
    });
  }

  #encode(call: OutgoingCall, id: string, replyTo?: string, timeoutMs?: number): Message {
    const { codec, serializer } = this.#shared;
    const { method, target, headers, progress, gather } = call;
    const context = serializer.serializeContext?.(call.context) ?? call.context;
    return codec.encodeRequest({
      id,
      method,
      namespace: target.namespace,
      version: target.version,
      args: serializeArgs(serializer, context, call.args),
      context,
      headers,
      replyTo,
      timeoutMs,
      monitorMs: replyTo === undefined || gather !== undefined ? undefined : this.#settings.monitorMs,
      window: progress?.window,
      gather: gather !== undefined,
    });
  }

  /** Most calls go where the one before went. */
  #addressOf(target: Target): Address {
    if (target !== this.#settings) return addressOf(target, this.#shared.transport.wire.exchange);
    this.#to ??= addressOf(target, this.#shared.transport.wire.exchange);
    return this.#to;
  }
}

function activityOf(
  { kind, target, method, args: content, context, headers }: OutgoingCall,
  transport: Transport,
): Activity {
  const { exchange = transport.wire.exchange, topic = '', server, fanout } = target;
  const operation = kind === 'cast' && fanout ? 'fanout' : kind;
  return { pattern: 'rpc', operation, name: method, transport, exchange, topic, server, context, content, headers };
}

function share(
  transport: Transport,
  serializer: Serializer,
  errors: ErrorRegistry,
  layers: readonly Layer<OutgoingCall>[],
): Shared {
  const codec = transport.wire.codecs.rpc ?? nativeCodec(transport.wire.contents);
  const profile = { ...profiles.call, ...codec.profiles?.call };
  return { transport, codec, profile, serializer, errors, layers, cancels: new RateLimit(CANCELS_PER_SECOND) };
}

function checked(settings: ClientOverrides): ClientOverrides {
  checkTarget(settings);
  for (const option of ['timeoutMs', 'monitorMs'] as const) checkDuration(option, settings[option]);
  if (settings.versionCap !== undefined) checkVersion('versionCap', settings.versionCap);
  return settings;
}

/** What a timer of Node can hold; longer ones fire at once. */
function checkDuration(option: string, value: number | undefined): void {
  if (value !== undefined && !(value > 0 && value < 2 ** 31))
    throw new ConfigError(option, 'expected milliseconds above 0 and below 2^31');
}

function joined(one: AbortSignal | undefined, other: AbortSignal | undefined): AbortSignal | undefined {
  return one !== undefined && other !== undefined ? AbortSignal.any([one, other]) : (one ?? other);
}

function serializeArgs({ serializeEntity }: Serializer, context: Context, args: unknown): unknown {
  if (serializeEntity === undefined || args instanceof Uint8Array || typeof args !== 'object' || args === null)
    return args;
  return Object.fromEntries(Object.entries(args).map(([name, value]) => [name, serializeEntity(context, value)]));
}
