import type { SpanRecord } from './telemetry-messages.ts';

/** Gathers the spans of one turn of the event loop, and lets so many go until the next `refill`. */
export class SpanOutlet {
  readonly #send: (traceId: string, spans: readonly SpanRecord[]) => void;
  readonly #most: number;
  readonly #waiting = new Map<string, SpanRecord[]>();
  #left: number;
  #flush: NodeJS.Immediate | undefined;
  #dropped = 0;

  constructor(most: number, send: (traceId: string, spans: readonly SpanRecord[]) => void) {
    this.#most = most;
    this.#left = most;
    this.#send = send;
  }

  /** How many there were too many. */
  get dropped(): number {
    return this.#dropped;
  }

  add(span: SpanRecord): void {
    if (this.#left === 0) return void this.#dropped++;
    this.#left--;
    const waiting = this.#waiting.get(span.traceId);
    if (waiting === undefined) this.#waiting.set(span.traceId, [span]);
    else waiting.push(span);
    this.#flush ??= setImmediate(() => this.flush());
  }

  refill(): void {
    this.#left = this.#most;
  }

  /** Sends what waits. */
  flush(): void {
    clearImmediate(this.#flush);
    this.#flush = undefined;
    const batches = [...this.#waiting];
    this.#waiting.clear();
    for (const [traceId, spans] of batches) this.#send(traceId, spans);
  }
}
