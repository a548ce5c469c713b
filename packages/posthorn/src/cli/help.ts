import { type CommandLine, OPTIONS, type Option, type OptionName } from './options.ts';

/**
 * A command, as it is declared in the file that runs it: what help tells of it, and what it does.
 *
 * ```ts
 * export const ping: Command = {
 *   name: 'ping',
 *   synopsis: '<url> <topic>[@server]',
 *   words: [2, 2],
 *   summary: 'asks a server whether it is there',
 *   about: 'Calls the method that every server answers, and prints how long that took.',
 *   options: ['exchange', ['timeout', 'for the answer; default 5s']],
 *   examples: ['posthorn ping rabbit://localhost compute'],
 *   run: async ({ words, options }) => { … },
 * };
 * ```
 *
 * It is registered by one line in `COMMANDS` (command.ts). Its options are entries of `OPTIONS` (options.ts); `--json` and
 * `--help` need not be listed. What it prints goes through `told` (print.ts), which knows `--json`; a throw ends it with
 * exit code 1, a `UsageError` with 2.
 */
export interface Command {
  readonly name: string;
  /** What comes after its name. */
  readonly synopsis: string;
  /** How many words that are: at least, at most. */
  readonly words: readonly [number, number];
  /** A line for the list of commands: what it does, in the third person. */
  readonly summary: string;
  /** What it does, what it prints and where, and how it ends. Paragraphs are parted by empty lines. */
  readonly about: string;
  /** Those that it understands, each perhaps with words of its own for help. */
  readonly options: readonly (OptionName | readonly [OptionName, string])[];
  readonly examples: readonly [string, ...string[]];
  /** What its exit codes mean besides 0, 1 (failed) and 2 (a command line that makes no sense). */
  readonly exits?: Readonly<Record<number, string>>;
  readonly run: (line: CommandLine) => Promise<void>;
}

/** The options of every command that connects. */
export const CONNECTING: readonly OptionName[] = ['wire', 'driver'];

const WIDTH = 100;
const EXITS = { 0: 'done', 1: 'failed; standard error says why', 2: 'the command line makes no sense' };

export function synopsisOf({ name, synopsis }: Pick<Command, 'name' | 'synopsis'>): string {
  return `posthorn ${name} ${synopsis}`.trimEnd();
}

/** `posthorn --help`. */
export function overview(groups: readonly (readonly [title: string, commands: readonly Command[]])[]): string {
  const width = Math.max(...groups.flatMap(([, commands]) => commands.map(({ name }) => name.length)));
  const lists = groups.map(([title, commands]) => {
    const lines = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`);
    return `\n${title}\n${lines.join('')}`;
  });
  return `usage: posthorn <command> … [options]
       posthorn <command> --help       what it does, its options, an example
${lists.join('')}
url
  rabbit://user:password@host:5672/vhost    RabbitMQ by AMQP 0-9-1; rabbits:// over TLS
  amqp1://user:password@host:5672           AMQP 1.0: RabbitMQ 4, ActiveMQ, Artemis, routers, posthorn broker; amqp1s://
  memory://                                 inside this process
  Several hosts: rabbit://user:password@one,two,three/vhost. Options of the transport: ?heartbeatMs=10000&ca=ca.pem

Every command knows --json (lines of JSON for programs, errors too). Colours are for terminals; NO_COLOR=1 turns them off.
`;
}

/** `posthorn <command> --help`. */
export function page(command: Command): string {
  const exits = Object.entries({ ...EXITS, ...command.exits });
  return `usage: ${synopsisOf(command)} [options]

${paragraphs(command.about)}

options
${optionLines([...command.options, 'json', 'help'])}
example
${command.examples.map((example) => `  ${example}\n`).join('')}
exit code
${exits.map(([code, meaning]) => `  ${code}  ${meaning}\n`).join('')}`;
}

function paragraphs(text: string): string {
  return text
    .split('\n\n')
    .map((paragraph) => filled(paragraph))
    .join('\n\n');
}

function item(line: string): string {
  const [, name = '', rest = ''] = /^( +\S+(?: \S+)* {2,})(.*)$/.exec(line) ?? [];
  return name === '' || rest === '' ? line : `${name}${filled(rest, ' '.repeat(name.length))}`;
}

function optionLines(named: Command['options']): string {
  const rows = named.map((entry): readonly [string, string] => {
    const [name, own] = typeof entry === 'string' ? [entry, undefined] : entry;
    const { value, help }: Option = OPTIONS[name];
    return [`--${name}${value === undefined ? '' : ` ${value}`}`, own ?? help];
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  const indent = ' '.repeat(width + 4);
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${filled(right, indent)}\n`).join('');
}

/** The text in lines that are not too long. Lines that are indented stay apart, and what follows a name in them, below it. */
function filled(text: string, indent = ''): string {
  if (/^ /m.test(text)) return text.split('\n').map(item).join('\n');
  const lines = [''];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1) ?? '';
    if (last !== '' && indent.length + last.length + 1 + word.length > WIDTH) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines.join(`\n${indent}`);
}
