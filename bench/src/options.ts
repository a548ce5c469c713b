import { parseArgs } from 'node:util';
import { BadUsage } from './bad-usage.ts';
import { numbers } from './numbers.ts';
import type { Scenario, Settings } from './scenario.ts';
import { rivals } from './scenarios/rivals.ts';

const SLICES = 5;
const COMMON = {
  url: { type: 'string' },
  'in-flight': { type: 'string' },
  seconds: { type: 'string', default: '50' },
  messages: { type: 'string' },
  slices: { type: 'string', default: String(SLICES) },
  rivals: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  svg: { type: 'string' },
} as const;

/** What a user asks for. */
export interface Options extends Settings {
  /** To be run one after the other. */
  readonly scenarios: readonly Scenario[];
  readonly json: boolean;
  /** Where to write the plot of latency against load. */
  readonly svg: string | undefined;
}

/** One line. */
export function usageOf(scenarios: readonly Scenario[]): string {
  const [first, ...others] = scenarios.map(({ name }) => name);
  return (
    `bench ${first} --url rabbit://…|amqp1://…|memory:// [--in-flight 1,10,100,1000] [--seconds 50] [--messages n] ` +
    `[--slices ${SLICES}] [--rivals] [--json] [--svg file]; instead of ${first}: ${others.join(', ')}; ` +
    'or bench tables page.md results.jsonl…'
  );
}

/** @throws {BadUsage} */
export function readOptions(args: readonly string[], scenarios: readonly Scenario[]): Options {
  const [scenario, url, values] = parse(args, scenarios);
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined || !scenario.schemes.includes(scheme))
    throw new BadUsage(`--url must begin with ${scenario.schemes.map((one) => `${one}://`).join(' or ')}`);
  const withRivals = values['rivals'] === true;
  if (withRivals && (scenario.name !== 'rpc' || !rivals.schemes.includes(scheme)))
    throw new BadUsage('--rivals is for rpc over rabbit://');
  const seconds = Number(values['seconds']);
  if (!(seconds > 0 && seconds <= 86_400)) throw new BadUsage('--seconds must be a number above 0');
  const [slices = SLICES] = numbers('--slices', textOf(values['slices']) ?? '');
  const inFlight = textOf(values['in-flight']);
  const messages = textOf(values['messages']);
  return {
    scenarios: withRivals ? [scenario, rivals] : [scenario],
    url,
    inFlight: inFlight === undefined ? undefined : numbers('--in-flight', inFlight),
    seconds,
    messages: messages === undefined ? undefined : numbers('--messages', messages)[0],
    slices,
    own: Object.fromEntries(Object.keys(scenario.options ?? {}).map((name) => [name, textOf(values[name])])),
    json: values['json'] === true,
    svg: textOf(values['svg']),
  };
}

type Values = Readonly<Record<string, unknown>>;

function parse(args: readonly string[], scenarios: readonly Scenario[]): readonly [Scenario, string, Values] {
  const named = scenarios.find(({ name }) => args.includes(name));
  const own = Object.keys(named?.options ?? {}).map((name) => [name, { type: 'string' }] as const);
  const { values, positionals } = parsed(args, Object.fromEntries(own));
  const [first, ...more] = positionals;
  if (first === undefined) throw new BadUsage('which scenario?');
  const scenario = scenarios.find(({ name }) => name === first);
  if (scenario === undefined) throw new BadUsage(`unknown scenario "${first}"`);
  if (more.length > 0) throw new BadUsage(`unexpected argument "${more[0]}"`);
  if (values['url'] === undefined) throw new BadUsage('--url is missing');
  return [scenario, String(values['url']), values];
}

function parsed(args: readonly string[], own: Readonly<Record<string, { readonly type: 'string' }>>) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { ...COMMON, ...own },
    });
    return { values: { ...values } as Values, positionals };
  } catch (error) {
    // Node explains at length, over several sentences; the first says what is wrong.
    throw new BadUsage(error instanceof Error ? (error.message.split('. ')[0] ?? '') : String(error));
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
