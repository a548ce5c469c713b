import { stderr, stdout } from 'node:process';
import { styleText } from 'node:util';
import { MessagingError, type OutgoingCall, parseTransportUrl, type Target } from 'posthorn';

/** One message sent, once it is done. */
export interface Hop {
  readonly who: string;
  readonly kind: OutgoingCall['kind'] | 'fanout';
  readonly target: Target;
  readonly method: string;
  readonly ms: number;
  /** The result as JSON, or an error code; empty for casts. */
  readonly answer: string;
}

/** Who is told what happens. */
export interface Audience {
  /** Told of each hop when it is done. */
  readonly onHop: (hop: Hop) => void;
  /** Told of what happens inside a service. */
  readonly onEvent: (who: string, what: string) => void;
}

/** Runs a story as a program: prints it as it happens, and fails with the process. */
export async function narrate(
  title: string,
  story: (audience: Audience, onUrl: (url: string) => void) => Promise<void>,
): Promise<void> {
  const printer = new HopPrinter(stdout);
  try {
    const audience: Audience = {
      onHop: (hop) => printer.hop(hop),
      onEvent: (who, what) => printer.event(who, what),
    };
    await story(audience, (url) => printer.title(title, url));
    printer.summary();
  } catch (error) {
    const code = error instanceof MessagingError ? `${error.code}: ` : '';
    stderr.write(`failed: ${code}${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  }
}

/** Writes the story as a table that is readable at a glance. */
export class HopPrinter {
  readonly #out: NodeJS.WriteStream;
  #hops = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  title(text: string, url: string): void {
    this.#line(`${this.#style('bold', text)}, over ${parseTransportUrl(url)}\n`);
  }

  hop({ who, kind, target, method, ms, answer }: Hop): void {
    this.#hops++;
    const to = `${target.topic}${target.server === undefined ? '' : `@${target.server}`}${target.fanout ? ' (all)' : ''}`;
    const name = target.namespace === undefined ? method : `${target.namespace}.${method}`;
    const took = `${ms.toFixed(1)} ms`.padStart(9);
    const arrow = this.#style(kind === 'call' ? 'cyan' : 'green', kind.toUpperCase().padEnd(6));
    this.#line(`  ${who.padEnd(12)} ${arrow} → ${to.padEnd(14)} ${name.padEnd(32)} ${took}  ${answer}`);
  }

  event(who: string, what: string): void {
    this.#line(this.#style('dim', `  ${who.padEnd(12)}        · ${what}`));
  }

  summary(): void {
    const sent = this.#hops === 0 ? '' : `${this.#hops} messages sent; `;
    this.#line(`\n${sent}every service has shut down.`);
  }

  #style(format: 'bold' | 'dim' | 'cyan' | 'green', text: string): string {
    return this.#out.isTTY ? styleText(format, text) : text;
  }

  #line(text: string): void {
    this.#out.write(`${text}\n`);
  }
}
