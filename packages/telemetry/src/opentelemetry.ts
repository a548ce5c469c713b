import type { TracingChannelSubscribers } from 'node:diagnostics_channel';
import {
  type Attributes,
  type Context,
  context,
  createTraceState,
  diag,
  isSpanContextValid,
  type Link,
  type MeterProvider,
  metrics,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  TraceFlags,
  type TracerProvider,
  trace,
  ValueType,
} from '@opentelemetry/api';
import { type Activity, messageOf, processing, sending, type Transport } from '@posthorn/core';
import {
  commonAttributes,
  type Direction,
  DURATION_BUCKETS,
  destinationOf,
  errorTypeOf,
  metricNames,
  names,
  spanAttributes,
} from './conventions.ts';
import { readTrace, TRACESTATE, traceHeaders } from './traceparent.ts';

export interface OpenTelemetryOptions {
  /** Default: the global one. */
  readonly tracerProvider?: TracerProvider;
  /** Default: the global one, which must have been set before. */
  readonly meterProvider?: MeterProvider;
  /** Those that are told about, with the views of their connections. Default: all of the process. */
  readonly transports?: readonly Transport[];
}

type Ended = Activity & { readonly error?: unknown };

/** What goes on. */
interface Running {
  readonly span: Span;
  readonly common: Attributes;
  readonly began: number;
}

const SCOPE = '@posthorn/telemetry';

/**
 * Tells OpenTelemetry what is sent and processed, in spans and metrics, until disposed of. Parents are the active span on
 * the way out and the header `traceparent` on the way in; handlers run within their span, so that what they send, and other
 * instrumented libraries do, become its children. A batch has links to what its messages came from.
 *
 * Nothing nests without a context manager, which OpenTelemetry's SDKs for Node set.
 */
export function openTelemetry(options: OpenTelemetryOptions = {}): Disposable {
  const {
    tracerProvider = trace.getTracerProvider(),
    meterProvider = metrics.getMeterProvider(),
    transports,
  } = options;
  const tracer = tracerProvider.getTracer(SCOPE);
  const record = recorder(meterProvider);
  const running = new WeakMap<Activity, Running>();

  const begin = (activity: Activity, direction: Direction): void => {
    if (transports?.every((one) => !one.sharesConnection(activity.transport))) return;
    const parent = direction === 'send' ? contextOfSender(activity.headers) : extracted(activity.headers);
    const common = commonAttributes(activity);
    const options = {
      kind: kindOf(activity, direction),
      attributes: spanAttributes(activity, direction, common),
      links: linksOf(activity),
    };
    const span = tracer.startSpan(`${activity.operation} ${destinationOf(activity)}`, options, parent);
    const inside = trace.setSpan(parent, span);
    if (direction === 'send') inject(inside, activity.headers);
    const { within } = activity;
    activity.within = (work) => context.with(inside, () => (within === undefined ? work() : within(work)));
    running.set(activity, { span, common, began: performance.now() });
  };

  const end = (activity: Ended, direction: Direction): void => {
    const found = running.get(activity);
    if (found === undefined) return;
    const { span, common, began } = found;
    const { error = activity.failure } = activity;
    const failed = error === undefined ? {} : { [names.error]: errorTypeOf(error) };
    if (error !== undefined)
      span.setAttributes(failed).setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) });
    span.end();
    const seconds = (performance.now() - began) / 1_000;
    record(direction, seconds, activity.batch?.length ?? 1, { ...common, ...failed });
  };

  const subscribers = (direction: Direction): TracingChannelSubscribers<Activity> => ({
    start: (activity) => guarded(() => begin(activity, direction)),
    end: nothing,
    asyncStart: nothing,
    asyncEnd: (activity) => guarded(() => end(activity, direction)),
    error: nothing,
  });
  const [onSend, onProcess] = [subscribers('send'), subscribers('process')];
  sending.subscribe(onSend);
  processing.subscribe(onProcess);
  return {
    [Symbol.dispose]() {
      sending.unsubscribe(onSend);
      processing.unsubscribe(onProcess);
    },
  };
}

function nothing(): void {}

/** What a subscriber of a channel throws ends the process: a failing processor or propagator must not. */
function guarded(tell: () => void): void {
  try {
    tell();
  } catch (error) {
    diag.error(`${SCOPE}: ${messageOf(error)}`, error);
  }
}

function kindOf({ pattern, operation }: Activity, direction: Direction): SpanKind {
  if (direction === 'process') return pattern === 'rpc' ? SpanKind.SERVER : SpanKind.CONSUMER;
  const awaitsReply = pattern === 'rpc' && (operation === 'call' || operation === 'stream' || operation === 'gather');
  return awaitsReply ? SpanKind.CLIENT : SpanKind.PRODUCER;
}

type Headers = Activity['headers'];

const text: TextMapGetter<Headers> = {
  get(headers, name) {
    const value = headers[name];
    return typeof value === 'string' ? value : undefined;
  },
  keys: (headers) => Object.keys(headers),
};

/** What the headers tell, by the propagator of the process and, where that finds no trace, by `traceparent`. */
function extracted(headers: Headers, base: Context = ROOT_CONTEXT): Context {
  const found = propagation.extract(base, headers, text);
  const sender = trace.getSpanContext(found) === undefined ? remoteOf(headers) : undefined;
  return sender === undefined ? found : trace.setSpanContext(found, sender);
}

/** Who sends: the active span, else what the application wrote. */
function contextOfSender(headers: Headers): Context {
  const active = context.active();
  return trace.getSpanContext(active) === undefined ? extracted(headers, active) : active;
}

/** Writes `traceparent`, and what else the propagator of the process has to say. */
function inject(inside: Context, headers: Headers): void {
  const span = trace.getSpanContext(inside);
  if (span !== undefined && isSpanContextValid(span)) {
    const { traceId, spanId, traceFlags, traceState } = span;
    const sampled = (traceFlags & TraceFlags.SAMPLED) !== 0;
    // Not what came with an earlier message.
    delete headers[TRACESTATE];
    Object.assign(headers, traceHeaders({ traceId, spanId, sampled, state: traceState?.serialize() || undefined }));
  }
  propagation.inject(inside, headers);
}

function linksOf({ batch = [] }: Activity): Link[] {
  return batch.flatMap(({ id, headers }) => {
    const sender = trace.getSpanContext(extracted(headers));
    return sender === undefined
      ? []
      : { context: sender, attributes: id === undefined ? {} : { [names.messageId]: id } };
  });
}

function remoteOf(headers: Headers): SpanContext | undefined {
  const sender = readTrace(headers);
  if (sender === undefined) return undefined;
  const { traceId, spanId, sampled, state } = sender;
  return {
    traceId,
    spanId,
    traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    ...(state !== undefined && { traceState: createTraceState(state) }),
  };
}

type Recorder = (direction: Direction, seconds: number, messages: number, attributes: Attributes) => void;

function recorder(provider: MeterProvider): Recorder {
  const meter = provider.getMeter(SCOPE);
  const durations = { unit: 's', advice: { explicitBucketBoundaries: [...DURATION_BUCKETS] } };
  const counts = { unit: '{message}', valueType: ValueType.INT };
  const operations = meter.createHistogram(metricNames.operationDuration, {
    ...durations,
    description: 'How long sending took; of calls, until the reply.',
  });
  const handling = meter.createHistogram(metricNames.processDuration, {
    ...durations,
    description: 'How long what was received was processed.',
  });
  const sent = meter.createCounter(metricNames.sentMessages, {
    ...counts,
    description: 'Messages that were to be sent.',
  });
  const consumed = meter.createCounter(metricNames.consumedMessages, {
    ...counts,
    description: 'Messages that were received, each attempt counted.',
  });
  return (direction, seconds, messages, attributes) => {
    const isSent = direction === 'send';
    (isSent ? operations : handling).record(seconds, attributes);
    (isSent ? sent : consumed).add(messages, attributes);
  };
}
