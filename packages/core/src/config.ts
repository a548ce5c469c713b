import { z } from 'zod';
import { ConfigError } from './errors.ts';

/** A duration in milliseconds: an integer above zero. */
export const durationMs: z.ZodNumber = z.int().positive();

/**
 * Checks a configuration once, at the door.
 *
 * @param path where the value stands, for the error: `options`, `url`
 * @throws {ConfigError} naming the first wrong option by its path, and never showing its value
 */
export function parseConfig<S extends z.ZodType>(schema: S, value: unknown, path: string): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = [path, ...(issue?.path ?? [])].join('.');
  const unknown = issue?.code === 'unrecognized_keys' ? `${where}.${issue.keys[0]}` : undefined;
  if (unknown !== undefined) throw new ConfigError(unknown, 'no such option');
  throw new ConfigError(where, issue?.message ?? 'invalid');
}

/** Reads the options of a URL's query, where everything is text: numbers and booleans become what they look like. */
export function fromQuery(query: Readonly<Record<string, string>>): Record<string, string | number | boolean> {
  const entries = Object.entries(query).map(([key, text]): [string, string | number | boolean] => {
    if (text === 'true' || text === 'false') return [key, text === 'true'];
    return [key, /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text];
  });
  return Object.fromEntries(entries);
}
