import { parseArgs } from 'node:util';

export const USAGE = 'bench rpc --url rabbit://…|memory:// [--in-flight 1,10,100,1000] [--seconds 50] [--json]';

export interface Options {
  readonly url: string;
  /** How many calls wait at the same time, one measurement for each. */
  readonly inFlight: readonly number[];
  /** How long all measurements together take, warm-up not counted. */
  readonly seconds: number;
  readonly json: boolean;
}

export class BadUsage extends Error {}

export function readOptions(args: readonly string[]): Options {
  const { values, positionals } = parse(args);
  const [scenario, ...more] = positionals;
  if (scenario === undefined) throw new BadUsage('which scenario?');
  if (scenario !== 'rpc') throw new BadUsage(`unknown scenario "${scenario}"`);
  if (more.length > 0) throw new BadUsage(`unexpected argument "${more[0]}"`);
  if (values.url === undefined) throw new BadUsage('--url is missing');
  if (!/^(rabbit|memory):\/\//i.test(values.url)) throw new BadUsage('--url must begin with rabbit:// or memory://');
  const inFlight = values['in-flight'].split(',').map(Number);
  if (!inFlight.every((many) => Number.isInteger(many) && many >= 1 && many <= 100_000))
    throw new BadUsage('--in-flight must be whole numbers from 1 to 100000, separated by commas');
  const seconds = Number(values.seconds);
  if (!(seconds > 0 && seconds <= 86_400)) throw new BadUsage('--seconds must be a number above 0');
  return { url: values.url, inFlight, seconds, json: values.json };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        url: { type: 'string' },
        'in-flight': { type: 'string', default: '1,10,100,1000' },
        seconds: { type: 'string', default: '50' },
        json: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    // Node explains at length, over several sentences; the first says what is wrong.
    throw new BadUsage(error instanceof Error ? (error.message.split('. ')[0] ?? '') : String(error));
  }
}
