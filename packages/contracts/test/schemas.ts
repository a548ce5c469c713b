import fc from 'fast-check';
import type { JsonSchema } from '../src/index.ts';

type Draw = fc.GeneratorValue;
type Keywords = Record<string, unknown>;

const NAMES = ['a', 'b', 'c'];
const TEXTS = ['', 'a', 'ab', 'abc', 'x', 'é'];
/** A schema that requires itself has no values at all. */
const ENDLESS = 8;
const PATTERNS = ['^a', 'b$', '^.{2}$'];

const one = <T>(draw: Draw, list: readonly T[]): T => draw(fc.constantFrom<T[]>, ...([...list] as [T])) as T;
const chance = (draw: Draw, percent: number): boolean => draw(fc.integer, { min: 1, max: 100 }) <= percent;
const small = (draw: Draw): number => draw(fc.integer, { min: -2, max: 4 });

/** A small schema; `depth` is how deep it may nest. */
export function anySchema(draw: Draw, depth = 3): JsonSchema {
  const leaf = ['string', 'string', 'integer', 'number', 'boolean', 'null', 'enum', 'const', 'list', 'any'] as const;
  const nest = [
    'object',
    'object',
    'object',
    'array',
    'tuple',
    'anyOf',
    'oneOf',
    'allOf',
    'union',
    'record',
    'ref',
  ] as const;
  const kind = one<string>(draw, depth > 0 && chance(draw, 65) ? nest : leaf);
  const inner = (): JsonSchema => anySchema(draw, depth - 1);
  switch (kind) {
    case 'string':
      return { type: 'string', ...textKeywords(draw) };
    case 'integer':
    case 'number':
      return { type: kind, ...numberKeywords(draw) };
    case 'enum':
      return { enum: draw(fc.subarray<unknown>, [...TEXTS, 1, 2, null, true], { minLength: 1, maxLength: 4 }) };
    case 'const':
      return { const: one<unknown>(draw, ['a', 1, null, true]) };
    case 'list':
      return { type: ['string', one(draw, ['null', 'integer'])] };
    case 'any':
      return one<JsonSchema>(draw, [true, {}, { type: 'object' }, { not: { type: 'string' } }, { minLength: 2 }]);
    case 'object':
      return objectOf(draw, inner);
    case 'array':
      return {
        type: 'array',
        items: inner(),
        ...countKeywords(draw, 'Items'),
        ...(chance(draw, 15) && { uniqueItems: true }),
      };
    case 'tuple':
      return { type: 'array', prefixItems: [inner(), inner()], ...(chance(draw, 50) && { items: false }) };
    case 'anyOf':
    case 'allOf':
      return { [kind]: [inner(), inner()], ...(chance(draw, 20) && { type: one(draw, ['object', 'string']) }) };
    case 'oneOf':
      return { oneOf: [inner(), inner()] };
    case 'union':
      return { oneOf: ['x', 'y'].map((tag) => tagged(objectOf(draw, inner), tag)) };
    case 'record':
      return {
        type: 'object',
        additionalProperties: inner(),
        ...(chance(draw, 30) && { propertyNames: { maxLength: 1 } }),
      };
    case 'ref':
      return { $ref: one(draw, ['#/$defs/one', '#/$defs/two']) };
    default:
      return { type: kind };
  }
}

/** With definitions, which its references mean; the first contains itself. */
export function document(draw: Draw): Keywords {
  const properties = { a: anySchema(draw, 1), c: { $ref: '#/$defs/one' } };
  return {
    type: 'object',
    properties: { v: anySchema(draw) },
    required: ['v'],
    $defs: {
      one: { type: 'object', properties, ...(chance(draw, 30) && { required: ['a'] }) },
      two: anySchema(draw, 0),
    },
  };
}

/** A copy with something changed somewhere. */
export function edited(draw: Draw, schema: Keywords): Keywords {
  const copy: Keywords = structuredClone(schema);
  const places = placesOf(copy);
  const { within, key } = one(draw, places);
  const holder = within as Keywords;
  const found = holder[key];
  const how = one(draw, ['replace', 'tweak', 'tweak', 'member', 'member', 'drop', 'widen']);
  if (how === 'replace' || typeof found !== 'object' || found === null) holder[key] = anySchema(draw, 1);
  else if (how === 'widen') holder[key] = { anyOf: [found, anySchema(draw, 0)] };
  else holder[key] = tweaked(draw, found as Keywords, how);
  return copy;
}

/** A value that the schema may mean; what it does not declare is not in it. It may still break the schema. */
export function anyValue(draw: Draw, schema: unknown, root: Keywords, depth = 4): unknown {
  if (depth < -ENDLESS || typeof schema !== 'object' || schema === null) return one<unknown>(draw, ['a', 1, null, {}]);
  const keywords = schema as Keywords;
  const inner = (of: unknown): unknown => anyValue(draw, of, root, depth - 1);
  if (typeof keywords['$ref'] === 'string') {
    const [, name = ''] = /^#\/\$defs\/(.*)$/.exec(keywords['$ref']) ?? [];
    return inner((root['$defs'] as Keywords)[name]);
  }
  for (const keyword of ['anyOf', 'oneOf'])
    if (Array.isArray(keywords[keyword])) return inner(one(draw, keywords[keyword]));
  if (Array.isArray(keywords['allOf'])) {
    const values = keywords['allOf'].map(inner);
    return values.every((value) => typeof value === 'object' && value !== null && !Array.isArray(value))
      ? Object.assign({}, ...values)
      : one(draw, values);
  }
  if ('const' in keywords) return keywords['const'];
  if (Array.isArray(keywords['enum'])) return one(draw, keywords['enum']);
  switch (one(draw, [keywords['type'] ?? ['string', 'integer', 'null', 'object']].flat())) {
    case 'string':
      return one(draw, TEXTS);
    case 'integer':
      return small(draw);
    case 'number':
      return small(draw) + one(draw, [0, 0.5]);
    case 'boolean':
      return chance(draw, 50);
    case 'array': {
      const first = (keywords['prefixItems'] as unknown[] | undefined) ?? [];
      const length = depth > 0 ? draw(fc.integer, { min: 0, max: 3 }) : 0;
      return Array.from({ length }, (_, index) => inner(first[index] ?? keywords['items'] ?? true));
    }
    case 'object':
      return anyObject(draw, keywords, inner, depth);
    default:
      return null;
  }
}

function anyObject(draw: Draw, keywords: Keywords, inner: (of: unknown) => unknown, depth: number): Keywords {
  const must = (keywords['required'] as string[] | undefined) ?? [];
  const value: Keywords = {};
  for (const [name, of] of Object.entries((keywords['properties'] as Keywords | undefined) ?? {}))
    if (must.includes(name) || (depth > 0 && chance(draw, 60))) value[name] = inner(of);
  const others = keywords['additionalProperties'];
  if (others !== undefined && others !== false)
    for (const name of [...NAMES, 'other']) if (!(name in value) && chance(draw, 30)) value[name] = inner(others);
  return value;
}

function objectOf(draw: Draw, inner: () => JsonSchema): Keywords {
  const names = NAMES.filter(() => chance(draw, 60));
  const must = names.filter(() => chance(draw, 50));
  return {
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, inner()])),
    ...(must.length > 0 && { required: must }),
    ...(chance(draw, 30) && { additionalProperties: one<JsonSchema>(draw, [false, false, {}, { type: 'string' }]) }),
    ...(chance(draw, 10) && countKeywords(draw, 'Properties')),
  };
}

function tagged(schema: Keywords, tag: string): Keywords {
  const { properties, required } = schema as { properties: Keywords; required?: string[] };
  return { ...schema, properties: { ...properties, k: { const: tag } }, required: [...(required ?? []), 'k'] };
}

function textKeywords(draw: Draw): Keywords {
  if (chance(draw, 40)) return {};
  return one<Keywords>(draw, [
    { minLength: draw(fc.nat, 3) },
    { maxLength: draw(fc.nat, 3) },
    { pattern: one(draw, PATTERNS) },
    { allOf: PATTERNS.slice(1).map((pattern) => ({ pattern })) },
    { enum: ['a', 'ab'] },
  ]);
}

function numberKeywords(draw: Draw): Keywords {
  const keyword = one(draw, ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'none']);
  if (keyword === 'none') return chance(draw, 50) ? {} : { multipleOf: draw(fc.integer, { min: 1, max: 4 }) };
  return { [keyword]: small(draw), ...(chance(draw, 20) && { maximum: small(draw) }) };
}

function countKeywords(draw: Draw, of: 'Items' | 'Properties'): Keywords {
  const keyword = one(draw, ['none', 'min', 'max']);
  return keyword === 'none' ? {} : { [`${keyword}${of}`]: draw(fc.nat, 3) };
}

function tweaked(draw: Draw, schema: Keywords, how: string): Keywords {
  if (how === 'member' && typeof schema['properties'] === 'object') {
    const name = one(draw, [...NAMES, 'd']);
    return { ...schema, properties: { ...schema['properties'], [name]: anySchema(draw, 0) } };
  }
  const keys = Object.keys(schema).filter((key) => key !== '$defs' && key !== '$ref');
  if (keys.length === 0) return schema;
  const key = one(draw, keys);
  const found = schema[key];
  if (how === 'drop') return Object.fromEntries(Object.entries(schema).filter(([other]) => other !== key));
  if (typeof found === 'number')
    return { ...schema, [key]: Math.max(key.startsWith('multiple') ? 1 : 0, found + one(draw, [-1, 1])) };
  if (key === 'required' && Array.isArray(found))
    return { ...schema, required: [...new Set([...found.slice(1), one(draw, NAMES)])] };
  if (key === 'enum' && Array.isArray(found))
    return { ...schema, enum: [...new Set([...found.slice(chance(draw, 50) ? 1 : 0), one(draw, TEXTS)])] };
  if (key === 'type' && typeof found === 'string')
    return { ...schema, type: [...new Set([found, one(draw, ['null', 'integer', 'number'])])] };
  return { ...schema, ...textKeywords(draw) };
}

/** Every place in which a schema stands. */
function placesOf(schema: Keywords): { readonly within: object; readonly key: string }[] {
  const places: { readonly within: object; readonly key: string }[] = [];
  const visit = (within: object, key: string): void => {
    places.push({ within, key });
    const found: unknown = Reflect.get(within, key);
    if (typeof found !== 'object' || found === null) return;
    for (const group of ['properties', '$defs']) each(Reflect.get(found, group));
    for (const group of ['anyOf', 'oneOf', 'allOf', 'prefixItems']) each(Reflect.get(found, group));
    for (const single of ['items', 'additionalProperties'])
      if (typeof Reflect.get(found, single) === 'object') visit(found, single);
  };
  const each = (group: unknown): void => {
    if (typeof group === 'object' && group !== null) for (const key of Object.keys(group)) visit(group, key);
  };
  each(schema['properties']);
  each(schema['$defs']);
  return places;
}
