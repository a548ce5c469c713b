import { stdin, stdout } from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { REPORTS } from '@posthorn/telemetry';
import { CONNECTING, type Command } from './help.ts';
import { Load, type Snapshot } from './load.ts';
import { open, stopped } from './open.ts';
import type { CommandLine, Options } from './options.ts';
import { painted, printed } from './print.ts';
import { onReports } from './telemetry-feed.ts';
import { SORTS, type Sort, screenOf, sorted } from './top-screen.ts';
import { UsageError } from './usage.ts';

/** Services report every second; so a second holds one report of each, and some more time the slowest. */
const EVERY_MS = 1_000;
const FIRST_MS = 1_500;
/** Where there is no terminal. */
const COLUMNS = 120;
const ROWS = 24;
/** Another screen, without a cursor, on which long lines are cut. */
const ALTERNATE_SCREEN = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const NORMAL_SCREEN = '\x1b[?7h\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const INTERRUPT = '\x03';

export const top: Command = {
  name: 'top',
  synopsis: '<url>',
  words: [1, 1],
  summary: 'shows live what services send and process, how fast, and what fails',
  about:
    'Shows the processes that report, and by topic and method their rates, latencies, failures by code and work in flight, every second. On a terminal, s changes the order and q quits; else it prints the lines once in a second, until SIGINT or SIGTERM. With --json each second is one line.\n\nServices report when their code calls reportTelemetry(transport), or when they run as posthorn serve --telemetry. Where nobody watches, the broker forgets the reports at once.',
  options: ['once', 'sort', ...CONNECTING],
  examples: ['posthorn top rabbit://localhost', 'posthorn top rabbit://localhost --once --json --sort errors'],
  run: watch,
};

async function watch({ words: [url = ''], options }: CommandLine): Promise<void> {
  const sort = sortOf(options);
  const transport = await open(url, options);
  try {
    const load = new Load();
    await using feed = await onReports(transport, REPORTS, (report) => load.add(report, performance.now()));
    const host = transport.status.state === 'connected' ? ` ${transport.status.host}` : '';
    const view = { load, title: `${transport.name}${host}`, sort };
    const isLive = stdout.isTTY && stdin.isTTY && options.json !== true && options.once !== true;
    const lost = feed.ended.then((reason) => {
      if (reason !== undefined) throw reason;
    });
    await Promise.race([isLive ? live(view) : lines(view, options), lost]);
  } finally {
    await transport.close();
  }
}

interface View {
  readonly load: Load;
  readonly title: string;
  readonly sort: Sort;
}

/** One snapshot each second, or one alone. */
async function lines({ load, title, sort }: View, { json, once }: Options): Promise<void> {
  const end = new AbortController();
  void stopped().then(() => end.abort());
  const signal = end.signal;
  for (let waitMs = FIRST_MS; !signal.aborted; waitMs = EVERY_MS) {
    await pause(waitMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const snapshot = load.snapshot(performance.now());
    const { columns = COLUMNS } = stdout;
    const screen = { title, columns, rows: Number.POSITIVE_INFINITY, sort, paint: painted };
    const text = json === true ? jsonOf(snapshot, sort) : `${screenOf(snapshot, screen).join('\n')}\n`;
    await printed(text);
    if (once === true) return;
  }
}

/** Draws on the terminal until somebody presses q. What was there before comes back in the end. */
async function live({ load, title, sort: first }: View): Promise<void> {
  let sort = first;
  const draw = (): void => {
    const keys = painted('dim', `sorted by ${sort}   s another order   q quit`);
    // A terminal may not know its size, and say 0.
    const [columns, rows] = [stdout.columns || COLUMNS, (stdout.rows || ROWS) - 2];
    const shown = screenOf(load.snapshot(performance.now()), { title, columns, rows, sort, paint: painted });
    stdout.write(`${HOME}${[...shown, '', keys].map((line) => `${line}${CLEAR_LINE}`).join('\r\n')}${CLEAR_BELOW}`);
  };
  const quit = new Promise<void>((resolve) => {
    stdin.on('data', (data: Buffer) => {
      for (const key of data.toString()) {
        if (key === 'q' || key === INTERRUPT) return resolve();
        if (key === 's') sort = SORTS[(SORTS.indexOf(sort) + 1) % SORTS.length] ?? 'rate';
      }
      draw();
    });
    stdin.on('end', resolve);
  });
  const restore = (): void => void stdout.write(NORMAL_SCREEN);
  process.once('exit', restore);
  stdin.setRawMode(true);
  stdout.write(ALTERNATE_SCREEN);
  stdout.on('resize', draw);
  draw();
  const timer = setInterval(draw, EVERY_MS);
  try {
    await Promise.race([quit, stopped()]);
  } finally {
    clearInterval(timer);
    stdout.off('resize', draw);
    stdin.removeAllListeners('data').removeAllListeners('end');
    stdin.setRawMode(false);
    stdin.pause();
    process.off('exit', restore);
    restore();
  }
}

function jsonOf({ processes, places }: Snapshot, sort: Sort): string {
  const rounded = (_: string, value: unknown): unknown =>
    typeof value === 'number' ? Number(value.toFixed(3)) : value;
  return JSON.stringify({ time: new Date(), processes, places: sorted(places, sort) }, rounded);
}

function sortOf({ sort = 'rate' }: Options): Sort {
  const known = SORTS.find((one) => one === sort);
  if (known === undefined) throw new UsageError(`--sort: "${sort}" is none of ${SORTS.join(', ')}`);
  return known;
}
