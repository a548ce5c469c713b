import { canonicalJson } from '@posthorn/messaging';
import { isKeywords, type JsonSchema, type JsonSchemaObject, named, required, resolved } from './json-schema.ts';

export const TYPES: readonly string[] = ['null', 'boolean', 'object', 'array', 'number', 'string'];

export function same(one: unknown, other: unknown): boolean {
  if (one === undefined || other === undefined) return one === other;
  return canonicalJson(one) === canonicalJson(other);
}

/** The only values that it can have, where they are listed. */
export function valuesOf({ const: only, enum: some }: JsonSchemaObject): readonly unknown[] | undefined {
  if (only !== undefined) return [only];
  return Array.isArray(some) ? some : undefined;
}

/** `integer` only where no other number is possible. */
export function typesOf(schema: JsonSchemaObject): readonly string[] {
  const { type } = schema;
  const declared = Array.isArray(type) ? type.map(String) : typeof type === 'string' ? [type] : TYPES;
  const values = valuesOf(schema);
  return values === undefined ? declared : values.map(typeOf);
}

export function isOfType(type: string, types: readonly string[]): boolean {
  return types.includes(type) || (type === 'integer' && types.includes('number'));
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (Number.isInteger(value)) return 'integer';
  return typeof value;
}

const DEPTH = 8;

/** Whether it is certain that no value is of both. Not sure: false. */
export function disjoint(
  one: JsonSchema | undefined,
  other: JsonSchema | undefined,
  roots: readonly [JsonSchema, JsonSchema],
  depth: number = DEPTH,
): boolean {
  if (one === false || other === false) return true;
  if (!isKeywords(one) || !isKeywords(other) || depth === 0) return false;
  const [oneRoot, otherRoot] = roots;
  if (one['$ref'] !== undefined) return disjoint(resolved(oneRoot, one['$ref']), other, roots, depth - 1);
  if (other['$ref'] !== undefined) return disjoint(one, resolved(otherRoot, other['$ref']), roots, depth - 1);
  const values = valuesOf(one);
  const others = valuesOf(other);
  if (values !== undefined && others !== undefined)
    return !values.some((value) => others.some((member) => same(value, member)));
  const otherTypes = typesOf(other);
  const types = typesOf(one);
  const common = [
    ...types.filter((type) => isOfType(type, otherTypes)),
    ...otherTypes.filter((type) => isOfType(type, types)),
  ];
  if (common.some((type) => type !== 'object')) return false;
  // Nothing, or objects: those differ where a member that one of them must have differs.
  const members = named(one, 'properties');
  const otherMembers = named(other, 'properties');
  return (
    common.length === 0 ||
    [...required(one), ...required(other)].some((name) =>
      disjoint(own(members, name), own(otherMembers, name), roots, depth - 1),
    )
  );
}

/** The schema of that name, but for names like `constructor`, which every object has. */
export function own(schemas: Readonly<Record<string, JsonSchema>>, name: string): JsonSchema | undefined {
  return Object.hasOwn(schemas, name) ? schemas[name] : undefined;
}
