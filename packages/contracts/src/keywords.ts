import type { Older, Problem } from './implication.ts';
import { type JsonSchemaObject, refers, required } from './json-schema.ts';
import { isOfType, same, TYPES, typesOf, valuesOf } from './schema-values.ts';

/** The type of the values that a keyword speaks of; it says nothing about others. */
const SUBJECTS: Readonly<Record<string, string>> = {
  minLength: 'string',
  maxLength: 'string',
  pattern: 'string',
  format: 'string',
  contentEncoding: 'string',
  contentMediaType: 'string',
  minimum: 'number',
  maximum: 'number',
  exclusiveMinimum: 'number',
  exclusiveMaximum: 'number',
  multipleOf: 'number',
  minItems: 'array',
  maxItems: 'array',
  uniqueItems: 'array',
  required: 'object',
  minProperties: 'object',
  maxProperties: 'object',
  dependentRequired: 'object',
};

/** Keywords that mean the same wherever all of these are the same. What is in no list is compared alone. */
const TOGETHER: readonly (readonly string[])[] = [
  ['if', 'then', 'else'],
  ['contains', 'minContains', 'maxContains'],
];

/** Whose meaning depends on all that stands beside them. */
const HOLISTIC = /^(unevaluated|\$dynamic|\$recursive|\$anchor)/;

/**
 * Why a keyword of the wide schema is not certain for each value of the narrow one: none or more, with the path of the
 * member that it is about.
 */
export function keywordProblem(
  keyword: string,
  narrow: JsonSchemaObject,
  wide: JsonSchemaObject,
  older: Older,
): readonly Problem[] {
  const subject = SUBJECTS[keyword];
  const types = typesOf(narrow);
  if (subject !== undefined && !types.some((type) => isOfType(type, [subject]))) return [];
  if (keyword === 'type') return everyType(narrow, wide, older);
  if (keyword === 'enum' || keyword === 'const') return everyValue(keyword, narrow, wide, older);
  if (keyword === 'required') return everyRequired(narrow, wide, older);
  const values = valuesOf(narrow);
  const isCertain =
    values !== undefined && PLAIN[keyword] !== undefined
      ? values.every((value) => holds(keyword, value, wide[keyword]))
      : implies(keyword, narrow, wide);
  return isCertain ? [] : [{ path: '', reason: was(keyword, narrow, wide, older) }];
}

function everyType(narrow: JsonSchemaObject, wide: JsonSchemaObject, older: Older): readonly Problem[] {
  const known = typesOf({ type: wide['type'] });
  const types = typesOf(narrow);
  const others = types.filter((type) => !isOfType(type, known));
  if (others.length === 0) return [];
  const reason =
    older === 'narrow'
      ? `was ${typesText(types)}, must be ${typesText(known)} now`
      : `may be ${typesText(types.length === TYPES.length ? types : others)} now, was ${typesText(known)}`;
  return [{ path: '', reason }];
}

function typesText(types: readonly string[]): string {
  return types.length === TYPES.length ? 'anything' : types.join(' or ');
}

function everyValue(
  keyword: string,
  narrow: JsonSchemaObject,
  wide: JsonSchemaObject,
  older: Older,
): readonly Problem[] {
  const known = valuesOf({ [keyword]: wide[keyword] }) ?? [];
  const values = valuesOf(narrow);
  if (values?.every((value) => known.some((one) => same(one, value)))) return [];
  if (values === undefined) return [{ path: '', reason: was(keyword, narrow, wide, older) }];
  const others = values.filter((value) => !known.some((one) => same(one, value))).map(show);
  return [{ path: '', reason: `${others.join(', ')} ${older === 'narrow' ? 'is gone' : 'is new'}` }];
}

function everyRequired(narrow: JsonSchemaObject, wide: JsonSchemaObject, older: Older): readonly Problem[] {
  const given = new Set(required(narrow));
  const reason = older === 'narrow' ? 'must be given now' : 'may be missing now';
  return required(wide)
    .filter((name) => !given.has(name))
    .map((name) => ({ path: name, reason }));
}

/** For keywords whose value says it of single values: whether it holds for one of the type that it speaks of. */
const PLAIN: Readonly<Record<string, (value: never, limit: never) => boolean>> = {
  minLength: (value: string, limit: number) => [...value].length >= limit,
  maxLength: (value: string, limit: number) => [...value].length <= limit,
  pattern: (value: string, limit: string) => new RegExp(limit, 'u').test(value),
  minimum: (value: number, limit: number) => value >= limit,
  maximum: (value: number, limit: number) => value <= limit,
  exclusiveMinimum: (value: number, limit: number) => value > limit,
  exclusiveMaximum: (value: number, limit: number) => value < limit,
};

function holds(keyword: string, value: unknown, limit: unknown): boolean {
  if (typeof value !== SUBJECTS[keyword]) return true;
  try {
    return PLAIN[keyword]?.(value as never, limit as never) ?? false;
  } catch {
    return false;
  }
}

function implies(keyword: string, narrow: JsonSchemaObject, wide: JsonSchemaObject): boolean {
  const limit = wide[keyword];
  const own = narrow[keyword];
  switch (keyword) {
    case 'minLength':
    case 'minItems':
      return atLeast(own ?? 0, limit);
    case 'minProperties':
      return atLeast(own ?? 0, limit) || atLeast(required(narrow).length, limit);
    case 'maxLength':
    case 'maxItems':
      return atLeast(limit, own);
    case 'maxProperties':
      return atLeast(limit, own);
    case 'minimum':
    case 'exclusiveMinimum':
      return within(lowest(narrow), limit, keyword === 'minimum', 1);
    case 'maximum':
    case 'exclusiveMaximum':
      return within(highest(narrow), limit, keyword === 'maximum', -1);
    case 'multipleOf':
      return Number.isInteger(own) && Number.isInteger(limit) && Number(own) % Number(limit) === 0;
    case 'uniqueItems':
      return limit === false || own === true;
    default:
      break;
  }
  if (HOLISTIC.test(keyword) || refers(limit)) return false;
  const together = TOGETHER.find((keywords) => keywords.includes(keyword)) ?? [keyword];
  return together.every((one) => same(narrow[one], wide[one]));
}

interface Bound {
  readonly value: number;
  /** Whether it is itself among the values. */
  readonly included: boolean;
}

function lowest({ type, minimum, exclusiveMinimum }: JsonSchemaObject): Bound | undefined {
  return tightest(minimum, exclusiveMinimum, type === 'integer', 1);
}

function highest({ type, maximum, exclusiveMaximum }: JsonSchemaObject): Bound | undefined {
  return tightest(maximum, exclusiveMaximum, type === 'integer', -1);
}

/** @param up 1 for a lower bound, -1 for an upper one */
function tightest(included: unknown, excluded: unknown, isInteger: boolean, up: 1 | -1): Bound | undefined {
  const bounds: Bound[] = [];
  if (typeof included === 'number') bounds.push({ value: included, included: true });
  // No integer lies between it and the next.
  if (typeof excluded === 'number')
    bounds.push(
      isInteger && Number.isSafeInteger(excluded)
        ? { value: excluded + up, included: true }
        : { value: excluded, included: false },
    );
  return bounds.toSorted(
    (one, other) => up * (other.value - one.value) || Number(one.included) - Number(other.included),
  )[0];
}

function within(bound: Bound | undefined, limit: unknown, isIncluded: boolean, up: 1 | -1): boolean {
  if (bound === undefined || typeof limit !== 'number') return false;
  const beyond = up * (bound.value - limit);
  return beyond > 0 || (beyond === 0 && (isIncluded || !bound.included));
}

function atLeast(one: unknown, other: unknown): boolean {
  return typeof one === 'number' && typeof other === 'number' && one >= other;
}

function ordered<T>(narrow: T, wide: T, older: Older): readonly [T, T] {
  return older === 'narrow' ? [narrow, wide] : [wide, narrow];
}

function was(keyword: string, narrow: JsonSchemaObject, wide: JsonSchemaObject, older: Older): string {
  const [before, after] = ordered(narrow[keyword], wide[keyword], older);
  return `${keyword} was ${show(before)}, is ${show(after)}`;
}

const SHOWN = 60;

function show(value: unknown): string {
  if (value === undefined) return 'not there';
  const text = JSON.stringify(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}
