import {
  type Address,
  addressOf,
  ConfigError,
  type Context,
  checkTarget,
  checkVersion,
  compatible,
  compose,
  type DeliveryProfile,
  describe,
  type Expectation,
  type HeaderValue,
  type Invoke,
  type Layer,
  type Message,
  MessagingError,
  newId,
  OverloadedError,
  profiles,
  type Serializer,
  type Target,
  TargetError,
  TimeoutError,
  type Transport,
} from '@posthorn/core';
import type { MethodName, Rest, Result, UntypedApi } from './api.ts';
import type { Reply, RPCCodec } from './codec.ts';
import { type ErrorRegistry, errorOf, VersionCapError } from './errors.ts';
import { nativeCodec } from './native-codec.ts';
import { RateLimit } from './rate-limit.ts';
import { scopeOf } from './scope.ts';

export interface CallOptions {
  /** Give up after this long, from the call to the reply. */
  readonly timeoutMs?: number;
  /** Gives up; the call rejects with the signal's reason, and the server's method is told. */
  readonly signal?: AbortSignal;
}

/** What `prepare` can override. */
export interface ClientOverrides extends Target {
  /** Default 60,000. */
  readonly timeoutMs?: number;
  /** The newest version of the methods that the servers are known to offer. */
  readonly versionCap?: string;
  /** Servers must give a sign of life this often while a method runs; the first missing one ends the call. */
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

/** A call on its way out, as layers see it. `headers` travel beside the context; a layer may add to them. */
export interface OutgoingCall {
  readonly kind: 'call' | 'cast';
  readonly target: Target;
  readonly method: string;
  readonly args: unknown;
  readonly context: Context;
  readonly headers: Record<string, HeaderValue>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** What the copies that `prepare` makes share. */
interface Shared {
  readonly transport: Transport;
  readonly codec: RPCCodec;
  readonly profile: DeliveryProfile;
  readonly serializer: Serializer;
  readonly errors: ErrorRegistry;
  readonly layers: readonly Layer<OutgoingCall>[];
  readonly cancels: RateLimit;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const CANCELS_PER_SECOND = 100;
/** Calls that wait for a connection, at most. */
const MOST_WAITING = 10_000;

/** Calls methods of servers. Holds nothing that needs closing. */
export class RPCClient<Api = UntypedApi> {
  readonly #shared: Shared;
  readonly #settings: ClientOverrides;
  readonly #invoke: Invoke<OutgoingCall>;

  constructor(
    transport: Transport,
    { target, serializer = {}, errors = {}, layers = [], ...rest }: RPCClientOptions,
    shared?: Shared,
  ) {
    if (target?.topic === undefined) throw new TargetError('an RPC client needs a target with a topic');
    this.#shared = shared ?? share(transport, serializer, errors, layers);
    this.#settings = checked({ ...rest, ...target });
    this.#invoke = compose(this.#shared.layers, (call) => (call.kind === 'call' ? this.#call(call) : this.#cast(call)));
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
    return ignorable(this.#send('call', context, method, args, options) as Promise<Result<Api, M>>);
  }

  /** Sends a request whose result nobody waits for. Resolves when the broker has taken it. */
  cast<M extends MethodName<Api>>(
    context: Context,
    method: M,
    ...[args, options]: Rest<Api, M, CallOptions>
  ): Promise<void> {
    return ignorable(this.#send('cast', context, method, args, options) as Promise<void>);
  }

  /** A cast to every server of the topic. */
  fanout<M extends MethodName<Api>>(context: Context, method: M, ...rest: Rest<Api, M, CallOptions>): Promise<void> {
    return this.prepare({ fanout: true }).cast(context, method, ...rest);
  }

  async #send(
    kind: OutgoingCall['kind'],
    context: Context,
    method: string,
    args: unknown,
    options?: CallOptions,
  ): Promise<unknown> {
    if (kind === 'call' && this.#settings.fanout) throw new TargetError('a call has one answer: fanout is for casts');
    return await this.#invoke(this.#outgoing(kind, context, method, args, options));
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
    const end = kind === 'call' ? scope?.deadline : undefined;
    const left = end === undefined ? wanted : Math.min(wanted, end - performance.now());
    return {
      kind,
      target: this.#settings,
      method,
      args: args ?? {},
      context,
      headers: {},
      timeoutMs: left,
      signal: joined(options.signal, kind === 'call' ? scope?.signal : undefined),
    };
  }

  async #call(call: OutgoingCall): Promise<unknown> {
    const { transport, codec, errors, serializer } = this.#shared;
    const { inbox } = transport;
    const { timeoutMs, signal } = call;
    const to = addressOf(call.target, transport.wire.exchange);
    const pending = new PendingCall(call, to, codec);
    if (timeoutMs <= 0) throw new TimeoutError(pending.what, 0);
    signal?.throwIfAborted();
    if (inbox.name === undefined && inbox.size >= MOST_WAITING) {
      throw new OverloadedError(`${pending.what}: ${inbox.size} calls wait for the connection already`);
    }
    const { id } = pending;
    // Registered before anything is written: no reply can come too early.
    const replied = inbox.expect(id, pending);
    const { monitorMs } = this.#settings;
    if (monitorMs !== undefined)
      pending.watch(Math.max(monitorMs, codec.leastMonitorMs ?? 0), (error) => inbox.fail(id, error));
    try {
      if (inbox.name !== undefined) this.#write(pending, inbox.name, timeoutMs);
      else this.#writeOnceOpen(pending);
    } catch (error) {
      inbox.fail(id, error);
    }
    try {
      await replied;
    } catch (error) {
      if (pending.written && (signal?.aborted || (error instanceof MessagingError && error.code === 'TIMEOUT')))
        this.#cancel(id, to);
      throw error;
    } finally {
      pending.unwatch();
    }
    const { last, partial } = pending;
    if (last?.kind === 'failure') throw errorOf(last.failure, errors);
    const value = last?.kind === 'result' ? (last.value ?? partial ?? last.value) : undefined;
    return serializer.deserializeEntity === undefined ? value : serializer.deserializeEntity(call.context, value);
  }

  #writeOnceOpen(pending: PendingCall): void {
    const { inbox } = this.#shared.transport;
    const started = performance.now();
    inbox
      .address()
      .then((replyTo) => this.#write(pending, replyTo, pending.timeoutMs - (performance.now() - started)))
      .catch((error: unknown) => inbox.fail(pending.id, error));
  }

  #write(pending: PendingCall, replyTo: string, leftMs: number): void {
    const { transport, profile } = this.#shared;
    const { inbox } = transport;
    const { call, to, id, signal } = pending;
    if (!inbox.has(id)) return;
    const timeoutMs = Math.max(1, Math.ceil(leftMs));
    const message = this.#encode(call, id, replyTo, timeoutMs);
    const beforeWrite = (): boolean => {
      pending.written = inbox.has(id);
      return pending.written;
    };
    const options = { ...profile, timeoutMs, beforeWrite };
    transport
      .send(to, message, signal === undefined ? options : { ...options, signal })
      .catch((error: unknown) => inbox.fail(id, error));
  }

  async #cast(call: OutgoingCall): Promise<void> {
    const { transport } = this.#shared;
    const to = addressOf(call.target, transport.wire.exchange);
    const { timeoutMs, signal } = call;
    const profile = call.target.fanout ? profiles.fanout : profiles.cast;
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
    const { method, target, headers } = call;
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
      monitorMs: replyTo === undefined ? undefined : this.#settings.monitorMs,
    });
  }

  /** Tells the servers that nobody waits any more. Best effort: the deadline ends the work anyway. */
  #cancel(id: string, to: Address): void {
    const { transport, codec, cancels } = this.#shared;
    if (codec.encodeCancel === undefined || !('topic' in to) || !cancels.take()) return;
    const { exchange, topic } = to;
    transport
      .send({ kind: 'multicast', exchange, topic }, codec.encodeCancel(id), profiles.cancel)
      .catch((error: unknown) => transport.logger.debug({ err: error, id }, 'could not send a cancel'));
  }
}

/** A call that waits for its reply. */
class PendingCall implements Expectation {
  readonly id = newId();
  readonly call: OutgoingCall;
  readonly to: Address;
  written = false;
  /** The reply that came last. */
  last: Reply | undefined;
  partial: unknown;
  readonly #codec: RPCCodec;
  /** Ends the call when the server has gone silent. */
  #silence: NodeJS.Timeout | undefined;

  constructor(call: OutgoingCall, to: Address, codec: RPCCodec) {
    this.call = call;
    this.to = to;
    this.#codec = codec;
  }

  get what(): string {
    return `call ${this.call.method} to ${describe(this.to)}`;
  }

  get timeoutMs(): number {
    return this.call.timeoutMs;
  }

  get signal(): AbortSignal | undefined {
    return this.call.signal;
  }

  timeoutError(): Error {
    return new TimeoutError(this.what, this.timeoutMs);
  }

  isWritten(): boolean {
    return this.written;
  }

  interim(message: Message): boolean {
    this.last = this.#codec.decodeReply(message);
    this.#silence?.refresh();
    if (this.last.kind === 'partial') this.partial = this.last.value;
    return this.last.kind === 'partial' || this.last.kind === 'heartbeat';
  }

  watch(silenceMs: number, fail: (error: Error) => void): void {
    const silent = (): void => fail(new TimeoutError(`${this.what}: no sign of life, and`, silenceMs));
    this.#silence = setTimeout(silent, silenceMs);
  }

  unwatch(): void {
    clearTimeout(this.#silence);
  }
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

/** A promise that its owner may leave alone: nobody who looks away wants his process to end. */
function ignorable<T>(promise: Promise<T>): Promise<T> {
  promise.catch(ignore);
  return promise;
}

function ignore(): void {}

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
