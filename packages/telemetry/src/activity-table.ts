import type { Activity } from '@posthorn/core';
import type { Direction } from './conventions.ts';
import { Histogram } from './histogram.ts';
import type { ActivityRow } from './telemetry-messages.ts';

/** A row that was not touched for so many reports is forgotten, to make room. */
const IDLE_REPORTS = 300;
const LONGEST_NAME = 200;
const MOST_CODES = 16;
const OTHER = 'other';

type Place = Pick<ActivityRow, 'direction' | 'pattern' | 'operation' | 'exchange' | 'topic' | 'name'>;

/** Counts activities by what they are and where: a bounded number of rows, and one for each direction for all the rest. */
export class ActivityTable {
  readonly #rows = new Map<string, Row>();
  readonly #rest: Readonly<Record<Direction, Row>> = { send: restOf('send'), process: restOf('process') };
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  /** Something begins. It is to be ended once. */
  begin(direction: Direction, activity: Activity): Row {
    const { pattern, operation, exchange } = activity;
    // Of what comes in, others choose them.
    const topic = activity.topic.slice(0, LONGEST_NAME);
    const name = activity.name.slice(0, LONGEST_NAME);
    const key = `${direction}\0${pattern}\0${operation}\0${exchange ?? ''}\0${topic}\0${name}`;
    let row = this.#rows.get(key);
    if (row === undefined) {
      if (this.#rows.size >= this.#most) row = this.#rest[direction];
      else {
        row = new Row({ direction, pattern, operation, exchange, topic, name });
        this.#rows.set(key, row);
      }
    }
    row.begin();
    return row;
  }

  /** What there is to tell since the last time. */
  take(): readonly ActivityRow[] {
    const rows = [...this.#rows.values(), this.#rest.send, this.#rest.process];
    const taken = rows.filter((row) => row.isBusy).map((row) => row.take());
    for (const [key, row] of this.#rows) if (row.rest() > IDLE_REPORTS) this.#rows.delete(key);
    return taken;
  }
}

/** One place's counts. */
export class Row {
  readonly #place: Place;
  readonly #latency = new Histogram();
  readonly #errors = new Map<string, number>();
  #inFlight = 0;
  #count = 0;
  #idle = 0;

  constructor(place: Place) {
    this.#place = place;
  }

  get isBusy(): boolean {
    return this.#count > 0 || this.#inFlight > 0;
  }

  begin(): void {
    this.#inFlight++;
    this.#idle = 0;
  }

  end(durationMs: number, errorCode?: string): void {
    this.#inFlight--;
    this.#count++;
    this.#latency.record(durationMs);
    if (errorCode === undefined) return;
    const code = this.#errors.has(errorCode) || this.#errors.size < MOST_CODES ? errorCode : OTHER;
    this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1);
  }

  take(): ActivityRow {
    const taken = {
      ...this.#place,
      count: this.#count,
      errors: Object.fromEntries(this.#errors),
      latency: this.#latency.take(),
      inFlight: this.#inFlight,
    };
    this.#count = 0;
    this.#errors.clear();
    return taken;
  }

  /** One more report without it. Returns how many in a row. */
  rest(): number {
    return this.#inFlight > 0 ? 0 : this.#idle++;
  }
}

function restOf(direction: Direction): Row {
  return new Row({ direction, pattern: OTHER, operation: '', topic: '', name: '' });
}
