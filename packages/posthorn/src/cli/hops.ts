import type { SpanRecord } from '@posthorn/telemetry';

/** A message on its way from one to another; one of the two may be unknown. */
export interface Hop {
  readonly sent: SpanRecord | undefined;
  readonly done: SpanRecord | undefined;
}

/** Operations of RPC that last until the answer. Those of services are messages of their own. */
const ANSWERED: ReadonlySet<string> = new Set(['call', 'stream', 'gather']);

/** @param all of one trace, in any order */
export function hopsOf(all: readonly SpanRecord[]): readonly Hop[] {
  const spans = [...new Map(all.map((span) => [keyOf(span), span])).values()].sort((a, b) => a.startMs - b.startMs);
  const sent = spans.filter(({ direction }) => direction === 'send');
  const heard = new Set<SpanRecord>();
  const hops = spans
    .filter(({ direction }) => direction === 'process')
    .map((done): Hop => {
      const from = senderOf(done, sent, heard);
      if (from !== undefined) heard.add(from);
      return { sent: from, done };
    });
  return [...hops, ...sent.filter((span) => !heard.has(span)).map((span): Hop => ({ sent: span, done: undefined }))];
}

/** What may be told twice is the same then. */
function keyOf(span: SpanRecord): string {
  return JSON.stringify([span.direction, span.spanId, span.startMs, whoIs(span)]);
}

/** Who passes on a trace as it came sends all with one id: then the name tells them apart, and the order. */
function senderOf(
  { parentId, name }: SpanRecord,
  sent: readonly SpanRecord[],
  heard: ReadonlySet<SpanRecord>,
): SpanRecord | undefined {
  const candidates = sent.filter(({ spanId }) => spanId === parentId);
  const alike = candidates.filter((span) => span.name === name);
  return alike.find((span) => !heard.has(span)) ?? alike[0] ?? candidates[0];
}

/** Whether the sender had its answer from there. One that timed out had none, whatever its receiver did later. */
export function isAnswered({ sent, done }: Hop): boolean {
  if (sent?.pattern !== 'rpc' || !ANSWERED.has(sent.operation)) return false;
  return sent.error === undefined || done?.error !== undefined;
}

/** One process of a service, by name. What it has several connections for is told as one. */
export function whoIs({ service, host, pid }: SpanRecord): string {
  return `${service}@${host}:${pid}`;
}
