import { clock } from './figures.ts';
import type { Style } from './print.ts';
import type { Sequence, SequenceRow } from './sequence.ts';

const CLOCK_WIDTH = 12;
const LEAST_GAP = 8;
/** Labels are shortened, from here down, until the picture fits. */
const LONGEST_LABELS = [64, 44, 32, 24, 16] as const;

export interface TextOptions {
  /** Columns of the terminal. */
  readonly columns: number;
  readonly paint: (style: Style, text: string) => string;
}

/** The sequence for a terminal: a column for each participant, a line for each row. */
export function sequenceText(sequence: Sequence, { columns, paint }: TextOptions): string {
  const longest = LONGEST_LABELS.find((label) => widthOf(sequence, label) <= columns) ?? LONGEST_LABELS[4];
  const centres = centresOf(sequence, longest);
  const names = sequence.participants.map(({ label, reports }) => shortened(reports ? label : `(${label})`, longest));
  const heads = Array.from({ length: CLOCK_WIDTH + (centres.at(-1) ?? 0) }, () => ' ');
  for (const [index, name] of names.entries()) put(heads, startOf(centres, index, name), name);
  const lines = sequence.rows.map((row) => line(row, centres, longest, paint));
  const lifelines = blank(centres).join('').trimEnd();
  return [paint('bold', heads.join('').trimEnd()), lifelines, ...lines, lifelines].join('\n');
}

function startOf(centres: readonly number[], index: number, text: string): number {
  return Math.max(0, (centres[index] ?? 0) - Math.floor(text.length / 2));
}

function line(row: SequenceRow, centres: readonly number[], longest: number, paint: TextOptions['paint']): string {
  const cells = blank(centres);
  put(cells, 0, clock(row.atMs).padStart(CLOCK_WIDTH - 2));
  const [first, last] =
    row.kind === 'note' || row.from === row.to
      ? beside(row, cells, centres, longest)
      : arrow(row, cells, centres, longest);
  const [before, body, after] = [cells.slice(0, first), cells.slice(first, last), cells.slice(last)].map((part) =>
    part.join(''),
  );
  const style = row.failed ? 'red' : row.kind === 'reply' ? 'dim' : undefined;
  return `${before}${style === undefined ? body : paint(style, body ?? '')}${after}`.trimEnd();
}

/** Draws between two lifelines. Returns where it begins and ends. */
function arrow(
  row: Extract<SequenceRow, { from: number }>,
  cells: string[],
  centres: readonly number[],
  longest: number,
): readonly [number, number] {
  const [from, to] = [centres[row.from] ?? 0, centres[row.to] ?? 0];
  const [left, right] = [Math.min(from, to), Math.max(from, to)];
  const dash = row.kind === 'reply' ? '┄' : '─';
  for (let index = left + 1; index < right; index++) cells[index] = cells[index] === '│' && dash === '─' ? '┼' : dash;
  cells[from] = from < to ? '├' : '┤';
  cells[from < to ? to - 1 : to + 1] = from < to ? '▶' : '◀';
  const label = ` ${shortened(row.text, Math.min(longest, right - left - 6))} `;
  // The head of the arrow takes a place more on its side.
  put(cells, Math.floor((left + right + (from < to ? 0 : 2) - label.length) / 2), label);
  return [left, right + 1];
}

/** Writes to the right of a lifeline. */
function beside(
  row: SequenceRow,
  cells: string[],
  centres: readonly number[],
  longest: number,
): readonly [number, number] {
  const at = (centres[row.kind === 'note' ? row.at : row.from] ?? 0) + 2;
  const text = shortened(row.kind === 'note' ? row.text : `↺ ${row.text}`, longest);
  put(cells, at, text);
  return [at, at + text.length];
}

function centresOf({ participants, rows }: Sequence, longest: number): readonly number[] {
  const labels = participants.map(({ label, reports }) => Math.min(longest, label.length + (reports ? 0 : 2)));
  const gaps = labels.map((label, index) => Math.max(LEAST_GAP, Math.ceil((label + (labels[index + 1] ?? 0)) / 2) + 3));
  for (const row of rows) {
    const length = Math.min(longest, row.text.length);
    if (row.kind === 'note' || row.from === row.to) widen(gaps, row.kind === 'note' ? row.at : row.from, 1, length + 5);
    else widen(gaps, Math.min(row.from, row.to), Math.abs(row.to - row.from), length + 6);
  }
  const centres: number[] = [];
  let at = CLOCK_WIDTH + Math.ceil((labels[0] ?? 0) / 2);
  for (const gap of gaps) {
    centres.push(at);
    at += gap;
  }
  return centres;
}

/** Sees to it that so many gaps from the first on have the width together. */
function widen(gaps: number[], first: number, count: number, width: number): void {
  const lacking = width - gaps.slice(first, first + count).reduce((sum, gap) => sum + gap, 0);
  for (let index = first; lacking > 0 && index < first + count; index++)
    gaps[index] = (gaps[index] ?? 0) + Math.ceil(lacking / count);
}

function widthOf(sequence: Sequence, longest: number): number {
  const last = sequence.participants.length - 1;
  const beyond = sequence.rows.map((row) => {
    if (row.kind === 'note') return row.at === last ? Math.min(longest, row.text.length) + 3 : 0;
    return row.from === last && row.to === last ? Math.min(longest, row.text.length) + 5 : 0;
  });
  const label = Math.min(longest, sequence.participants[last]?.label.length ?? 0);
  return (centresOf(sequence, longest).at(-1) ?? 0) + Math.max(Math.ceil(label / 2) + 2, ...beyond);
}

function blank(centres: readonly number[]): string[] {
  const cells = Array.from({ length: (centres.at(-1) ?? 0) + 1 }, () => ' ');
  for (const centre of centres) cells[centre] = '│';
  return cells;
}

function put(cells: string[], at: number, text: string): void {
  for (const [index, letter] of [...text].entries()) {
    while (cells.length <= at + index) cells.push(' ');
    cells[at + index] = letter;
  }
}

function shortened(text: string, longest: number): string {
  return text.length <= longest ? text : `${text.slice(0, Math.max(0, longest - 1))}…`;
}
