import type { SpanRecord } from '@posthorn/telemetry';
import { aligned } from './clocks.ts';
import { time } from './figures.ts';
import { type Hop, hopsOf, isAnswered, whoIs } from './hops.ts';
import { printable } from './print.ts';

/** A trace as a picture: who took part, from left to right, and what happened, from top to bottom. */
export interface Sequence {
  readonly traceId: string;
  readonly participants: readonly Participant[];
  readonly rows: readonly SequenceRow[];
  /** When somebody was at work. */
  readonly activations: readonly Activation[];
}

export interface Participant {
  readonly label: string;
  /** False for those that tell no steps, so that only others tell of them. */
  readonly reports: boolean;
}

interface Moment {
  /** Since the first row, never less than the row above. */
  readonly atMs: number;
  readonly text: string;
  readonly failed: boolean;
}

export type SequenceRow = Moment &
  (
    | { readonly kind: 'request' | 'reply'; readonly from: number; readonly to: number }
    | { readonly kind: 'note'; readonly at: number }
  );

export interface Activation {
  readonly participant: number;
  readonly firstRow: number;
  readonly lastRow: number;
}

const LONGEST_ERROR = 60;
const NOBODY = 'not reporting';

interface Happening {
  readonly at: number;
  readonly hop: Hop;
  readonly row: 'request' | 'reply' | 'sender note' | 'receiver note';
  /** How many must come before. */
  waitsFor: number;
  readonly before: Happening[];
}

/** @param spans of one trace, in any order */
export function sequenceOf(traceId: string, spans: readonly SpanRecord[]): Sequence {
  const hops = hopsOf(spans);
  const clock = aligned(hops);
  const happenings = inOrder(happeningsOf(hops, clock));
  const cast = castOf(happenings);
  const began = happenings[0]?.at ?? 0;
  let atMs = 0;
  const rows = happenings.map((one): SequenceRow => {
    atMs = Math.max(atMs, one.at - began);
    return rowOf(one, atMs, cast);
  });
  const activations = hops.flatMap((hop) => activationOf(hop, happenings, cast));
  return { traceId, participants: participantsOf(cast, spans), rows, activations };
}

/** What happens, each with what must have happened before: whatever clocks say, a cause comes before what it causes. */
function happeningsOf(hops: readonly Hop[], clock: (span: SpanRecord) => number): readonly Happening[] {
  const all: Happening[] = [];
  const byDone = new Map<string, Hop>();
  const ofHop = new Map<Hop, readonly Happening[]>();
  for (const hop of hops) {
    const { sent, done } = hop;
    if (done !== undefined) byDone.set(done.spanId, hop);
    const happen = (row: Happening['row'], span: SpanRecord, ended: boolean): Happening => {
      const at = clock(span) + (ended ? span.durationMs : 0);
      return { at, hop, row, waitsFor: 0, before: [] };
    };
    const own: Happening[] = [];
    const began = sent ?? done;
    if (began !== undefined) own.push(happen('request', began, false));
    if (isAnswered(hop) && sent !== undefined) own.push(happen('reply', replyOf(hop) ?? sent, true));
    else {
      if (sent?.error !== undefined) own.push(happen('sender note', sent, true));
      if (done?.error !== undefined) own.push(happen('receiver note', done, true));
    }
    for (const later of own.slice(1)) own[0] && precede(own[0], later);
    ofHop.set(hop, own);
    all.push(...own);
  }
  for (const hop of hops) {
    const outer = byDone.get(hop.sent?.parentId ?? '');
    if (outer === undefined || outer === hop) continue;
    const [request, ...ends] = ofHop.get(outer) ?? [];
    for (const inner of ofHop.get(hop) ?? []) {
      if (inner.row === 'request' && request !== undefined) precede(request, inner);
      for (const end of ends) if (end.row !== 'sender note' && isWithin(inner, outer)) precede(inner, end);
    }
  }
  return all;
}

/** Of several that answer each has a time of its own; one that answers alone does when its caller has it. */
function replyOf({ sent, done }: Hop): SpanRecord | undefined {
  return sent?.operation === 'gather' ? done : sent;
}

/** Whether it happened before the work ended in which it was sent: both are times of the same clock. */
function isWithin({ hop: { sent }, row }: Happening, { done }: Hop): boolean {
  if (sent === undefined || done === undefined) return false;
  const end = row === 'request' ? sent.startMs : sent.startMs + sent.durationMs;
  return row !== 'receiver note' && end <= done.startMs + done.durationMs;
}

function precede(first: Happening, second: Happening): void {
  first.before.push(second);
  second.waitsFor++;
}

/** Causes first, and clocks second. */
function inOrder(all: readonly Happening[]): readonly Happening[] {
  const left = new Set([...all].sort((a, b) => a.at - b.at));
  const ordered: Happening[] = [];
  while (left.size > 0) {
    // Where strangers made a circle of causes, the clocks alone decide.
    const next = first(left, ({ waitsFor }) => waitsFor === 0) ?? first(left, () => true);
    if (next === undefined) break;
    left.delete(next);
    ordered.push(next);
    for (const later of next.before) later.waitsFor--;
  }
  return ordered;
}

function first<T>(all: Iterable<T>, isIt: (one: T) => boolean): T | undefined {
  for (const one of all) if (isIt(one)) return one;
  return undefined;
}

/** The ends of a hop by name: processes that report, or topics, and one stranger who sends. */
function endsOf({ sent, done }: Hop): readonly [from: string, to: string] {
  return [sent ? whoIs(sent) : '?', done ? whoIs(done) : `? ${sent?.topic ?? ''}`];
}

/** Who takes part, by name, in the order of appearance. */
function castOf(happenings: readonly Happening[]): ReadonlyMap<string, number> {
  const cast = new Map<string, number>();
  for (const { hop } of happenings) for (const name of endsOf(hop)) if (!cast.has(name)) cast.set(name, cast.size);
  return cast;
}

function participantsOf(cast: ReadonlyMap<string, number>, spans: readonly SpanRecord[]): readonly Participant[] {
  const known = new Map(spans.map((span) => [whoIs(span), span]));
  const servers = new Map(spans.flatMap((span) => (span.server === undefined ? [] : [[whoIs(span), span.server]])));
  return [...cast.keys()].map((name) => {
    const span = known.get(name);
    if (span === undefined) return { label: printable(name === '?' ? NOBODY : name.slice(2)), reports: false };
    const { service, host, pid } = span;
    const namesakes = [...cast.keys()].filter((other) => known.get(other)?.service === service);
    const label = namesakes.length === 1 ? service : `${service} ${servers.get(name) ?? `${host}:${pid}`}`;
    return { label: printable(label), reports: true };
  });
}

function rowOf({ hop, row }: Happening, atMs: number, cast: ReadonlyMap<string, number>): SequenceRow {
  const [sender, receiver] = endsOf(hop);
  const [from, to] = [cast.get(sender) ?? 0, cast.get(receiver) ?? 0];
  const { sent, done } = hop;
  const span = row === 'receiver note' ? done : row === 'reply' ? replyOf(hop) : (sent ?? done);
  const failed = row !== 'request' && span?.error !== undefined;
  const kind = sent?.operation === 'answer' ? 'reply' : 'request';
  if (row === 'request') return { kind, from, to, atMs, failed, text: requestText(hop) };
  const text = failed ? `✗ ${errorText(span)}` : time(span?.durationMs);
  if (row === 'reply') return { kind: 'reply', from: to, to: from, atMs, failed, text };
  return { kind: 'note', at: row === 'sender note' ? from : to, atMs, failed, text };
}

/** Nobody answers a message; how long its receiver took stands beside it. */
function requestText(hop: Hop): string {
  const { sent, done } = hop;
  const { operation = '', name = '' } = sent ?? done ?? {};
  const took = done === undefined || isAnswered(hop) ? '' : ` · ${time(done.durationMs)}`;
  return printable(`${operation} ${name}${took}`);
}

function errorText(span: SpanRecord | undefined): string {
  const { code = '', message = '' } = span?.error ?? {};
  const text = printable(`${code}: ${message}`);
  return text.length > LONGEST_ERROR ? `${text.slice(0, LONGEST_ERROR - 1)}…` : text;
}

function activationOf(
  hop: Hop,
  happenings: readonly Happening[],
  cast: ReadonlyMap<string, number>,
): readonly Activation[] {
  const { done } = hop;
  const participant = done && cast.get(whoIs(done));
  if (participant === undefined) return [];
  const rows = happenings.flatMap((one, index) => {
    const isOwn = one.hop === hop && one.row !== 'sender note';
    const isSentByIt = one.hop.sent?.parentId === done?.spanId && isWithin(one, hop);
    return isOwn || isSentByIt ? [index] : [];
  });
  return [{ participant, firstRow: rows[0] ?? 0, lastRow: rows.at(-1) ?? 0 }];
}
