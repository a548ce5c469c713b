import {
  type Address,
  addressOf,
  ConfigError,
  type Context,
  checkTarget,
  checkVersion,
  compatible,
  compose,
  describe,
  type HeaderValue,
  type Invoke,
  type Layer,
  type Message,
  MessagingError,
  newId,
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
  readonly serializer: Serializer;
  readonly errors: ErrorRegistry;
  readonly layers: readonly Layer<OutgoingCall>[];
  readonly cancels: RateLimit;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const CANCELS_PER_SECOND = 100;

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
    this.#shared = shared ?? {
      transport,
      codec: transport.wire.codecs.rpc ?? nativeCodec(transport.wire.contents),
      serializer,
      errors,
      layers,
      cancels: new RateLimit(CANCELS_PER_SECOND),
    };
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
  async call<M extends MethodName<Api>>(
    context: Context,
    method: M,
    ...[args, options]: Rest<Api, M, CallOptions>
  ): Promise<Result<Api, M>> {
    if (this.#settings.fanout) throw new TargetError('a call has one answer: fanout is for casts');
    return (await this.#invoke(this.#outgoing('call', context, method, args, options))) as Result<Api, M>;
  }

  /** Sends a request whose result nobody waits for. Resolves when the broker has taken it. */
  async cast<M extends MethodName<Api>>(
    context: Context,
    method: M,
    ...[args, options]: Rest<Api, M, CallOptions>
  ): Promise<void> {
    await this.#invoke(this.#outgoing('cast', context, method, args, options));
  }

  /** A cast to every server of the topic. */
  async fanout<M extends MethodName<Api>>(
    context: Context,
    method: M,
    ...rest: Rest<Api, M, CallOptions>
  ): Promise<void> {
    await this.prepare({ fanout: true }).cast(context, method, ...rest);
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
    checkDuration('timeoutMs', options.timeoutMs);
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
    const what = `call ${call.method} to ${describe(to)}`;
    if (timeoutMs <= 0) throw new TimeoutError(what, 0);
    signal?.throwIfAborted();
    const id = newId();
    const started = performance.now();
    const timeoutError = (): Error => new TimeoutError(what, timeoutMs);
    const { monitorMs } = this.#settings;
    const silenceMs = Math.max(monitorMs ?? 0, codec.leastMonitorMs ?? 0);
    const monitor =
      monitorMs === undefined ? undefined : new Monitor(what, silenceMs, (error) => inbox.fail(id, error));
    let written = false;
    let partial: unknown;
    let last: Reply | undefined;
    const interim = (message: Message): boolean => {
      last = codec.decodeReply(message);
      monitor?.heard();
      if (last.kind === 'partial') partial = last.value;
      return last.kind === 'partial' || last.kind === 'heartbeat';
    };
    // Registered before anything is written: no reply can come too early.
    const replied = inbox.expect(id, { what, timeoutMs, timeoutError, signal, interim, isWritten: () => written });
    const beforeWrite = (): boolean => {
      written = inbox.has(id);
      return written;
    };
    const write = (replyTo: string): void => {
      if (!inbox.has(id)) return;
      const left = Math.max(1, Math.ceil(timeoutMs - (performance.now() - started)));
      const message = this.#encode(call, id, replyTo, left);
      transport
        .send(to, message, {
          ...profiles.call,
          ...codec.profiles?.call,
          timeoutMs: left,
          beforeWrite,
          ...(signal && { signal }),
        })
        .catch((error: unknown) => inbox.fail(id, error));
    };
    try {
      if (inbox.name !== undefined) write(inbox.name);
      else
        inbox
          .address()
          .then(write)
          .catch((error: unknown) => inbox.fail(id, error));
    } catch (error) {
      inbox.fail(id, error);
    }
    try {
      await replied;
    } catch (error) {
      if (written && (signal?.aborted || (error instanceof MessagingError && error.code === 'TIMEOUT')))
        this.#cancel(id, to);
      throw error;
    } finally {
      monitor?.stop();
    }
    if (last?.kind === 'failure') throw errorOf(last.failure, errors);
    const value = last?.kind === 'result' ? (last.value ?? partial ?? last.value) : undefined;
    return serializer.deserializeEntity === undefined ? value : serializer.deserializeEntity(call.context, value);
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

/** Ends a call whose server has gone silent. */
class Monitor {
  readonly #timer: NodeJS.Timeout;

  constructor(what: string, silenceMs: number, fail: (error: Error) => void) {
    this.#timer = setTimeout(() => fail(new TimeoutError(`${what}: no sign of life, and`, silenceMs)), silenceMs);
  }

  heard(): void {
    this.#timer.refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
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
