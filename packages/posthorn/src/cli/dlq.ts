import { isUtf8 } from 'node:buffer';
import { stderr } from 'node:process';
import { type DeadLetter, DeadLetters, describe } from '@posthorn/core';
import { CONNECTING, type Command } from './help.ts';
import { open } from './open.ts';
import type { CommandLine, Options } from './options.ts';
import { printable, printed, told } from './print.ts';
import { UsageError } from './usage.ts';

const VERBS = ['list', 'show', 'redrive'] as const;

export const dlq: Command = {
  name: 'dlq',
  synopsis: 'list|show|redrive <url> <group> [id…]',
  words: [3, Number.POSITIVE_INFINITY],
  summary: 'lists, shows or sends back the dead letters of a group or mailbox',
  about: `Dead letters are messages whose work failed for good. They stay until they are sent back; without ids, all are meant.

  list      a line for each: id, attempts, where it was sent at first, why it is dead
  show      headers and content besides
  redrive   sends them back to their queue, to be tried anew, and prints the ids of those that went, also where a later one is refused`,
  options: [...CONNECTING],
  examples: ['posthorn dlq list rabbit://localhost metering', 'posthorn dlq redrive rabbit://localhost metering 1f0c…'],
  run: deadLetters,
};

/** `dlq list`, `dlq show` and `dlq redrive`: the dead letters of a group or mailbox, all or those with the ids. */
async function deadLetters({ words, options }: CommandLine): Promise<void> {
  const [given, url = '', group = '', ...ids] = words;
  const verb = VERBS.find((one) => one === given);
  if (verb === undefined) throw new UsageError(`dlq: "${given}" is none of ${VERBS.join(', ')}`);
  const wanted = ids.length === 0 ? undefined : ids;
  const transport = await open(url, options);
  try {
    const letters = new DeadLetters(transport, group);
    const found =
      verb === 'redrive'
        ? await redrive(letters, wanted, options)
        : await read(letters, verb, wanted, options.json === true);
    const missing = ids.filter((id) => !found.includes(id));
    if (missing.length > 0) throw new Error(`not among the dead letters of ${group}: ${missing.join(', ')}`);
    if (found.length === 0) stderr.write(`no dead letters of ${group}\n`);
  } finally {
    await transport.close();
  }
}

type Ids = readonly (string | undefined)[];

/** Prints the id of each that went, also where a later one is refused. */
async function redrive(letters: DeadLetters, wanted: readonly string[] | undefined, options: Options): Promise<Ids> {
  const lines: Promise<void>[] = [];
  try {
    return await letters.redrive(wanted, (id) => void lines.push(told(options, { id }, printable(id ?? '-'))));
  } catch (error) {
    if (lines.length > 0 && options.json !== true) stderr.write(`${lines.length} went, then one was refused\n`);
    throw error;
  } finally {
    await Promise.all(lines);
  }
}

async function read(
  letters: DeadLetters,
  verb: 'list' | 'show',
  wanted: readonly string[] | undefined,
  asJson: boolean,
): Promise<Ids> {
  const found = (await letters.list()).filter(({ id }) => wanted === undefined || wanted.includes(id ?? ''));
  const text = verb === 'list' ? lineOf : pageOf;
  for (const letter of found)
    await printed(
      asJson ? JSON.stringify({ ...summaryOf(letter), ...(verb === 'show' && contentOf(letter)) }) : text(letter),
    );
  return found.map(({ id }) => id);
}

function summaryOf({ id, attempts, reason, origin, home }: DeadLetter): Readonly<Record<string, unknown>> {
  return { id, attempts, reason, origin, home: describe(home) };
}

function contentOf({ message: { contentType, headers = {}, body } }: DeadLetter): Readonly<Record<string, unknown>> {
  const bytes = Buffer.from(body);
  return { contentType, headers, ...(isUtf8(bytes) ? { body: `${bytes}` } : { bodyBase64: bytes.toString('base64') }) };
}

function lineOf({ id, attempts, reason, origin }: DeadLetter): string {
  return printable(`${id ?? '-'}  ${attempts}×  ${origin ?? '-'}  ${reason}`);
}

/** The summary and the content, a line for each part, and an empty one in the end. */
function pageOf(letter: DeadLetter): string {
  const { headers, ...content } = contentOf(letter);
  const parts = Object.entries({ ...summaryOf(letter), ...Object(headers), ...content });
  const text = parts.map(([name, value]) => `${name.padEnd(16)} ${value ?? '-'}\n`).join('');
  return text.split('\n').map(printable).join('\n');
}
