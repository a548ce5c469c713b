import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ConfigError, messageOf, parseConfig, type Retention, type RetryPolicy } from '@posthorn/core';
import { PRIORITIES, type Priority } from '@posthorn/notify';
import { parse } from 'yaml';
import { z } from 'zod';

const name = z.string().min(1);
const names = z.union([name.transform((one) => [one]), z.array(name).min(1)]);
const retention = z
  .strictObject({
    durability: z.enum(['transient', 'durable', 'quorum']),
    expiresMs: z.int().positive(),
    maxLength: z.int().positive(),
    maxPriority: z.int().min(1).max(255),
    deadLetter: name,
  })
  .partial();
const retry = z
  .strictObject({
    limit: z.int().positive(),
    minDelayMs: z.int().positive(),
    maxDelayMs: z.int().positive(),
    deadLetter: name,
  })
  .partial();

const parts = {
  servers: z.array(z.strictObject({ exchange: name.optional(), topic: name, server: names })).default([]),
  notifiers: z
    .array(
      z.strictObject({
        exchange: name.optional(),
        topics: names.optional(),
        priorities: z.array(z.enum(PRIORITIES)).min(1).optional(),
        retention: retention.optional(),
      }),
    )
    .default([]),
  listeners: z
    .array(
      z.strictObject({
        targets: z.array(z.strictObject({ exchange: name.optional(), topic: name })).min(1),
        pool: name.optional(),
        priorities: z.array(z.enum(PRIORITIES)).min(1).optional(),
        retention: retention.optional(),
        retry: retry.optional(),
      }),
    )
    .default([]),
  publishers: z.array(z.strictObject({ exchange: name })).default([]),
  subscribers: z
    .array(
      z.strictObject({
        exchange: names,
        bindings: names,
        group: name.optional(),
        retention: retention.optional(),
        retry: retry.optional(),
      }),
    )
    .default([]),
  mailboxes: z
    .array(
      z.strictObject({
        name,
        expiresMs: z.int().positive().optional(),
        maxLength: z.int().positive().optional(),
        retry: retry.optional(),
      }),
    )
    .default([]),
  /** Files of `posthorn services run`, relative to this one. */
  services: names.default([]),
};

// What is absent is absent: zod leaves it out, though its types do not say so.
const schema = z.strictObject(parts) as unknown as z.ZodType<TopologyFile>;

/** What an application is made of, as far as its broker is concerned. */
export interface TopologyFile {
  readonly servers: readonly {
    readonly exchange?: string;
    readonly topic: string;
    readonly server: readonly string[];
  }[];
  readonly notifiers: readonly {
    readonly exchange?: string;
    readonly topics?: readonly string[];
    readonly priorities?: readonly Priority[];
    readonly retention?: Retention;
  }[];
  readonly listeners: readonly {
    readonly targets: readonly { readonly exchange?: string; readonly topic: string }[];
    readonly pool?: string;
    readonly priorities?: readonly Priority[];
    readonly retention?: Retention;
    readonly retry?: RetryPolicy;
  }[];
  readonly publishers: readonly { readonly exchange: string }[];
  readonly subscribers: readonly {
    readonly exchange: readonly string[];
    readonly bindings: readonly string[];
    readonly group?: string;
    readonly retention?: Retention;
    readonly retry?: RetryPolicy;
  }[];
  readonly mailboxes: readonly {
    readonly name: string;
    readonly expiresMs?: number;
    readonly maxLength?: number;
    readonly retry?: RetryPolicy;
  }[];
  /** Files of `posthorn services run`, by their paths. */
  readonly services: readonly string[];
}

/**
 * Reads a YAML or JSON file.
 *
 * @throws {ConfigError} naming the file and the wrong entry: `topology.yaml.subscribers.1.group`
 */
export async function readTopologyFile(file: string): Promise<TopologyFile> {
  let value: unknown;
  try {
    value = parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new ConfigError(file, messageOf(error), { cause: error });
  }
  const content: TopologyFile = parseConfig(schema, value, file);
  if (Object.values(content).every((entries) => entries.length === 0))
    throw new ConfigError(file, `says nothing: expected one of ${Object.keys(parts).join(', ')}`);
  return { ...content, services: content.services.map((one) => resolve(dirname(file), one)) };
}
