import { stderr } from 'node:process';
import { painted } from './print.ts';

const WIDTH = 30;
const EVERY_MS = 100;

/**
 * Tells how far long work is, on standard error: a bar that moves on a terminal, elsewhere a line for each step. The length
 * is known in advance, in milliseconds.
 */
export class Progress {
  readonly #wholeMs: number;
  readonly #began: number = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #step = '';

  constructor(wholeMs: number) {
    this.#wholeMs = wholeMs;
  }

  step(text: string): void {
    this.#step = text;
    if (!stderr.isTTY) return void stderr.write(`${text}\n`);
    this.#timer ??= setInterval(() => this.#draw(), EVERY_MS).unref();
    this.#draw();
  }

  /** Takes the bar away, for lines that stay; it comes back with the next step. */
  clear(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (stderr.isTTY) stderr.write('\r\u{1B}[K');
  }

  #draw(): void {
    const passedMs = performance.now() - this.#began;
    const filled = Math.min(WIDTH, Math.floor((passedMs / this.#wholeMs) * WIDTH));
    const bar = painted('green', '█'.repeat(filled), stderr) + painted('dim', '░'.repeat(WIDTH - filled), stderr);
    const left = Math.max(0, Math.ceil((this.#wholeMs - passedMs) / 1_000));
    stderr.write(`\r\u{1B}[K${bar} ${left} s  ${this.#step}`);
  }
}
