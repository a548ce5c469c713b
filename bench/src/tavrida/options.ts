import { BadUsage } from '../bad-usage.ts';
import type { Settings } from '../scenario.ts';

/**
 * How requests reach A: so many a second; so many that are there before A starts; or one after the other, each over a
 * connection of its own.
 */
export type TavridaLoad =
  | { readonly kind: 'rate' | 'backlog'; readonly messages: number }
  | { readonly kind: 'per-message-connection' };

export interface TavridaOptions {
  /** `serial` is the original's synchronous engine: one message at a time. `concurrent` takes up to 100. */
  readonly engine: 'concurrent' | 'serial';
  readonly lane: 'split' | 'shared';
  readonly load: TavridaLoad;
}

export const TAVRIDA_OPTIONS: Readonly<Record<string, string>> = {
  engine: 'concurrent (default), or serial: one message at a time',
  lane: 'split (default): answers have a queue of their own; or shared',
  load: 'backlog:<messages> that are there before A starts (default 100000), rate:<messages a second>, or per-message-connection',
};

/** @throws {BadUsage} */
export function tavridaOptions({ own }: Settings): TavridaOptions {
  const { engine = 'concurrent', lane = 'split', load = 'backlog:100000' } = own;
  if (engine !== 'concurrent' && engine !== 'serial') throw new BadUsage('--engine must be concurrent or serial');
  if (lane !== 'split' && lane !== 'shared') throw new BadUsage('--lane must be split or shared');
  return { engine, lane, load: loadOf(load) };
}

function loadOf(text: string): TavridaLoad {
  const [kind, number, ...more] = text.split(':');
  if (kind === 'per-message-connection' && number === undefined) return { kind };
  const messages = Number(number);
  if ((kind === 'rate' || kind === 'backlog') && more.length === 0 && Number.isInteger(messages) && messages > 0)
    return { kind, messages };
  throw new BadUsage('--load must be rate:<messages a second>, backlog:<messages> or per-message-connection');
}
