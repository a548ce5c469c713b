import { PING_METHOD } from 'posthorn';
import type { Audience, Hop } from './hop-printer.ts';

/** What happened in a story, in a form that is the same each time and over each transport. */
export class Transcript implements Audience {
  readonly #member: RegExp;
  readonly #lines: string[] = [];

  /** @param pools whose members share their work, so that any of them may do it: `conductor` for conductor-1 and -2 */
  constructor(...pools: readonly string[]) {
    this.#member = new RegExp(pools.map((pool) => `(?<=\\b${pool})-\\d+`).join('|') || '(?!)', 'g');
  }

  readonly onHop = ({ who, kind, target, method, answer }: Hop): void => {
    // Who waits for a service asks until it answers.
    if (method === PING_METHOD && answer !== '"pong"') return;
    const { namespace, topic, server } = target;
    const to = `${topic}${server === undefined ? '' : `@${server}`} ${namespace === undefined ? '' : `${namespace}.`}`;
    this.#tell(`${who}: ${kind} ${to}${method}${answer === '' ? '' : ` = ${answer}`}`);
  };

  readonly onEvent = (who: string, what: string): void => {
    this.#tell(`${who}: ${what}`);
  };

  /** For a story that one service tells. */
  get inOrder(): readonly string[] {
    return this.#lines;
  }

  /** Sorted: services do not wait for each other. */
  get lines(): readonly string[] {
    return this.#lines.toSorted();
  }

  #tell(line: string): void {
    this.#lines.push(line.replace(this.#member, '').replace(/\d+(\.\d+)? ms\b/g, '… ms'));
  }
}
