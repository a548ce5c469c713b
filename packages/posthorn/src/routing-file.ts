import { readFile } from 'node:fs/promises';
import { ConfigError, messageOf } from '@posthorn/core';
import type { RoutingRules } from '@posthorn/notify';
import { parse } from 'yaml';
import { z } from 'zod';

const rule = z.strictObject({
  accepted_events: z.array(z.string()).optional(),
  accepted_priorities: z.array(z.string()).optional(),
});
const schema = z.record(z.string(), z.record(z.string(), rule.nullable()));

/**
 * Reads the rules of `routing` from a YAML file, in the form of oslo.messaging's `routing_config`.
 *
 * @throws {ConfigError} naming the file, and the entry that is wrong
 */
export async function routingFile(path: string): Promise<RoutingRules> {
  let content: unknown;
  try {
    content = parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new ConfigError(path, messageOf(error), { cause: error });
  }
  const result = schema.safeParse(content);
  if (!result.success) {
    const [issue] = result.error.issues;
    const where = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
    throw new ConfigError(path, `${where}${issue?.message ?? 'invalid'}`);
  }
  return result.data as RoutingRules;
}
