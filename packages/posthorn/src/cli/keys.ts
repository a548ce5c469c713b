import { readFileSync } from 'node:fs';
import { env } from 'node:process';
import { ConfigError, messageOf } from '@posthorn/core';
import { hmacSha256, type SignatureVerifier, type Signer } from '@posthorn/messaging';
import { UsageError } from './usage.ts';

interface Key {
  readonly id: string;
  readonly secret: string;
}

/** @throws {UsageError} which never shows a secret */
export function signerOf(given: string | undefined): Signer | undefined {
  if (given === undefined) return undefined;
  const { id, secret } = parseKey('--sign-key', given);
  return checked('--sign-key', () => hmacSha256({ keys: { [id]: secret }, signWith: id }));
}

/** @throws {UsageError} which never shows a secret */
export function verifierOf(given: readonly string[] = []): SignatureVerifier | undefined {
  if (given.length === 0) return undefined;
  const keys = given.map((one) => parseKey('--verify-key', one));
  return checked('--verify-key', () =>
    hmacSha256({ keys: Object.fromEntries(keys.map(({ id, secret }) => [id, secret])) }),
  );
}

/** `id:secret`, `id:env:NAME` or `id:file:path`. What is on a command line is seen by others on the machine. */
function parseKey(option: string, given: string): Key {
  const [, id, from, name] = /^([^:]+):(?:(env|file):)?(.+)$/s.exec(given) ?? [];
  if (id === undefined || name === undefined)
    throw new UsageError(`${option}: expected id:env:NAME, id:file:path or id:secret`);
  if (from === undefined) return { id, secret: name };
  if (from === 'file') return { id, secret: firstLineOf(option, name) };
  const secret = env[name];
  if (secret === undefined) throw new UsageError(`${option}: the environment has no ${name}`);
  return { id, secret };
}

function firstLineOf(option: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n.*/s, '');
  } catch (error) {
    throw new UsageError(`${option}: ${messageOf(error)}`);
  }
}

function checked<T>(option: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof ConfigError ? new UsageError(`${option}: ${error.message}`) : error;
  }
}
