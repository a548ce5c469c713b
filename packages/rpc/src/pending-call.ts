import {
  type Address,
  describe,
  ignorable,
  type Message,
  MessagingError,
  TimeoutError,
  UnroutableError,
  type Unrouted,
} from '@posthorn/core';
import { errorOf } from './errors.ts';
import { cancelAll, type OutgoingCall, type Pending, type Shared } from './outgoing.ts';
import { Silence } from './silence.ts';

/** A call that waits for its reply. There may be many: what it can learn from others, or need not keep, it does not hold. */
export class PendingCall implements Pending {
  readonly call: OutgoingCall;
  readonly to: Address;
  readonly result: Promise<unknown>;
  id = '';
  timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly #shared: Shared;
  #written = false;
  #partial: unknown;
  /** Ends the call when the server has gone silent. */
  readonly #silence: Silence | undefined;
  #resolve: (value: unknown) => void = unset;
  #reject: (reason: unknown) => void = unset;

  constructor(call: OutgoingCall, to: Address, shared: Shared, silenceMs?: number) {
    this.call = call;
    this.to = to;
    this.timeoutMs = call.timeoutMs;
    if (call.signal !== undefined) this.signal = call.signal;
    this.#shared = shared;
    this.#silence = silenceMs === undefined ? undefined : this.#monitor(silenceMs);
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get confirm(): boolean {
    return this.#shared.profile.confirm;
  }

  get unrouted(): Unrouted {
    return this.#shared.profile.unrouted;
  }

  get persistent(): boolean {
    return this.#shared.profile.persistent;
  }

  get what(): string {
    return `${this.call.kind} ${this.call.method} to ${describe(this.to)}`;
  }

  timeoutError(): Error {
    const what = this.call.progress?.isFull ? `${this.what}, whose progress was not read,` : this.what;
    return new TimeoutError(what, this.call.timeoutMs);
  }

  isWritten(): boolean {
    return this.#written;
  }

  beforeWrite(): boolean {
    this.#written = this.#shared.transport.inbox.has(this.id);
    if (this.#written) this.#silence?.begin();
    return this.#written;
  }

  answer(message: Message): boolean {
    const { codec, errors } = this.#shared;
    const reply = codec.decodeReply(message);
    switch (reply.kind) {
      case 'progress':
        this.#silence?.heard();
        this.call.progress?.take({ ...reply, value: this.#restored(reply.value) });
        return false;
      case 'partial':
        this.#partial = reply.value;
        this.#silence?.heard();
        return false;
      case 'heartbeat':
        this.#silence?.heard();
        return false;
      case 'failure':
        this.call.progress?.complete();
        throw errorOf(reply.failure, errors);
      case 'result': {
        this.call.progress?.complete(reply.parts ?? 0);
        this.#resolve(this.#restored(reply.value ?? this.#partial ?? reply.value));
        this.#silence?.end();
        return true;
      }
    }
  }

  fail(reason: unknown): void {
    this.#silence?.end();
    ignorable(this.result);
    this.#reject(reason);
    if (!this.#written || this.call.progress?.cancel()) return;
    const isGivenUp = this.signal?.aborted || (reason instanceof MessagingError && reason.code === 'TIMEOUT');
    if (isGivenUp) cancelAll(this.#shared, this.to, this.id);
  }

  /** A transport that knows at once that nobody serves says where, but not what was called. */
  giveUp(reason: unknown): void {
    const error = reason instanceof UnroutableError ? new UnroutableError(this.what, reason.address) : reason;
    this.#shared.transport.inbox.fail(this.id, error);
  }

  #monitor(silenceMs: number): Silence {
    return new Silence(silenceMs, () => this.giveUp(new TimeoutError(`${this.what}: no sign of life, and`, silenceMs)));
  }

  #restored(value: unknown): unknown {
    const { serializer } = this.#shared;
    return serializer.deserializeEntity === undefined ? value : serializer.deserializeEntity(this.call.context, value);
  }
}

function unset(): void {}
