import { performance } from 'node:perf_hooks';
import { type Cancellation, type HeaderValue, TimeoutError } from '@posthorn/core';
import type { Request } from './codec.ts';
import type { CallInfo } from './dispatcher.ts';
import type { ProgressWriter } from './progress-writer.ts';

/** What a method is told about its call. Its signal, and the timer behind it, are made when first looked at. */
export class Info implements CallInfo {
  readonly #request: Request;
  readonly #cancellation: Cancellation;
  readonly deadline: number | undefined;
  readonly #progress: ProgressWriter | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    request: Request,
    deadline: number | undefined,
    cancellation: Cancellation,
    progress: ProgressWriter | undefined,
  ) {
    this.#request = request;
    this.deadline = deadline;
    this.#cancellation = cancellation;
    this.#progress = progress;
  }

  /** Where progress goes, if the caller reads it. */
  get progress(): ProgressWriter | undefined {
    return this.#progress;
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

  /** Whether that is why the call was cancelled: a method that throws it did as it was told. */
  isReason(error: unknown): boolean {
    return this.#cancellation.cancelled && this.#cancellation.signal.reason === error;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#progress?.stop();
  }
}
