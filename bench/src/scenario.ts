/** A value in a line of `--json`; null where there is nothing to compare with or to count. */
export type Cell = string | number | null;

/** One measurement, as a line of `--json` has it. */
export interface Row {
  readonly scenario: string;
  readonly transport: string;
  readonly [column: string]: Cell;
}

/** A column of the table for people. */
export interface Column {
  readonly key: string;
  readonly title: string;
  /** After the point; a text as it is without. */
  readonly digits?: number;
}

export interface Settings {
  readonly url: string;
  /** How many operations wait at the same time: one measurement for each. Default: the scenario's. */
  readonly inFlight?: readonly number[] | undefined;
  /** How long all measurements together take, warm-up not counted, where time is what bounds them. */
  readonly seconds: number;
  /** Messages in a slice, where their number is what bounds it. Default: the scenario's. */
  readonly messages?: number | undefined;
  /** Slices of each side, taken in turns. Of an odd number the median is one that happened. */
  readonly slices: number;
  /** Options of the scenario's own, by name. */
  readonly own: Readonly<Record<string, string | undefined>>;
}

/** Told while a scenario runs. */
export interface Watcher {
  /** Before the first row: what the table says above itself. */
  begin?(about: About): void;
  row(row: Row): void;
  /** A step is over, out of so many. */
  progress?(done: number, total: number, what: string): void;
}

export interface About {
  /** What the broker calls itself: `RabbitMQ 4.1.0`. */
  readonly broker?: string | undefined;
  readonly lines: readonly string[];
}

export interface Scenario {
  readonly name: string;
  /** For the list of scenarios. */
  readonly about: string;
  /** URL schemes that it runs on. */
  readonly schemes: readonly string[];
  /** Options of its own with their defaults: `--name value`. */
  readonly options?: Readonly<Record<string, string>>;
  readonly columns: readonly Column[];
  /** Below the table. */
  readonly notes?: readonly string[];
  run(settings: Settings, watcher: Watcher): Promise<void>;
}
