import { clock, time } from './figures.ts';
import type { Activation, Participant, Sequence, SequenceRow } from './sequence.ts';

/** Of a letter, in the font of the labels. */
const LETTER = 6.7;
const ROW = 36;
const BOX_HEIGHT = 30;
const TOP = 16;
const CLOCK_WIDTH = 76;
const LEAST_GAP = 120;
const BAR = 10;
const HEAD = 7;

interface Palette {
  readonly ground: string;
  readonly ink: string;
  readonly faint: string;
  readonly line: string;
  readonly box: string;
  readonly bar: string;
  readonly arrow: string;
  readonly bad: string;
}

const LIGHT: Palette = {
  ...{ ground: '#ffffff', ink: '#1f2933', faint: '#616e7c', line: '#bcc6d0' },
  ...{ box: '#eef2f7', bar: '#d6e4f5', arrow: '#1d5fa8', bad: '#c81e1e' },
};
const DARK: Palette = {
  ...{ ground: '#14181d', ink: '#e4e7eb', faint: '#9aa5b1', line: '#4a5866' },
  ...{ box: '#222b35', bar: '#24405e', arrow: '#7db7f5', bad: '#ff7b72' },
};

/** Colours are written out in each rule, as not every viewer knows variables of CSS. */
function rules({ ground, ink, faint, line, box, bar, arrow, bad }: Palette): string {
  return `.ground { fill: ${ground} } text { fill: ${ink} } .clock { fill: ${faint} } .life { stroke: ${line} }
.box { fill: ${box}; stroke: ${line} } .bar { fill: ${bar}; stroke: ${line} } .label { stroke: ${ground} }
.arrow { stroke: ${arrow} } .head { fill: ${arrow} }
.failed .arrow { stroke: ${bad} } .failed .head { fill: ${bad} } .failed .label { fill: ${bad} }`;
}

const STYLE = `text { font: 11px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace }
.name, .failed .label { font-weight: 600 } .label { paint-order: stroke; stroke-width: 3px; stroke-linejoin: round }
.stranger { stroke-dasharray: 4 3 } .arrow { fill: none; stroke-width: 1.4 } .reply { stroke-dasharray: 5 4 }
${rules(LIGHT)}
@media (prefers-color-scheme: dark) {
${rules(DARK)}
}`;

/** The sequence as a picture that stands alone, for light and for dark surroundings. */
export function sequenceSvg(sequence: Sequence): string {
  const centres = centresOf(sequence);
  const width = widthOf(sequence, centres);
  const active = new Set(sequence.activations.map(({ participant }) => participant));
  const edges = centres.map((_, index) => (active.has(index) ? BAR / 2 : 1));
  const bottom = TOP + BOX_HEIGHT + (sequence.rows.length + 0.75) * ROW;
  const height = bottom + BOX_HEIGHT + TOP;
  const parts = [
    `<rect class="ground" width="${width}" height="${height}"/>`,
    ...centres.map((x) => `<line class="life" x1="${x}" y1="${TOP + BOX_HEIGHT}" x2="${x}" y2="${bottom}"/>`),
    ...barsOf(sequence.activations, centres),
    ...sequence.participants.flatMap((one, index) => [TOP, bottom].map((y) => box(one, centres[index] ?? 0, y))),
    ...sequence.rows.map((row, index) => rowOf(row, yOf(index), centres, edges)),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="trace ${escaped(sequence.traceId)}">
<style>
${STYLE}
</style>
${parts.join('\n')}
</svg>
`;
}

/** A page with the picture that needs nothing else. */
export function sequencePage(sequence: Sequence): string {
  const title = `trace ${escaped(sequence.traceId)}`;
  const tookMs = sequence.rows.at(-1)?.atMs ?? 0;
  const failures = sequence.rows.filter(({ failed }) => failed).length;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>body { font-family: system-ui, sans-serif; margin: 1.5rem } figure { margin: 0; overflow-x: auto }</style>
</head>
<body>
<h1>${title}</h1>
<p>${sequence.participants.length} participants, ${sequence.rows.length} steps in ${time(tookMs)}, ${failures} failed</p>
<figure>
${sequenceSvg(sequence)}</figure>
</body>
</html>
`;
}

function yOf(row: number): number {
  return TOP + BOX_HEIGHT + (row + 1) * ROW;
}

function box({ label, reports }: Participant, x: number, y: number): string {
  const width = boxWidth(label);
  const style = reports ? 'box' : 'box stranger';
  return `<rect class="${style}" x="${x - width / 2}" y="${y}" width="${width}" height="${BOX_HEIGHT}" rx="4"/><text class="name" x="${x}" y="${y + BOX_HEIGHT / 2 + 4}" text-anchor="middle">${escaped(label)}</text>`;
}

/** Bars over one another are set off a little. */
function barsOf(activations: readonly Activation[], centres: readonly number[]): readonly string[] {
  return activations.map(({ participant, firstRow, lastRow }, index) => {
    const depth = activations.filter(
      (other, at) =>
        other.participant === participant &&
        (other.firstRow < firstRow || (other.firstRow === firstRow && at < index)) &&
        other.lastRow >= firstRow,
    ).length;
    const x = (centres[participant] ?? 0) - BAR / 2 + depth * 4;
    const height = Math.max(ROW / 2, yOf(lastRow) - yOf(firstRow));
    return `<rect class="bar" x="${x}" y="${yOf(firstRow)}" width="${BAR}" height="${height}"/>`;
  });
}

/** @param edges how far from its lifeline an arrow to that participant ends */
function rowOf(row: SequenceRow, y: number, centres: readonly number[], edges: readonly number[]): string {
  const stamp = `<text class="clock" x="${CLOCK_WIDTH - 12}" y="${y + 4}" text-anchor="end">${clock(row.atMs)}</text>`;
  return `<g${row.failed ? ' class="failed"' : ''}>${stamp}${row.kind === 'note' ? note(row, y, centres) : arrow(row, y, centres, edges)}</g>`;
}

function note({ at, text }: Extract<SequenceRow, { kind: 'note' }>, y: number, centres: readonly number[]): string {
  return `<text class="label" x="${(centres[at] ?? 0) + BAR + 4}" y="${y + 4}">${escaped(text)}</text>`;
}

function arrow(
  row: Extract<SequenceRow, { from: number }>,
  y: number,
  centres: readonly number[],
  edges: readonly number[],
): string {
  const style = row.kind === 'reply' ? 'arrow reply' : 'arrow';
  const [from, to] = [centres[row.from] ?? 0, centres[row.to] ?? 0];
  if (from === to) {
    const x = from + BAR / 2;
    return `<path class="${style}" d="M${x} ${y - 8} h22 v14 h-${22 - HEAD}"/>${head(x, y + 6, -1)}<text class="label" x="${x + 30}" y="${y + 4}">${escaped(row.text)}</text>`;
  }
  const way = to > from ? 1 : -1;
  const tip = to - way * (edges[row.to] ?? 0);
  const middle = (from + to) / 2;
  return `<line class="${style}" x1="${from + way * (edges[row.from] ?? 0)}" y1="${y}" x2="${tip - way * HEAD}" y2="${y}"/>${head(tip, y, way)}<text class="label" x="${middle}" y="${y - 6}" text-anchor="middle">${escaped(row.text)}</text>`;
}

function head(x: number, y: number, way: 1 | -1): string {
  return `<path class="head" d="M${x} ${y} l${-way * HEAD} -4 v8 z"/>`;
}

function centresOf({ participants, rows }: Sequence): readonly number[] {
  const boxes = participants.map(({ label }) => boxWidth(label));
  const gaps = boxes.map((width, index) => Math.max(LEAST_GAP, (width + (boxes[index + 1] ?? 0)) / 2 + 24));
  for (const row of rows) {
    const isBeside = row.kind === 'note' || row.from === row.to;
    const first = row.kind === 'note' ? row.at : Math.min(row.from, row.to);
    const count = isBeside ? 1 : Math.abs(row.to - row.from);
    const width = row.text.length * LETTER + (isBeside ? 56 : 40);
    const lacking = width - gaps.slice(first, first + count).reduce((sum, gap) => sum + gap, 0);
    for (let index = first; lacking > 0 && index < first + count; index++)
      gaps[index] = (gaps[index] ?? 0) + Math.ceil(lacking / count);
  }
  let x = CLOCK_WIDTH + (boxes[0] ?? 0) / 2;
  return gaps.map((gap) => {
    const centre = Math.round(x);
    x += gap;
    return centre;
  });
}

function widthOf({ participants, rows }: Sequence, centres: readonly number[]): number {
  const last = participants.length - 1;
  const beyond = rows
    .filter((row) => (row.kind === 'note' ? row.at : Math.min(row.from, row.to)) === last)
    .map(({ text }) => text.length * LETTER + 60);
  const box = boxWidth(participants[last]?.label ?? '') / 2 + 16;
  return Math.ceil((centres[last] ?? CLOCK_WIDTH) + Math.max(box, ...beyond));
}

function boxWidth(label: string): number {
  return Math.ceil(label.length * (LETTER + 0.5)) + 24;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[letter] ?? '');
}
