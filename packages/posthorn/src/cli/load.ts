import { type ActivityRow, addUp, quantile, type TelemetryReport } from '@posthorn/telemetry';

/** Reports of one process over which latencies are told. */
const REMEMBERED = 10;
/** A place where nothing happens any more is shown for so long. */
const QUIET_MS = 60_000;
/** A process that went without a word is shown for so long. */
const GONE_MS = 30_000;
const MOST_PROCESSES = 1_000;
const MOST_PLACES = 5_000;

/** A process that reports. */
export interface ProcessLoad {
  readonly service: string;
  readonly instance: string;
  readonly host: string;
  readonly pid: number;
  readonly transport: TelemetryReport['transport'];
  /** It missed reports: its figures are not counted any more. */
  readonly silent: boolean;
  readonly sentPerSecond: number;
  readonly processedPerSecond: number;
  readonly failedPerSecond: number;
  readonly inFlight: number;
  readonly dropped: TelemetryReport['dropped'];
}

/** What all of them do in one place: with one method of one topic, say. */
export interface PlaceLoad {
  readonly direction: ActivityRow['direction'];
  readonly pattern: ActivityRow['pattern'];
  readonly operation: string;
  readonly exchange: string | undefined;
  readonly topic: string;
  readonly name: string;
  readonly processes: number;
  readonly perSecond: number;
  readonly failedPerSecond: number;
  /** Failures per second by code, the most frequent first. */
  readonly errors: Readonly<Record<string, number>>;
  /** Of the last ten reports. */
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  readonly inFlight: number;
}

export interface Snapshot {
  readonly processes: readonly ProcessLoad[];
  readonly places: readonly PlaceLoad[];
}

interface Reporting {
  readonly reports: TelemetryReport[];
  last: TelemetryReport;
  at: number;
}

/** Puts together what processes report. Times are those of one clock, in milliseconds. */
export class Load {
  readonly #processes = new Map<string, Reporting>();
  readonly #seen = new Map<string, { readonly row: ActivityRow; at: number }>();

  add(report: TelemetryReport, at: number): void {
    if (report.ended) return void this.#processes.delete(report.instance);
    let known = this.#processes.get(report.instance);
    if (known === undefined) {
      if (this.#processes.size >= MOST_PROCESSES) return;
      known = { reports: [], last: report, at };
      this.#processes.set(report.instance, known);
    }
    known.last = report;
    known.at = at;
    known.reports.push(report);
    if (known.reports.length > REMEMBERED) known.reports.shift();
    for (const row of report.rows) this.#see(row, at);
  }

  snapshot(at: number): Snapshot {
    for (const [instance, one] of this.#processes) if (at - one.at > GONE_MS) this.#processes.delete(instance);
    for (const [key, place] of this.#seen) if (at - place.at > QUIET_MS) this.#seen.delete(key);
    const all = [...this.#processes.values()];
    const speaking = all.filter((one) => !isSilent(one, at));
    const now = byPlace(speaking.flatMap(({ last }) => last.rows.map((row) => ({ row, overMs: last.overMs }))));
    const lately = byPlace(
      speaking.flatMap(({ reports }) => reports.flatMap(({ rows }) => rows.map((row) => ({ row })))),
    );
    return {
      processes: all
        .map((one) => processLoad(one, at))
        .sort((a, b) => a.service.localeCompare(b.service) || a.host.localeCompare(b.host) || a.pid - b.pid),
      places: [...this.#seen].map(([key, { row }]) => placeLoad(row, now.get(key) ?? [], lately.get(key) ?? [])),
    };
  }

  #see(row: ActivityRow, at: number): void {
    const key = keyOf(row);
    const seen = this.#seen.get(key);
    if (seen !== undefined) seen.at = at;
    else if (this.#seen.size < MOST_PLACES) this.#seen.set(key, { row, at });
  }
}

interface Counted {
  readonly row: ActivityRow;
  readonly overMs: number;
}

function isSilent({ last, at }: Reporting, now: number): boolean {
  return now - at > 3 * last.everyMs + 500;
}

function keyOf({ direction, pattern, operation, exchange, topic, name }: ActivityRow): string {
  return JSON.stringify([direction, pattern, operation, exchange, topic, name]);
}

function byPlace<T extends { readonly row: ActivityRow }>(all: readonly T[]): ReadonlyMap<string, readonly T[]> {
  const places = new Map<string, T[]>();
  for (const one of all) {
    const key = keyOf(one.row);
    const known = places.get(key);
    if (known === undefined) places.set(key, [one]);
    else known.push(one);
  }
  return places;
}

function placeLoad(place: ActivityRow, now: readonly Counted[], lately: readonly { row: ActivityRow }[]): PlaceLoad {
  const { direction, pattern, operation, exchange, topic, name } = place;
  const latency = addUp(lately.map(({ row }) => row.latency));
  return {
    ...{ direction, pattern, operation, exchange, topic, name },
    processes: now.length,
    perSecond: sum(now, ({ row, overMs }) => perSecond(row.count, overMs)),
    failedPerSecond: sum(now, ({ row, overMs }) => perSecond(failures(row), overMs)),
    errors: errorsOf(now),
    p50Ms: quantile(latency, 0.5),
    p99Ms: quantile(latency, 0.99),
    inFlight: sum(now, ({ row }) => row.inFlight),
  };
}

function processLoad(reporting: Reporting, now: number): ProcessLoad {
  const { service, instance, host, pid, transport, dropped, rows, overMs } = reporting.last;
  const silent = isSilent(reporting, now);
  const counted = silent ? [] : rows;
  const of = (direction: ActivityRow['direction']): number =>
    sum(counted, (row) => (row.direction === direction ? perSecond(row.count, overMs) : 0));
  return {
    ...{ service, instance, host, pid, transport, silent, dropped },
    sentPerSecond: of('send'),
    processedPerSecond: of('process'),
    failedPerSecond: sum(counted, (row) => perSecond(failures(row), overMs)),
    inFlight: sum(counted, ({ inFlight }) => inFlight),
  };
}

function errorsOf(all: readonly Counted[]): Readonly<Record<string, number>> {
  const rates = new Map<string, number>();
  for (const { row, overMs } of all)
    for (const [code, count] of Object.entries(row.errors))
      rates.set(code, (rates.get(code) ?? 0) + perSecond(count, overMs));
  return Object.fromEntries([...rates].sort(([, a], [, b]) => b - a));
}

function failures({ errors }: ActivityRow): number {
  return sum(Object.values(errors), (count) => count);
}

function perSecond(count: number, overMs: number): number {
  return (count * 1_000) / overMs;
}

function sum<T>(all: readonly T[], of: (one: T) => number): number {
  return all.reduce((total, one) => total + of(one), 0);
}
