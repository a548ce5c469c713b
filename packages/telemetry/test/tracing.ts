import { context } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  type Sampler,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import type { Transport } from '@posthorn/core';
import { openTelemetry } from '../src/opentelemetry.ts';

/** OpenTelemetry as an application sets it up, with an exporter that keeps the spans. One at a time. */
export class Tracing implements Disposable {
  readonly provider: BasicTracerProvider;
  readonly #exporter = new InMemorySpanExporter();
  readonly #waiting: { readonly count: number; readonly go: () => void }[] = [];
  readonly #subscription: Disposable;

  constructor({ sampler, transports }: { sampler?: Sampler; transports?: readonly Transport[] } = {}) {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    const look = { onStart() {}, onEnd: () => this.#look(), forceFlush: async () => {}, shutdown: async () => {} };
    const spanProcessors = [new SimpleSpanProcessor(this.#exporter), look];
    this.provider = new BasicTracerProvider({ spanProcessors, ...(sampler && { sampler }) });
    this.#subscription = openTelemetry({ tracerProvider: this.provider, ...(transports && { transports }) });
  }

  get spans(): readonly ReadableSpan[] {
    return this.#exporter.getFinishedSpans();
  }

  /** Resolves when so many spans have ended. */
  ended(count: number): Promise<void> {
    return new Promise((go) => {
      this.#waiting.push({ count, go });
      this.#look();
    });
  }

  /** The only one of that name. */
  span(name: string): ReadableSpan {
    const [span, ...others] = this.spans.filter((one) => one.name === name);
    if (span === undefined || others.length > 0)
      throw new Error(`${name} is not one of ${this.spans.map((one) => one.name)}`);
    return span;
  }

  /** Who is part of whom, by names. */
  get parents(): Readonly<Record<string, string | undefined>> {
    const byId = new Map(this.spans.map((span) => [span.spanContext().spanId, span.name]));
    return Object.fromEntries(
      this.spans.map(({ name, parentSpanContext: parent }) => [
        name,
        parent && (byId.get(parent.spanId) ?? parent.spanId),
      ]),
    );
  }

  get traceIds(): readonly string[] {
    return [...new Set(this.spans.map((span) => span.spanContext().traceId))];
  }

  #look(): void {
    for (const { count, go } of this.#waiting) if (this.spans.length >= count) go();
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
    context.disable();
  }
}
