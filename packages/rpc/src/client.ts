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
  type SendOptions,
  type Serializer,
  type Target,
  TargetError,
  TimeoutError,
  type Transport,
  type Unrouted,
} from '@posthorn/core';
import type { MethodName, Rest, Result, UntypedApi } from './api.ts';
import type { RPCCodec } from './codec.ts';
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
  #to: Address | undefined;

  constructor(
    transport: Transport,
    { target, serializer = {}, errors = {}, layers = [], ...rest }: RPCClientOptions,
    shared?: Shared,
  ) {
    if (target?.topic === undefined) throw new TargetError('an RPC client needs a target with a topic');
    this.#shared = shared ?? share(transport, serializer, errors, layers);
    this.#settings = checked({ ...rest, ...target });
    this.#invoke = compose(this.#shared.layers, (call) => this.#perform(call));
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

  /** Not async itself: each layer of promises is felt in every call. */
  #send(
    kind: OutgoingCall['kind'],
    context: Context,
    method: string,
    args: unknown,
    options?: CallOptions,
  ): Promise<unknown> {
    try {
      if (kind === 'call' && this.#settings.fanout) throw new TargetError('a call has one answer: fanout is for casts');
      return this.#invoke(this.#outgoing(kind, context, method, args, options));
    } catch (error) {
      return Promise.reject(error);
    }
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

  #perform(call: OutgoingCall): Promise<unknown> {
    if (call.kind === 'cast') return this.#cast(call);
    try {
      return this.#call(call);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #call(call: OutgoingCall): Promise<unknown> {
    const { transport } = this.#shared;
    const { inbox } = transport;
    const pending = new PendingCall(call, this.#addressOf(call.target), this.#shared);
    if (call.timeoutMs <= 0) throw new TimeoutError(pending.what, 0);
    if (inbox.name === undefined && inbox.size >= MOST_WAITING) {
      throw new OverloadedError(`${pending.what}: ${inbox.size} calls wait for the connection already`);
    }
    // Registered before anything is written: no reply can come too early.
    pending.id = inbox.expect(pending);
    const { monitorMs } = this.#settings;
    if (monitorMs !== undefined) pending.watch(Math.max(monitorMs, this.#shared.codec.leastMonitorMs ?? 0));
    try {
      if (inbox.name !== undefined) this.#write(pending, inbox.name);
      else this.#writeOnceOpen(pending);
    } catch (error) {
      inbox.fail(pending.id, error);
    }
    return pending.result;
  }

  #writeOnceOpen(pending: PendingCall): void {
    const { inbox } = this.#shared.transport;
    const started = performance.now();
    inbox
      .address()
      .then((replyTo) => {
        pending.timeoutMs -= performance.now() - started;
        this.#write(pending, replyTo);
      })
      .catch((error: unknown) => inbox.fail(pending.id, error));
  }

  #write(pending: PendingCall, replyTo: string): void {
    const { transport } = this.#shared;
    const { call, to, id } = pending;
    if (!transport.inbox.has(id)) return;
    pending.timeoutMs = Math.max(1, Math.ceil(pending.timeoutMs));
    const message = this.#encode(call, id, replyTo, pending.timeoutMs);
    transport.send(to, message, pending).catch(pending.giveUp);
  }

  async #cast(call: OutgoingCall): Promise<void> {
    const { transport } = this.#shared;
    const to = this.#addressOf(call.target);
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

  /** Most calls go where the one before went. */
  #addressOf(target: Target): Address {
    if (target !== this.#settings) return addressOf(target, this.#shared.transport.wire.exchange);
    this.#to ??= addressOf(target, this.#shared.transport.wire.exchange);
    return this.#to;
  }
}

/**
 * A call that waits for its reply: what the inbox expects, and at the same time the options that its request is sent
 * with. One object does, where several would be felt in every call.
 */
class PendingCall implements Expectation, SendOptions {
  readonly call: OutgoingCall;
  readonly to: Address;
  readonly result: Promise<unknown>;
  /** Set by the inbox. */
  id = '';
  /** What is left of the call's when the request is written. */
  timeoutMs: number;
  readonly confirm: boolean;
  readonly unrouted: Unrouted;
  readonly persistent: boolean;
  readonly signal?: AbortSignal;
  readonly #shared: Shared;
  #written = false;
  #partial: unknown;
  /** Ends the call when the server has gone silent. */
  #silence: NodeJS.Timeout | undefined;
  #resolve: (value: unknown) => void = () => {};
  #reject: (reason: unknown) => void = () => {};

  constructor(call: OutgoingCall, to: Address, shared: Shared) {
    const { confirm, unrouted, persistent } = shared.profile;
    this.call = call;
    this.to = to;
    this.timeoutMs = call.timeoutMs;
    this.confirm = confirm;
    this.unrouted = unrouted;
    this.persistent = persistent;
    if (call.signal !== undefined) this.signal = call.signal;
    this.#shared = shared;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get what(): string {
    return `call ${this.call.method} to ${describe(this.to)}`;
  }

  timeoutError(): Error {
    return new TimeoutError(this.what, this.call.timeoutMs);
  }

  isWritten(): boolean {
    return this.#written;
  }

  beforeWrite(): boolean {
    this.#written = this.#shared.transport.inbox.has(this.id);
    return this.#written;
  }

  answer(message: Message): boolean {
    const { codec, errors, serializer } = this.#shared;
    const reply = codec.decodeReply(message);
    switch (reply.kind) {
      case 'partial':
        this.#partial = reply.value;
        this.#silence?.refresh();
        return false;
      case 'heartbeat':
        this.#silence?.refresh();
        return false;
      case 'failure':
        throw errorOf(reply.failure, errors);
      case 'result': {
        const value = reply.value ?? this.#partial ?? reply.value;
        const { context } = this.call;
        this.#resolve(
          serializer.deserializeEntity === undefined ? value : serializer.deserializeEntity(context, value),
        );
        clearTimeout(this.#silence);
        return true;
      }
    }
  }

  fail(reason: unknown): void {
    clearTimeout(this.#silence);
    this.#reject(reason);
    const isGivenUp = this.signal?.aborted || (reason instanceof MessagingError && reason.code === 'TIMEOUT');
    if (this.#written && isGivenUp) this.#cancel();
  }

  readonly giveUp = (reason: unknown): void => this.#shared.transport.inbox.fail(this.id, reason);

  watch(silenceMs: number): void {
    const silent = (): void => this.giveUp(new TimeoutError(`${this.what}: no sign of life, and`, silenceMs));
    this.#silence = setTimeout(silent, silenceMs);
  }

  /** Tells the servers that nobody waits any more. Best effort: the deadline ends the work anyway. */
  #cancel(): void {
    const { transport, codec, cancels } = this.#shared;
    const { to, id } = this;
    if (codec.encodeCancel === undefined || !('topic' in to) || !cancels.take()) return;
    const { exchange, topic } = to;
    transport
      .send({ kind: 'multicast', exchange, topic }, codec.encodeCancel(id), profiles.cancel)
      .catch((error: unknown) => transport.logger.debug({ err: error, id }, 'could not send a cancel'));
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
