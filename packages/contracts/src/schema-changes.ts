import { type Problem, problemsOf } from './implication.ts';
import {
  isKeywords,
  type JsonSchema,
  type JsonSchemaObject,
  listed,
  named,
  required,
  resolved,
} from './json-schema.ts';
import { own, same } from './schema-values.ts';

/** What a change asks of the version. */
export type Needs = 'minor' | 'major';

export interface Change {
  /** Dotted: `create.params.flavor.ram`. */
  readonly path: string;
  readonly reason: string;
  readonly needs: Needs;
}

/**
 * Which values are written by one version and read by another. `in`: older peers send, newer ones read (parameters).
 * `out`: newer peers send, older ones read (results). `both`: either (events, which wait in queues through an upgrade).
 */
export type Direction = 'in' | 'out' | 'both';

export function schemaChanges(
  before: JsonSchema,
  after: JsonSchema,
  direction: Direction,
  path: string,
): readonly Change[] {
  if (before === after) return [];
  const forward = problemsOf(before, after, path, 'narrow');
  const backward = problemsOf(after, before, path, 'wide');
  const [against, beside] = direction === 'out' ? [backward, forward] : [forward, backward];
  const breaking = direction === 'both' ? [...against, ...beside] : against;
  return strictest([
    ...asChanges(breaking, 'major'),
    ...memberChanges(before, after, path),
    ...asChanges(beside, 'minor'),
  ]);
}

function asChanges(problems: readonly Problem[], needs: Needs): readonly Change[] {
  return problems.map((problem) => ({ ...problem, needs }));
}

/** One change for each path, the gravest. */
function strictest(changes: readonly Change[]): readonly Change[] {
  const found = new Map<string, Change>();
  for (const needs of ['major', 'minor'] as const)
    for (const change of changes) if (change.needs === needs && !found.has(change.path)) found.set(change.path, change);
  return [...found.values()];
}

/** What no value tells: members that came and went where others are not minded, and defaults. */
function memberChanges(before: JsonSchema, after: JsonSchema, path: string): readonly Change[] {
  return new Members(before, after).walk(before, after, path);
}

class Members {
  readonly #before: JsonSchema;
  readonly #after: JsonSchema;
  readonly #seen = new Map<JsonSchema, Set<JsonSchema>>();

  constructor(before: JsonSchema, after: JsonSchema) {
    this.#before = before;
    this.#after = after;
  }

  walk(given: JsonSchema | undefined, taken: JsonSchema | undefined, path: string): readonly Change[] {
    const before = plain(this.#before, given);
    const after = plain(this.#after, taken);
    if (!isKeywords(before) || !isKeywords(after) || isUnion(before) !== isUnion(after)) return [];
    const seen = this.#seen.get(before) ?? new Set();
    if (seen.has(after)) return [];
    this.#seen.set(before, seen.add(after));
    const members = named(before, 'properties');
    const newer = named(after, 'properties');
    const names = [...new Set([...Object.keys(members), ...Object.keys(newer)])];
    return [
      ...defaultChange(before['default'], after['default'], path),
      ...names.flatMap((name) => {
        const where = `${path}.${name}`;
        const old = own(members, name);
        const fresh = own(newer, name);
        if (old === undefined)
          return [{ path: where, reason: newReason(fresh, required(after).includes(name)), needs: 'minor' as const }];
        if (fresh === undefined) return [{ path: where, reason: 'is gone', needs: 'major' as const }];
        return this.walk(old, fresh, where);
      }),
      ...this.#pair(before['items'], after['items'], `${path}[]`),
      ...this.#pair(before['additionalProperties'], after['additionalProperties'], `${path}.*`),
      ...(['prefixItems', 'anyOf', 'oneOf', 'allOf'] as const).flatMap((keyword) => {
        const others = listed(after, keyword);
        const all = listed(before, keyword);
        if (all.length !== others.length) return [];
        return all.flatMap((one, index) => this.walk(one, others[index], `${path}.${index}`));
      }),
    ];
  }

  #pair(before: unknown, after: unknown, path: string): readonly Change[] {
    return isKeywords(before) && isKeywords(after) ? this.walk(before, after, path) : [];
  }
}

function newReason(schema: JsonSchema | undefined, isRequired: boolean): string {
  const isDefaulted = isKeywords(schema) && schema['default'] !== undefined;
  if (isRequired) return 'is new';
  return isDefaulted ? 'is new, with a default' : 'is new, and may be missing';
}

function defaultChange(before: unknown, after: unknown, path: string): readonly Change[] {
  if (same(before, after)) return [];
  if (before === undefined) return [{ path, reason: `has the default ${JSON.stringify(after)} now`, needs: 'minor' }];
  const now = after === undefined ? 'is none' : `is ${JSON.stringify(after)}`;
  return [{ path, reason: `its default was ${JSON.stringify(before)}, ${now}`, needs: 'major' }];
}

const REFERENCES = 32;

function isUnion(schema: JsonSchemaObject): boolean {
  return 'anyOf' in schema || 'oneOf' in schema;
}

/** Without references, and of what may also be null what else it may be. */
function plain(root: JsonSchema, schema: JsonSchema | undefined, depth: number = REFERENCES): JsonSchema | undefined {
  if (!isKeywords(schema) || depth === 0) return schema;
  if (schema['$ref'] !== undefined) return plain(root, resolved(root, schema['$ref']), depth - 1);
  const [only, ...others] = [...listed(schema, 'anyOf'), ...listed(schema, 'oneOf')].filter(
    (one) => !isKeywords(one) || one['type'] !== 'null',
  );
  return only !== undefined && others.length === 0 ? plain(root, only, depth - 1) : schema;
}
