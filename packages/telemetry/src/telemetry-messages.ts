import type { Activity, Health, Status } from '@posthorn/core';
import type { Direction } from './conventions.ts';
import type { Buckets } from './histogram.ts';

/** Where telemetry goes: a topic exchange. What nobody listens to is forgotten by the broker at once. */
export const TELEMETRY_EXCHANGE = 'posthorn.telemetry';
/** What to listen to for the reports of all services; those of one are at `stats.<service>`. */
export const REPORTS = 'stats.#';
/** What to listen to for the steps of all traces. */
export const SPANS = 'span.#';

export function reportKey(service: string): string {
  return `stats.${service}`;
}

export function spanKey(traceId: string): string {
  return `span.${traceId}`;
}

/** What a process did in one place since its report before. */
export interface ActivityRow {
  /** On its way out (a call, say) or in (what is done for that call). */
  readonly direction: Direction;
  /** `other`, with nothing but counts, stands for the places for which there was no room. */
  readonly pattern: Activity['pattern'] | 'other';
  readonly operation: string;
  readonly exchange?: string | undefined;
  readonly topic: string;
  readonly name: string;
  /** Ended, well or not. */
  readonly count: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly latency: Buckets;
  /** Begun and not ended, at the moment of the report. */
  readonly inFlight: number;
}

/** The JSON of a message to `stats.<service>`. */
export interface TelemetryReport {
  readonly version: 1;
  readonly service: string;
  /** Another for each reporter: two processes of one service are two instances. */
  readonly instance: string;
  readonly host: string;
  readonly pid: number;
  /** Milliseconds that the counts stand for. */
  readonly overMs: number;
  /** When to expect the next. */
  readonly everyMs: number;
  /** The last one: the process closes its transport. */
  readonly ended: boolean;
  readonly transport: {
    readonly driver: string;
    readonly status: Status['state'];
    readonly health: Health['state'];
    readonly reconnects: number;
    readonly lateSettlements: number;
    readonly lastError?: string | undefined;
  };
  /** What was too much to send, or failed, since the reporter began. */
  readonly dropped: { readonly spans: number; readonly failures: number };
  /** Places where nothing happened are left out. */
  readonly rows: readonly ActivityRow[];
}

/** One step of a trace, told when it ended. */
export interface SpanRecord {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId?: string | undefined;
  readonly direction: Direction;
  readonly pattern: Activity['pattern'];
  readonly operation: string;
  readonly exchange?: string | undefined;
  readonly topic: string;
  readonly name: string;
  readonly server?: string | undefined;
  readonly service: string;
  readonly host: string;
  readonly pid: number;
  /** Since 1970, by the clock of that host. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly error?: { readonly code: string; readonly message: string } | undefined;
}

/** The JSON of a message to `span.<traceId>`. */
export interface SpanBatch {
  readonly version: 1;
  readonly spans: readonly SpanRecord[];
}
