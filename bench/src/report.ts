import { type Host, hostFacts } from './host.ts';
import type { About, Cell, Column, Row, Scenario, Watcher } from './scenario.ts';

/** One object a line, the host it was measured on at its end. */
export class JsonLines implements Watcher {
  #host: Host | undefined;

  begin({ broker }: About): void {
    this.#host = hostFacts(broker);
  }

  row(row: Row): void {
    this.#host ??= hostFacts(undefined);
    console.log(JSON.stringify({ ...row, host: this.#host }));
  }
}

/** For people: a table that grows row by row, and on a terminal how far it is. */
export class Table implements Watcher {
  readonly #columns: readonly Column[];
  readonly #notes: readonly string[];
  #voids = new Set<Cell>();

  constructor({ columns, notes = [] }: Pick<Scenario, 'columns' | 'notes'>) {
    this.#columns = columns;
    this.#notes = notes;
  }

  begin({ broker, lines }: About): void {
    const { node, cpus, cpu, load } = hostFacts(broker);
    const where = broker === undefined ? 'in one process' : broker;
    console.log([`Node ${node}`, `${cpus} × ${cpu}`, where, `load ${load}`].join(', '));
    for (const line of lines) console.log(line);
    console.log(`\n${this.#columns.map(({ title }) => title).join('  ')}`);
  }

  row(row: Row): void {
    this.#clear();
    console.log(this.#columns.map((column) => textOf(row, column).padStart(column.title.length)).join('  '));
    if (row['void'] !== undefined && row['void'] !== null) this.#voids.add(row['void']);
  }

  progress(done: number, total: number, what: string): void {
    if (!process.stderr.isTTY) return;
    const filled = Math.round((done / total) * BAR);
    process.stderr.write(`\r\x1b[K[${'#'.repeat(filled)}${' '.repeat(BAR - filled)}] ${what}`);
  }

  end(): void {
    this.#clear();
    for (const reason of this.#voids) console.log(`\nVOID: ${reason}`);
    if (this.#notes.length > 0) console.log(`\n${this.#notes.join('\n')}`);
  }

  #clear(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }
}

const BAR = 30;

export function textOf(row: Readonly<Record<string, unknown>>, { key, digits }: Column): string {
  const value = row[key] ?? null;
  if (value === null) return '-';
  return typeof value === 'number' && digits !== undefined ? value.toFixed(digits) : String(value);
}
