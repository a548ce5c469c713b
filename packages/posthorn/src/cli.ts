#!/usr/bin/env node
import { messageOf } from '@posthorn/core';
import { run } from './cli/command.ts';
import { UsageError, usage } from './cli/usage.ts';

try {
  await run(process.argv.slice(2));
} catch (error) {
  if (error instanceof UsageError) {
    process.stderr.write(`posthorn: ${messageOf(error)}\n\n${usage}`);
    process.exitCode = 2;
  } else {
    process.stderr.write(`posthorn: ${oneLine(error)}\n`);
    process.exitCode = 1;
  }
}

/** The code, for programs, and the text, for people: `TIMEOUT: call …`. */
function oneLine(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? `${error.code}: ` : '';
  const type = error instanceof Error && 'type' in error ? `${error.type}: ` : '';
  return `${code}${type}${messageOf(error)}`.replace(/\s*\n\s*/g, ' ');
}
