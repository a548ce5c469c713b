import type { Cell, Row } from './scenario.ts';

const WIDTH = 760;
const HEIGHT = 440;
const LEFT = 70;
const RIGHT = 20;
const TOP = 40;
const BOTTOM = 50;

/** A line of the plot: the columns it takes its points from. */
interface Line {
  readonly name: string;
  readonly rate: string;
  readonly latency: string;
  readonly style: string;
}

const LINES: readonly Line[] = [
  { name: 'Posthorn p50', rate: 'rate', latency: 'p50Ms', style: 'stroke="#0b62a4"' },
  { name: 'Posthorn p99', rate: 'rate', latency: 'p99Ms', style: 'stroke="#0b62a4" stroke-dasharray="6 4"' },
  { name: 'twin p50', rate: 'twinRate', latency: 'twinP50Ms', style: 'stroke="#c0501a"' },
];

interface Point {
  readonly rate: number;
  readonly latencyMs: number;
  readonly load: Cell;
}

/** Latency against load as SVG: a point for each number in flight, milliseconds on a logarithmic scale. */
export function plot(rows: readonly Row[]): string {
  const lines = LINES.map((line) => ({ ...line, points: pointsOf(rows, line) })).filter(
    ({ points }) => points.length > 0,
  );
  const all = lines.flatMap(({ points }) => points);
  const most = Math.max(1, ...all.map(({ rate }) => rate));
  const low = Math.floor(Math.log10(Math.min(1, ...all.map(({ latencyMs }) => latencyMs))));
  const high = Math.ceil(Math.log10(Math.max(1, ...all.map(({ latencyMs }) => latencyMs))));
  const x = (rate: number): number => round(LEFT + (rate / most) * (WIDTH - LEFT - RIGHT));
  const span = Math.max(1, high - low);
  const y = (ms: number): number => round(HEIGHT - BOTTOM - ((Math.log10(ms) - low) / span) * (HEIGHT - TOP - BOTTOM));
  const [{ scenario = '', transport = '' } = {}] = rows;
  const title = `${safe(scenario)} over ${safe(transport)}: latency against load`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<title>${title}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(WIDTH / 2, 20, title, 'middle'),
    ...Array.from({ length: span + 1 }, (_, step) => 10 ** (low + step)).flatMap((ms) => [
      `<path d="M${LEFT} ${y(ms)}H${WIDTH - RIGHT}" stroke="#ddd"/>`,
      text(LEFT - 6, y(ms) + 4, `${ms} ms`, 'end'),
    ]),
    ...[0, 0.25, 0.5, 0.75, 1].map((part) =>
      text(x(part * most), HEIGHT - BOTTOM + 18, Math.round(part * most).toLocaleString('en'), 'middle'),
    ),
    text(WIDTH / 2, HEIGHT - 10, 'a second', 'middle'),
    ...lines.flatMap(({ name, style, points }, index) => [
      `<polyline fill="none" stroke-width="2" ${style} points="${points.map((p) => `${x(p.rate)},${y(p.latencyMs)}`).join(' ')}"/>`,
      ...points.map(
        (p) =>
          `<circle cx="${x(p.rate)}" cy="${y(p.latencyMs)}" r="3" fill="none" ${style}><title>${safe(String(p.load))} in flight</title></circle>`,
      ),
      `<path fill="none" stroke-width="2" ${style} d="M${LEFT + 10} ${TOP + 10 + index * 18}h24"/>`,
      text(LEFT + 40, TOP + 14 + index * 18, name, 'start'),
    ]),
    '</svg>',
    '',
  ].join('\n');
}

function pointsOf(rows: readonly Row[], { rate, latency }: Line): Point[] {
  return rows.flatMap((row) => {
    const [x, y] = [row[rate], row[latency]];
    return typeof x === 'number' && typeof y === 'number' && y > 0
      ? [{ rate: x, latencyMs: y, load: row['inFlight'] ?? null }]
      : [];
  });
}

function text(x: number, y: number, content: string, anchor: string): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}">${content}</text>`;
}

function safe(content: string): string {
  return content.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
