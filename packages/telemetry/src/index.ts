export { addUp, type Buckets, quantile } from './histogram.ts';
export { reportTelemetry, type TelemetryOptions } from './reporter.ts';
export {
  type ActivityRow,
  REPORTS,
  SPANS,
  type SpanBatch,
  type SpanRecord,
  spanKey,
  TELEMETRY_EXCHANGE,
  type TelemetryReport,
} from './telemetry-messages.ts';
export { type Propagation, type PropagationOptions, propagation, type Step } from './trace-context.ts';
export { readTrace, type TraceContext, traceHeaders } from './traceparent.ts';
