import { ConfigError, messageOf } from '@posthorn/core';
import type { Schema } from './validation.ts';

/** Keywords and their values, or `true` for any value and `false` for none. */
export type JsonSchema = boolean | JsonSchemaObject;

export interface JsonSchemaObject {
  readonly [keyword: string]: unknown;
}

export type Draft = 'draft-2020-12' | 'draft-07';

/**
 * What travels, as JSON Schema: what the schema takes, before its defaults and conversions.
 *
 * @throws {ConfigError} where its library does not offer that (Standard JSON Schema), or cannot for this schema
 */
export function jsonSchemaOf(schema: Schema, path: string, draft: Draft = 'draft-2020-12'): JsonSchema {
  const standard = schema['~standard'];
  if (!('jsonSchema' in standard))
    throw new ConfigError(
      path,
      `schemas of ${standard.vendor} cannot be told as JSON Schema: this needs a library with Standard JSON Schema, like zod from 4.2 on`,
    );
  const { input } = standard.jsonSchema as { input(options: { target: Draft }): JsonSchemaObject };
  try {
    const { $schema: _, ...plain } = input({ target: draft });
    return plain;
  } catch (error) {
    throw new ConfigError(path, `cannot be told as JSON Schema: ${messageOf(error)}`, { cause: error });
  }
}

export function isJsonSchema(value: unknown): value is JsonSchema {
  return typeof value === 'boolean' || isKeywords(value);
}

export function isKeywords(value: unknown): value is JsonSchemaObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The schema under a keyword like `properties`, which has many by name. */
export function named(schema: JsonSchemaObject, keyword: string): Readonly<Record<string, JsonSchema>> {
  const found = schema[keyword];
  return isKeywords(found) ? (found as Readonly<Record<string, JsonSchema>>) : {};
}

/** The schemas under a keyword like `anyOf`, which has a list. */
export function listed(schema: JsonSchemaObject, keyword: string): readonly JsonSchema[] {
  const found = schema[keyword];
  return Array.isArray(found) ? found.filter(isJsonSchema) : [];
}

export function required(schema: JsonSchemaObject): readonly string[] {
  const { required: found } = schema;
  return Array.isArray(found) ? found.filter((name) => typeof name === 'string') : [];
}

/** What `#/$defs/Name` or `#` means within that document; undefined for what is elsewhere. */
export function resolved(root: JsonSchema, reference: unknown): JsonSchema | undefined {
  if (typeof reference !== 'string' || !/^#(\/|$)/.test(reference)) return undefined;
  const parts = reference.split('/').slice(1).map(unescaped);
  let found: unknown = root;
  for (const part of parts) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, part)) return undefined;
    found = Reflect.get(found, part);
  }
  return isJsonSchema(found) ? found : undefined;
}

/** JSON Pointer within a URI fragment. */
function unescaped(part: string): string {
  return decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
}

/** The same reference may mean something else in another document. */
export function refers(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, member]) => key === '$ref' || key === '$dynamicRef' || refers(member));
}
