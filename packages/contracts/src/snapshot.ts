import { ConfigError, messageOf } from '@posthorn/core';
import type { Priority } from '@posthorn/notify';
import type { Contract } from './contract.ts';
import { isSchema } from './declared-error.ts';
import { type Draft, isJsonSchema, isKeywords, type JsonSchema, jsonSchemaOf } from './json-schema.ts';
import type { Schema } from './validation.ts';

export interface MethodSnapshot {
  readonly description?: string;
  readonly params?: JsonSchema;
  readonly result?: JsonSchema;
  readonly stream?: JsonSchema;
  /** The data of declared errors: `true`, anything, for those that are classes. */
  readonly errors?: Readonly<Record<string, JsonSchema>>;
}

export interface EventSnapshot {
  readonly description?: string;
  readonly priority: Priority;
  readonly payload: JsonSchema;
}

/** A contract as plain data. */
export interface ContractSnapshot {
  readonly name: string;
  readonly description?: string;
  readonly topic: string;
  readonly exchange?: string;
  readonly namespace?: string;
  readonly version: string;
  readonly methods: Readonly<Record<string, MethodSnapshot>>;
  readonly events: Readonly<Record<string, EventSnapshot>>;
}

/** @throws {ConfigError} naming the schema that cannot be told as JSON Schema */
export function snapshotOf({ name, definition }: Contract, draft?: Draft): ContractSnapshot {
  const { description, topic, exchange, namespace, version, methods = {}, events = {} } = definition;
  const part = (key: string, path: string, schema: Schema | undefined): Readonly<Record<string, JsonSchema>> =>
    schema === undefined ? {} : { [key]: jsonSchemaOf(schema, `${name}.${path}.${key}`, draft) };
  return {
    name,
    ...text('description', description),
    topic,
    ...text('exchange', exchange),
    ...text('namespace', namespace),
    version,
    methods: mapped(methods, (method, path) => ({
      ...text('description', method.description),
      ...part('params', path, method.params),
      ...part('result', path, method.result),
      ...part('stream', path, method.stream),
      ...(method.errors && {
        errors: mapped(method.errors, (error, type) =>
          isSchema(error) ? jsonSchemaOf(error, `${name}.${path}.errors.${type}`, draft) : true,
        ),
      }),
    })),
    events: mapped(events, ({ description: about, priority = 'info', payload }, event) => ({
      ...text('description', about),
      priority,
      payload: jsonSchemaOf(payload, `${name}.${event}.payload`, draft),
    })),
  };
}

const FORMAT = 1;

/** The text of a snapshot file: the same for the same contracts, line by line, whatever order they were written in. */
export function formatSnapshots(snapshots: readonly ContractSnapshot[]): string {
  const contracts = snapshots.toSorted((one, other) => (one.name < other.name ? -1 : 1));
  return `${JSON.stringify(sorted({ format: FORMAT, contracts }), undefined, 2)}\n`;
}

/** @throws {ConfigError} for what is no snapshot file */
export function parseSnapshots(file: string): readonly ContractSnapshot[] {
  let found: unknown;
  try {
    found = JSON.parse(file);
  } catch (error) {
    throw new ConfigError('snapshot', `not JSON: ${messageOf(error)}`, { cause: error });
  }
  const { format, contracts }: Readonly<Record<string, unknown>> = Object(found);
  if (format !== FORMAT) throw new ConfigError('format', `expected ${FORMAT}: is this a snapshot of contracts?`);
  if (!Array.isArray(contracts)) throw new ConfigError('contracts', 'expected a list');
  return contracts.map((contract, index) => checked(contract, `contracts.${index}`));
}

function checked(contract: unknown, path: string): ContractSnapshot {
  const found: Readonly<Record<string, unknown>> = Object(contract);
  for (const key of ['name', 'topic', 'version'])
    if (typeof found[key] !== 'string') throw new ConfigError(`${path}.${key}`, 'expected a text');
  for (const [key, schemas] of [
    ['methods', ['params', 'result', 'stream']],
    ['events', ['payload']],
  ] as const) {
    const members = found[key];
    if (!isKeywords(members)) throw new ConfigError(`${path}.${key}`, 'expected an object');
    for (const [name, member] of Object.entries(members)) {
      if (!isKeywords(member)) throw new ConfigError(`${path}.${key}.${name}`, 'expected an object');
      for (const schema of schemas)
        if (member[schema] !== undefined && !isJsonSchema(member[schema]))
          throw new ConfigError(`${path}.${key}.${name}.${schema}`, 'expected a JSON Schema');
    }
  }
  return contract as ContractSnapshot;
}

function text(key: string, value: string | undefined): Readonly<Record<string, string>> {
  return value === undefined ? {} : { [key]: value };
}

function mapped<From, To>(
  from: Readonly<Record<string, From>>,
  map: (value: From, key: string) => To,
): Readonly<Record<string, To>> {
  return Object.fromEntries(Object.entries(from).map(([key, value]) => [key, map(value, key)]));
}

/** Lists keep their order: in some it counts. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isKeywords(value)) return value;
  const entries = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([key, member]) => [key, sorted(member)]));
}
