import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { basename } from 'node:path';
import { argv, pid } from 'node:process';
import {
  type Activity,
  type CloseOptions,
  type CloseReport,
  ConfigError,
  messageOf,
  processing,
  sending,
  type Transport,
  UnsupportedError,
} from '@posthorn/core';
import { ActivityTable, type Row } from './activity-table.ts';
import { type Direction, errorTypeOf } from './conventions.ts';
import { SpanOutlet } from './span-outlet.ts';
import type { SpanRecord, TelemetryReport } from './telemetry-messages.ts';
import { TelemetrySender } from './telemetry-sender.ts';
import { type Propagation, propagation, type Step } from './trace-context.ts';
import { readTrace } from './traceparent.ts';

export interface TelemetryOptions {
  /** Who reports: `nova.conductor`. Default: the name of the program. */
  readonly service?: string;
  /** Default 1,000. */
  readonly everyMs?: number;
}

const EVERY_MS = 1_000;
const MOST_ROWS = 200;
/** In each interval. */
const MOST_SPANS = 500;
const LONGEST_ERROR = 200;

/**
 * Reports what this process sends and processes over the transport's connection, to the exchange `posthorn.telemetry` of the
 * same broker: every second a message with counts, errors and latencies to `stats.<service>`, and for each step of a
 * sampled trace one to `span.<traceId>`. Where nobody listens, the broker forgets them at once. `posthorn top` and
 * `posthorn trace` listen.
 *
 * Reporting neither fails nor slows down what it reports: nothing is waited for, what cannot be sent is counted and forgotten,
 * and the first such failure is logged. It ends with the transport, or when it is disposed of.
 *
 * @throws {ConfigError} for a name or an interval that is none
 * @throws {UnsupportedError} where the transport has no topics
 */
export function reportTelemetry(transport: Transport, options: TelemetryOptions = {}): AsyncDisposable {
  return new Reporter(transport, options);
}

interface Running {
  readonly row: Row;
  readonly began: number;
}

class Reporter implements AsyncDisposable {
  readonly #of: Transport;
  readonly #sender: TelemetrySender;
  readonly #who: Pick<TelemetryReport, 'service' | 'host' | 'pid'>;
  readonly #instance = randomBytes(4).toString('hex');
  readonly #everyMs: number;
  readonly #table = new ActivityTable(MOST_ROWS);
  readonly #spans: SpanOutlet;
  readonly #propagation: Propagation;
  readonly #running = new WeakMap<Activity, Running>();
  readonly #timer: NodeJS.Timeout;
  readonly #stopListening: () => void;
  readonly #leave: () => void;
  #reportedAt = performance.now();
  #closing: Promise<CloseReport> | undefined;

  constructor(transport: Transport, { service = programName(), everyMs = EVERY_MS }: TelemetryOptions) {
    if (typeof service !== 'string' || !/^[^*#\s]{1,100}$/.test(service))
      throw new ConfigError('service', 'expected a name without *, # and spaces, of 100 characters at most');
    if (!Number.isInteger(everyMs) || everyMs < 100)
      throw new ConfigError('everyMs', 'expected a number of milliseconds, 100 at least');
    if (!transport.features.kinds.includes('topic')) throw new UnsupportedError(transport.name, 'topics');
    this.#of = transport;
    this.#sender = new TelemetrySender(transport, everyMs);
    this.#who = { service, host: hostname(), pid };
    this.#everyMs = everyMs;
    this.#spans = new SpanOutlet(MOST_SPANS, (traceId, spans) => this.#sender.tell(traceId, spans));
    this.#propagation = propagation({ steps: 'sampled' });
    this.#stopListening = this.#listen();
    this.#leave = transport.adopt(this);
    this.#timer = setInterval(() => this.#tick(), everyMs).unref();
    this.#report(false);
  }

  close(_options?: CloseOptions): Promise<CloseReport> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<CloseReport> {
    clearInterval(this.#timer);
    this.#stopListening();
    this.#propagation[Symbol.dispose]();
    this.#spans.flush();
    this.#report(true);
    await this.#sender.drained();
    this.#leave();
    return { abandoned: [] };
  }

  #listen(): () => void {
    const channels = [
      { channel: sending, direction: 'send' },
      { channel: processing, direction: 'process' },
    ] as const;
    const undo = channels.map(({ channel, direction }) => {
      const subscribers = {
        start: (activity: Activity) => this.#begin(direction, activity),
        asyncStart: () => undefined,
        asyncEnd: (activity: Activity) => this.#end(direction, activity),
        end: () => undefined,
        error: () => undefined,
      };
      channel.subscribe(subscribers);
      return () => channel.unsubscribe(subscribers);
    });
    return () => {
      for (const one of undo) one();
    };
  }

  /** What a subscriber throws ends the process: here and in `#end`. */
  #begin(direction: Direction, activity: Activity): void {
    // Views of one connection share the ids that were started on it.
    if (!this.#of.sharesConnection(activity.transport)) return;
    try {
      this.#running.set(activity, { row: this.#table.begin(direction, activity), began: performance.now() });
    } catch (error) {
      this.#sender.failed(error);
    }
  }

  #end(direction: Direction, activity: Activity): void {
    const running = this.#running.get(activity);
    if (running === undefined) return;
    this.#running.delete(activity);
    try {
      this.#count(direction, activity, running);
    } catch (error) {
      this.#sender.failed(error);
    }
  }

  #count(direction: Direction, activity: Activity & { readonly error?: unknown }, running: Running): void {
    const durationMs = performance.now() - running.began;
    const hasThrown = 'error' in activity;
    const reason = hasThrown ? activity.error : activity.failure;
    const code = hasThrown || reason !== undefined ? errorTypeOf(reason) : undefined;
    running.row.end(durationMs, code);
    const error = code === undefined ? undefined : { code, message: textOf(reason) };
    const { pattern, operation, exchange, topic, name, server } = activity;
    for (const { traceId, spanId, parentId } of this.#stepsOf(activity))
      this.#spans.add({
        ...{ traceId, spanId, parentId, direction, pattern, operation, exchange, topic, name, server, ...this.#who },
        ...{ startMs: performance.timeOrigin + running.began, durationMs, error },
      } satisfies SpanRecord);
  }

  /** Of sampled traces; for a batch one in the trace of each of its messages. */
  #stepsOf(activity: Activity): readonly Step[] {
    if (activity.batch === undefined) {
      const step = this.#propagation.stepOf(activity);
      return step?.sampled ? [step] : [];
    }
    return activity.batch.flatMap(({ headers }) => {
      const sender = readTrace(headers);
      return sender?.sampled ? [{ ...sender, spanId: randomBytes(8).toString('hex'), parentId: sender.spanId }] : [];
    });
  }

  #tick(): void {
    this.#spans.refill();
    this.#report(false);
  }

  /** While there is no connection it counts on, and the next report stands for all that time. */
  #report(ended: boolean): void {
    if (this.#sender.generation === undefined) return;
    const { reconnects, lateSettlements, state: health, lastError } = this.#of.health();
    const now = performance.now();
    const report: TelemetryReport = {
      version: 1,
      ...this.#who,
      instance: this.#instance,
      overMs: now - this.#reportedAt,
      everyMs: this.#everyMs,
      ended,
      transport: {
        driver: this.#of.name,
        status: this.#of.status.state,
        health,
        reconnects,
        lateSettlements,
        lastError: lastError && textOf(lastError),
      },
      dropped: { spans: this.#spans.dropped + this.#sender.lostSpans, failures: this.#sender.failures },
      rows: this.#table.take(),
    };
    this.#reportedAt = now;
    this.#sender.report(report);
  }
}

function programName(): string {
  const name = basename(argv[1] ?? '')
    .replace(/\.[cm]?[jt]s$/, '')
    .replace(/[*#\s]/g, '-');
  return name === '' ? 'node' : name.slice(0, 100);
}

function textOf(error: unknown): string {
  return messageOf(error).slice(0, LONGEST_ERROR);
}
