import { rate, time } from './figures.ts';
import type { PlaceLoad, ProcessLoad, Snapshot } from './load.ts';
import { printable, type Style } from './print.ts';

/** What the places can be sorted by, in the order in which a key press changes it. */
export const SORTS = ['rate', 'errors', 'p99', 'flight', 'name'] as const;
export type Sort = (typeof SORTS)[number];

export interface Screen {
  readonly title: string;
  readonly columns: number;
  /** Lines that there is room for. */
  readonly rows: number;
  readonly sort: Sort;
  readonly paint: (style: Style, text: string) => string;
}

const NOTHING = `no telemetry yet: services report when they call reportTelemetry(transport), or run as
posthorn serve --telemetry`;
const FIGURE_WIDTH = 9;

/** The snapshot as lines for a terminal: the processes above, then what they do, by topic and method. */
export function screenOf(snapshot: Snapshot, screen: Screen): readonly string[] {
  const { processes, places } = snapshot;
  const head = [headline(snapshot, screen), ''];
  if (processes.length === 0 && places.length === 0) return [...head, ...NOTHING.split('\n')];
  const half = Math.max(2, Math.floor((screen.rows - head.length) / 2) - 2);
  const above = limited(processTable(processes, screen), half + 1, screen);
  const room = screen.rows - head.length - above.length - 1;
  const below = limited(placeTable(sorted(places, screen.sort), screen), room, screen);
  return [...head, ...above, '', ...below].slice(0, screen.rows);
}

export function sorted(places: readonly PlaceLoad[], by: Sort): readonly PlaceLoad[] {
  const weight: Readonly<Record<Sort, (place: PlaceLoad) => number>> = {
    rate: ({ perSecond }) => perSecond,
    errors: ({ failedPerSecond }) => failedPerSecond,
    p99: ({ p99Ms }) => p99Ms ?? 0,
    flight: ({ inFlight }) => inFlight,
    name: () => 0,
  };
  const of = weight[by];
  return [...places].sort((a, b) => of(b) - of(a) || nameOf(a).localeCompare(nameOf(b)));
}

function nameOf({ exchange = '', topic, name, operation }: PlaceLoad): string {
  return [exchange, topic, name, operation].join('\0');
}

function headline({ processes }: Snapshot, { title, columns, paint }: Screen): string {
  const services = new Set(processes.map(({ service }) => service)).size;
  const failed = total(processes, ({ failedPerSecond }) => failedPerSecond);
  const parts = [
    `posthorn top  ${title}`,
    `${counted(services, 'service')} in ${counted(processes.length, 'process', 'processes')}`,
    `${rate(total(processes, ({ sentPerSecond }) => sentPerSecond))}/s sent`,
    `${rate(total(processes, ({ processedPerSecond }) => processedPerSecond))}/s processed`,
  ];
  const last = `${rate(failed)}/s failed`;
  const text = clipped(parts.join('   '), columns - last.length - 3);
  return `${paint('bold', text)}   ${failed > 0 ? paint('red', last) : last}`;
}

function processTable(processes: readonly ProcessLoad[], { columns, paint }: Screen): readonly string[] {
  const line = liner(columns, [0.4, 0.3, 0.3], 4);
  return [
    paint('dim', line('SERVICE', 'HOST', 'TRANSPORT', 'SENT/S', 'DONE/S', 'FLIGHT', 'FAIL/S')),
    ...processes.map((process) => {
      const { service, host, pid, transport, silent } = process;
      const state = silent ? 'silent' : transport.status === 'connected' ? transport.health : transport.status;
      const figures = [process.sentPerSecond, process.processedPerSecond, process.inFlight];
      const text = line(service, `${host}:${pid}`, `${transport.driver} ${state}`, ...figures.map(rate));
      const style = silent ? 'dim' : 'yellow';
      return `${state === 'healthy' ? text : paint(style, text)}${failures(process.failedPerSecond, paint)}`;
    }),
  ];
}

/** A line for each, and one more for the codes of its errors. */
function placeTable(places: readonly PlaceLoad[], { columns, paint }: Screen): readonly string[] {
  const line = liner(columns, [0.16, 0.42, 0.42], 5);
  return [
    paint('dim', line('WHAT', 'TOPIC', 'METHOD OR EVENT', 'PER S', 'P50', 'P99', 'FLIGHT', 'FAIL/S')),
    ...places.flatMap((place) => {
      const { pattern, operation, direction, exchange, topic, name, errors, failedPerSecond } = place;
      const names =
        pattern === 'other'
          ? ['other', direction === 'send' ? 'what was sent' : 'what was processed', '']
          : [operation, exchange === undefined ? topic : `${exchange}/${topic}`, name];
      const figures = [rate(place.perSecond), time(place.p50Ms), time(place.p99Ms), rate(place.inFlight)];
      const text = `${line(...names, ...figures)}${failures(failedPerSecond, paint)}`;
      if (failedPerSecond === 0) return [text];
      const codes = Object.entries(errors).map(([code, perSecond]) => `${code} ${rate(perSecond)}/s`);
      return [text, paint('red', clipped(`  └ ${codes.join('   ')}`, columns))];
    }),
  ];
}

/** Lays out a line: names to the left, each with its share of the room that the figures to the right leave. */
function liner(columns: number, shares: readonly number[], figures: number): (...cells: readonly string[]) => string {
  const room = Math.max(0, columns - figures * FIGURE_WIDTH);
  const widths = shares.map((share) => Math.floor(room * share));
  return (...cells) =>
    cells
      .map((text, index) => {
        const width = widths[index];
        return width === undefined ? text.padStart(FIGURE_WIDTH) : clipped(text, width - 2).padEnd(width);
      })
      .join('');
}

function failures(perSecond: number, paint: Screen['paint']): string {
  const text = rate(perSecond).padStart(FIGURE_WIDTH);
  return perSecond > 0 ? paint('red', text) : text;
}

function limited(lines: readonly string[], room: number, { paint }: Screen): readonly string[] {
  if (lines.length <= room) return lines;
  const shown = lines.slice(0, Math.max(1, room - 1));
  return [...shown, paint('dim', `  … ${lines.length - shown.length} more lines`)];
}

function clipped(text: string, width: number): string {
  const plain = printable(text);
  return plain.length <= width ? plain : `${plain.slice(0, Math.max(0, width - 1))}…`;
}

function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

function total<T>(all: readonly T[], of: (one: T) => number): number {
  return all.reduce((sum, one) => sum + of(one), 0);
}
