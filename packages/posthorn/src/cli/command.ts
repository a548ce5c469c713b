import { createRequire } from 'node:module';
import { bench } from './bench.ts';
import { broker } from './broker.ts';
import { contract } from './contract.ts';
import { dlq } from './dlq.ts';
import { doctor } from './doctor.ts';
import { type Command, overview, page, synopsisOf } from './help.ts';
import { nearest } from './nearest.ts';
import { listen, notify } from './notify.ts';
import { type OptionName, parseCommandLine } from './options.ts';
import { publish } from './publish.ts';
import { call, cast, fanout, ping, serve } from './rpc.ts';
import { services } from './services.ts';
import { subscribe } from './subscribe.ts';
import { top } from './top.ts';
import { topology } from './topology.ts';
import { trace } from './trace.ts';
import { UsageError } from './usage.ts';

/** Every command there is, as `posthorn --help` shows them. */
const COMMANDS: readonly (readonly [title: string, commands: readonly Command[]])[] = [
  ['Call and serve', [call, cast, fanout, ping, serve, services]],
  ['Notifications and messages', [notify, listen, publish, subscribe, dlq]],
  ['Watch', [top, trace]],
  ['Look at a broker', [doctor, topology, bench]],
  ['Develop', [broker, contract]],
];

const EVERYWHERE: readonly OptionName[] = ['json', 'help', 'version'];

/**
 * Runs one command line.
 *
 * @throws {UsageError} when it makes no sense
 * @throws what the command met
 */
export async function run(argv: readonly string[]): Promise<void> {
  const { options, words } = parseCommandLine(argv);
  if (options.version)
    return void process.stdout.write(`${createRequire(import.meta.url)('../../package.json').version}\n`);
  const [name, ...rest] = words;
  if (name === undefined) {
    if (options.help) return void process.stdout.write(overview(COMMANDS));
    throw new UsageError('which command?');
  }
  const command = commandOf(name);
  if (options.help) return void process.stdout.write(page(command));
  try {
    check(command, rest, Object.keys(options));
    await command.run({ options, words: rest });
  } catch (error) {
    throw error instanceof UsageError ? new UsageError(error.message, synopsisOf(command)) : error;
  }
}

function commandOf(name: string): Command {
  const all = COMMANDS.flatMap(([, commands]) => commands);
  const command = all.find((one) => one.name === name);
  if (command !== undefined) return command;
  const meant = nearest(
    name,
    all.map((one) => one.name),
  );
  throw new UsageError(`no such command: ${name}${meant === undefined ? '' : `; did you mean ${meant}?`}`);
}

function check({ name, words, options }: Command, given: readonly string[], named: readonly string[]): void {
  const [least, most] = words;
  if (given.length < least) throw new UsageError(`${name}: too few arguments`);
  if (given.length > most) throw new UsageError(`${name}: too many arguments: ${given.slice(most).join(' ')}`);
  const known: readonly string[] = [
    ...EVERYWHERE,
    ...options.map((entry) => (typeof entry === 'string' ? entry : entry[0])),
  ];
  const strange = named.find((option) => !known.includes(option));
  if (strange !== undefined) throw new UsageError(`${name} knows no --${strange}`);
}
