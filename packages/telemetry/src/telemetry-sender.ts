import { MessagingError, messageOf, native, TimeoutError, type Transport } from '@posthorn/core';
import {
  reportKey,
  type SpanBatch,
  type SpanRecord,
  spanKey,
  TELEMETRY_EXCHANGE,
  type TelemetryReport,
} from './telemetry-messages.ts';

/** Messages on their way to the broker. */
const MOST_ON_THE_WAY = 64;
const LONGEST_SEND_MS = 5_000;

/** Sends telemetry, without anybody waiting for it. What cannot be sent is counted and forgotten. */
export class TelemetrySender {
  readonly #of: Transport;
  /** Telemetry looks the same on every wire. */
  readonly #to: Transport;
  readonly #timeoutMs: number;
  readonly #onTheWay = new Set<Promise<void>>();
  /** Spans that wait to hear of a report. Not on the way yet: they take nobody's place there. */
  readonly #told = new Set<Promise<void>>();
  /** What the broker says to a report on this connection. */
  #probe: { readonly generation: number; readonly accepted: Promise<boolean> } | undefined;
  /** The connection on which it refuses them. */
  #refusedIn: number | undefined;
  #failures = 0;
  #lostSpans = 0;

  constructor(transport: Transport, everyMs: number) {
    this.#of = transport;
    this.#to = transport.wire.name === 'native' ? transport : transport.with({ wire: native() });
    this.#timeoutMs = Math.min(everyMs, LONGEST_SEND_MS);
  }

  get failures(): number {
    return this.#failures;
  }

  get lostSpans(): number {
    return this.#lostSpans;
  }

  /** The generation of the connection, where it is there, takes messages and has not refused ours. */
  get generation(): number | undefined {
    const { status } = this.#of;
    if (status.state !== 'connected' || this.#onTheWay.size >= MOST_ON_THE_WAY) return undefined;
    return status.generation === this.#refusedIn ? undefined : status.generation;
  }

  report(report: TelemetryReport): void {
    const { generation } = this;
    if (generation === undefined) return;
    const accepted = this.#send(reportKey(report.service), report, true).then(
      () => true,
      (error: unknown) => {
        if (isRefusal(error)) this.#refusedIn = generation;
        this.#probe = undefined;
        this.failed(error);
        return false;
      },
    );
    if (this.#probe?.generation !== generation) this.#probe = { generation, accepted };
  }

  /** Spans go where the broker has taken a report on this connection, or is about to. */
  tell(traceId: string, spans: readonly SpanRecord[]): void {
    const { generation } = this;
    const probe = this.#probe?.generation === generation ? this.#probe : undefined;
    const told = (probe?.accepted ?? Promise.resolve(false)).then((isAccepted) => {
      if (!isAccepted || this.generation !== generation) this.#lostSpans += spans.length;
      else
        void this.#send(spanKey(traceId), { version: 1, spans }, false).catch((error: unknown) => this.failed(error));
    });
    this.#told.add(told);
    void told.then(() => this.#told.delete(told));
  }

  /** Counts a failure; the first is logged. */
  failed(error: unknown): void {
    this.#failures++;
    if (this.#failures > 1) return;
    this.#of.logger.warn(
      { err: error },
      `telemetry could not be sent, which is told once; it needs to write to the exchange ${TELEMETRY_EXCHANGE}: ${messageOf(error)}`,
    );
  }

  /** Resolves when nothing is on its way any more: each gives up after a while. */
  async drained(): Promise<void> {
    // Spans follow the confirmation of a report.
    while (this.#onTheWay.size + this.#told.size > 0) await Promise.allSettled([...this.#onTheWay, ...this.#told]);
  }

  async #send(key: string, content: TelemetryReport | SpanBatch, confirm: boolean): Promise<void> {
    const to = { kind: 'topic', exchange: TELEMETRY_EXCHANGE, key } as const;
    const timeoutMs = this.#timeoutMs;
    const ttl = this.#of.features.ttl ? { ttlMs: 10 * timeoutMs } : {};
    const message = { body: Buffer.from(JSON.stringify(content)), contentType: 'application/json', ...ttl };
    const going = this.#to.send(to, message, { unrouted: 'drop', confirm, timeoutMs });
    this.#onTheWay.add(going);
    try {
      await going;
    } finally {
      this.#onTheWay.delete(going);
    }
  }
}

/**
 * RabbitMQ closes the channel on which somebody writes without permission, and what others have on their way there is lost
 * with it. So that is tried once for each connection, by a confirmed message. A broker that is merely slow refuses nothing.
 */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof MessagingError)) return false;
  return error.code === 'ACCESS' || (error.code === 'UNKNOWN' && !(error.cause instanceof TimeoutError));
}
