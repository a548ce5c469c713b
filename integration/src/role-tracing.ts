import { context } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import type { Transport } from '@posthorn/core';
import { openTelemetry } from '@posthorn/telemetry/opentelemetry';

interface Role {
  readonly provider: BasicTracerProvider;
  readonly exporter: InMemorySpanExporter;
}

/**
 * OpenTelemetry for the roles of a program, each with a provider and an exporter of its own, as if it were a process of its
 * own. One at a time.
 */
export class RoleTracing implements Disposable {
  readonly #roles = new Map<string, Role>();
  readonly #subscriptions: Disposable[] = [];

  constructor() {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  }

  /** Traces what a role does over its transport. */
  watch(name: string, transport: Transport): void {
    const { provider } = this.#role(name);
    this.#subscriptions.push(openTelemetry({ tracerProvider: provider, transports: [transport] }));
  }

  /** Does work in a span of the role's own application, which all that the work does is to be part of. */
  async during<T>(name: string, what: string, work: () => Promise<T>): Promise<T> {
    const { provider } = this.#role(name);
    return await provider.getTracer('application').startActiveSpan(what, async (span) => {
      try {
        return await work();
      } finally {
        span.end();
      }
    });
  }

  get traceIds(): readonly string[] {
    return [...new Set(this.#spans.map(({ span }) => span.spanContext().traceId))];
  }

  /** All values that spans have for an attribute. */
  values(attribute: string): readonly unknown[] {
    const values = new Set(this.#spans.map(({ span }) => span.attributes[attribute]));
    values.delete(undefined);
    return [...values];
  }

  /** Each span as `role: span ← role: span that it is part of`, sorted. */
  get lines(): readonly string[] {
    const spans = this.#spans;
    const known = new Map(spans.map(({ role, span }) => [span.spanContext().spanId, `${role}: ${span.name}`]));
    const parent = ({ parentSpanContext: of }: ReadableSpan): string =>
      of === undefined ? '' : ` ← ${known.get(of.spanId) ?? 'nobody'}`;
    return spans.map(({ role, span }) => `${role}: ${span.name}${parent(span)}`).toSorted();
  }

  get #spans() {
    return [...this.#roles].flatMap(([role, { exporter }]) =>
      exporter.getFinishedSpans().map((span) => ({ role, span })),
    );
  }

  #role(name: string): Role {
    const known = this.#roles.get(name);
    if (known !== undefined) return known;
    const exporter = new InMemorySpanExporter();
    const role = {
      exporter,
      provider: new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
    };
    this.#roles.set(name, role);
    return role;
  }

  [Symbol.dispose](): void {
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]();
    context.disable();
  }
}
