import { createRequire } from 'node:module';
import { broker } from './broker.ts';
import { dlq } from './dlq.ts';
import { listen, tell } from './notify.ts';
import { type CommandLine, parseCommandLine } from './options.ts';
import { publish } from './publish.ts';
import { ask, serve } from './rpc.ts';
import { services } from './services.ts';
import { subscribe } from './subscribe.ts';
import { UsageError, usage } from './usage.ts';

interface Command {
  /** How many words it takes after its name: at least, at most. */
  readonly words: readonly [number, number];
  readonly run: (line: CommandLine) => Promise<void>;
}

const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['call', { words: [3, 4], run: (line) => ask('call', line) }],
  ['cast', { words: [3, 4], run: (line) => ask('cast', line) }],
  ['fanout', { words: [3, 4], run: (line) => ask('fanout', line) }],
  ['ping', { words: [2, 2], run: (line) => ask('ping', line) }],
  ['serve', { words: [4, 4], run: serve }],
  ['notify', { words: [2, 3], run: tell }],
  ['listen', { words: [1, 1], run: listen }],
  ['publish', { words: [3, 4], run: publish }],
  ['subscribe', { words: [3, 3], run: subscribe }],
  ['dlq', { words: [3, Number.POSITIVE_INFINITY], run: dlq }],
  ['broker', { words: [0, 0], run: broker }],
  ['services', { words: [2, 2], run: services }],
]);

/**
 * Runs one command line.
 *
 * @throws {UsageError} when it makes no sense
 * @throws what the command met
 */
export async function run(argv: readonly string[]): Promise<void> {
  const { options, words } = parseCommandLine(argv);
  if (options.help) return void process.stdout.write(usage);
  if (options.version)
    return void process.stdout.write(`${createRequire(import.meta.url)('../../package.json').version}\n`);
  const [name = '', ...rest] = words;
  const command = COMMANDS.get(name);
  if (command === undefined) throw new UsageError(name === '' ? 'which command?' : `no such command: ${name}`);
  const [least, most] = command.words;
  if (rest.length < least) throw new UsageError(`${name}: too few arguments`);
  if (rest.length > most) throw new UsageError(`${name}: too many arguments: ${rest.slice(most).join(' ')}`);
  await command.run({ options, words: rest });
}
