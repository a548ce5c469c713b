import { type Delivery, native, type Subscription, type Transport } from '@posthorn/core';
import { type SpanBatch, type SpanRecord, TELEMETRY_EXCHANGE, type TelemetryReport } from '@posthorn/telemetry';
import { z } from 'zod';

const count = z.number().nonnegative();
const text = z.string();
const direction = z.enum(['send', 'process']);
const pattern = z.enum(['rpc', 'notify', 'messaging', 'services']);
const place = { direction, operation: text, exchange: text.optional(), topic: text, name: text };

const REPORT: z.ZodType<TelemetryReport> = z.object({
  version: z.literal(1),
  service: text,
  instance: text,
  host: text,
  pid: z.number(),
  overMs: z.number().positive(),
  everyMs: z.number().positive(),
  ended: z.boolean(),
  transport: z.object({
    driver: text,
    status: z.enum(['connected', 'blocked', 'disconnected', 'closed']),
    health: z.enum(['unknown', 'healthy', 'degraded', 'unhealthy']),
    reconnects: count,
    lateSettlements: count,
    lastError: text.optional(),
  }),
  dropped: z.object({ spans: count, failures: count }),
  rows: z.array(
    z.object({
      ...place,
      pattern: z.enum([...pattern.options, 'other']),
      count,
      errors: z.record(text, count),
      latency: z.array(z.tuple([z.int().nonnegative(), count])),
      inFlight: count,
    }),
  ),
});

const SPAN: z.ZodType<SpanRecord> = z.object({
  ...place,
  traceId: text,
  spanId: text,
  parentId: text.optional(),
  pattern,
  server: text.optional(),
  service: text,
  host: text,
  pid: z.number(),
  startMs: z.number(),
  durationMs: count,
  error: z.object({ code: text, message: text }).optional(),
});

const BATCH: z.ZodType<SpanBatch> = z.object({ version: z.literal(1), spans: z.array(SPAN) });

export interface Feed extends AsyncDisposable {
  /** Resolves when the broker has taken the subscription away. */
  readonly ended: Promise<Error | undefined>;
}

/** Listens to the reports of services. What is none is left out: anybody can send there. */
export function onReports(transport: Transport, key: string, take: (report: TelemetryReport) => void): Promise<Feed> {
  return listen(transport, key, REPORT, take);
}

/** Listens to the steps of traces. */
export function onSpans(transport: Transport, key: string, take: (span: SpanRecord) => void): Promise<Feed> {
  return listen(transport, key, BATCH, ({ spans }) => {
    for (const span of spans) take(span);
  });
}

async function listen<T>(
  transport: Transport,
  key: string,
  schema: z.ZodType<T>,
  take: (value: T) => void,
): Promise<Feed> {
  const view = transport.wire.name === 'native' ? transport : transport.with({ wire: native() });
  const receive = (delivery: Delivery): void => {
    void delivery.settle('accept');
    const { success, data } = schema.safeParse(contentOf(delivery));
    if (success) take(data);
  };
  const source = { kind: 'topic', exchange: TELEMETRY_EXCHANGE, pattern: key } as const;
  const subscription: Subscription = await view.subscribe([source], receive);
  return { ended: subscription.ended, [Symbol.asyncDispose]: () => subscription.close() };
}

function contentOf({ message: { body } }: Delivery): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString());
  } catch {
    return undefined;
  }
}
