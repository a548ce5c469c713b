#!/usr/bin/env node
import { messageOf } from '@posthorn/core';
import { run } from './cli/command.ts';
import { printable } from './cli/print.ts';
import { UsageError } from './cli/usage.ts';

const argv = process.argv.slice(2);

try {
  await run(argv);
} catch (error) {
  process.exitCode = error instanceof UsageError ? 2 : 1;
  process.stderr.write(argv.includes('--json') ? `${JSON.stringify({ error: summaryOf(error) })}\n` : textOf(error));
}

/** For programs. */
function summaryOf(error: unknown): Readonly<Record<string, unknown>> {
  const code =
    error instanceof UsageError ? 'USAGE' : error instanceof Error && 'code' in error ? error.code : undefined;
  const type = error instanceof Error && 'type' in error ? error.type : undefined;
  return { code, type, message: messageOf(error) };
}

/** For people. */
function textOf(error: unknown): string {
  if (!(error instanceof UsageError)) return `posthorn: ${oneLine(error)}\n`;
  const { usage = 'posthorn <command>' } = error;
  return `posthorn: ${error.message}\n\nusage: ${usage}\n       ${usage.split(' ', 2).join(' ')} --help tells more\n`.replace(
    'posthorn <command> --help',
    'posthorn --help',
  );
}

/** The code, for programs, and the text, for people: `TIMEOUT: call …`. */
function oneLine(error: unknown): string {
  const { code, type, message } = summaryOf(error);
  const text = `${code === undefined ? '' : `${code}: `}${type === undefined ? '' : `${type}: `}${message}`;
  return printable(text.replace(/\s*\n\s*/g, ' '));
}
