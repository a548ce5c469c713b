import {
  isJsonSchema,
  isKeywords,
  type JsonSchema,
  type JsonSchemaObject,
  listed,
  named,
  refers,
  resolved,
} from './json-schema.ts';
import { keywordProblem } from './keywords.ts';
import { ANY, alternativesOf, isAnnotation, type Part, partsOf } from './schema-parts.ts';
import { disjoint, own, same, typesOf } from './schema-values.ts';

/** Why it is not certain that each value of one schema is one of another. */
export interface Problem {
  /** Dotted: `create.params.flavor.ram`. */
  readonly path: string;
  readonly reason: string;
}

/** Which of the two schemas is the older one. It only chooses the words. */
export type Older = 'narrow' | 'wide';

/** What nobody has ever written by hand; a limit for what takes too long. */
const STEPS = 50_000;
const REFERENCES = 32;

/**
 * Proves that each value of the narrow schema is one of the wide schema, or says what stands against it. What it does not
 * understand it does not take for proven, unless both have it alike.
 *
 * Members that a schema neither declares nor speaks of (`additionalProperties` is missing) are none that a peer sends, and
 * none that it minds: so a new member is no change for those who do not know it.
 */
export function problemsOf(narrow: JsonSchema, wide: JsonSchema, path: string, older: Older): readonly Problem[] {
  return new Implication(narrow, wide, older).check(narrow, wide, path);
}

type Pairs = Map<JsonSchemaObject, Map<JsonSchemaObject, number>>;

class Implication {
  readonly #roots: readonly [JsonSchema, JsonSchema];
  readonly #older: Older;
  /** The pairs that are being compared, closed and open ones, and how deep in the value that began. */
  readonly #begun: Readonly<Record<'closed' | 'open', Pairs>> = { closed: new Map(), open: new Map() };
  #depth = 0;
  #steps = 0;
  #references = 0;

  constructor(narrow: JsonSchema, wide: JsonSchema, older: Older) {
    this.#roots = [narrow, wide];
    this.#older = older;
  }

  check(narrow: JsonSchema, wide: JsonSchema, path: string, open = false): readonly Problem[] {
    if (narrow === false || wide === true) return [];
    if (wide === false) return [{ path, reason: this.#older === 'narrow' ? 'is not accepted any more' : 'is new' }];
    this.#steps += 1;
    if (this.#steps > STEPS) return [{ path, reason: 'is too large to be compared' }];
    const from = narrow === true ? ANY : narrow;
    if (!refers(from) && same(from, wide)) return [];
    const pairs = this.#begun[open ? 'open' : 'closed'];
    const begun = pairs.get(from) ?? new Map<JsonSchemaObject, number>();
    const at = begun.get(wide);
    // Of a schema that contains itself: what is further inside has been proven if all around it is.
    if (at !== undefined) return at < this.#depth ? [] : [{ path, reason: 'is defined by itself' }];
    pairs.set(from, begun.set(wide, this.#depth));
    try {
      return this.#compare(from, wide, path, open);
    } finally {
      begun.delete(wide);
    }
  }

  /** The same for a member of the value. */
  #inside(narrow: JsonSchema, wide: JsonSchema, path: string): readonly Problem[] {
    this.#depth += 1;
    try {
      return this.check(narrow, wide, path);
    } finally {
      this.#depth -= 1;
    }
  }

  #compare(narrow: JsonSchemaObject, wide: JsonSchemaObject, path: string, open: boolean): readonly Problem[] {
    const parts = partsOf(this.#roots[0], narrow, open);
    if (parts === undefined) return [];
    const problems = this.#implied(parts, wide, path);
    if (problems.length === 0) return [];
    const alternatives = alternativesOf(this.#roots[0], parts);
    if (alternatives === undefined) return problems;
    return unique(alternatives.flatMap((alternative) => this.#implied(alternative, wide, path)));
  }

  #implied(parts: readonly Part[], wide: JsonSchema, path: string): readonly Problem[] {
    if (wide === true) return [];
    if (wide === false) return this.check(true, wide, path);
    const problems: Problem[] = [];
    for (const keyword of Object.keys(wide)) {
      if (isAnnotation(keyword)) continue;
      problems.push(...this.#keyword(parts, keyword, wide, path));
    }
    return problems;
  }

  #keyword(parts: readonly Part[], keyword: string, wide: JsonSchemaObject, path: string): readonly Problem[] {
    switch (keyword) {
      case '$ref':
        return this.#reference(parts, wide, path);
      case 'allOf':
        return listed(wide, keyword).flatMap((one) => this.#implied(parts, one, path));
      case 'anyOf':
      case 'oneOf':
        return this.#oneOf(parts, keyword, listed(wide, keyword), path);
      default:
        return fewest(parts.map((part) => this.#part(part, keyword, wide, path)));
    }
  }

  #reference(parts: readonly Part[], { $ref }: JsonSchemaObject, path: string): readonly Problem[] {
    const wide = resolved(this.#roots[1], $ref);
    if (wide === undefined) return [{ path, reason: `refers to ${String($ref)}, which is not here` }];
    this.#steps += 1;
    if (this.#references >= REFERENCES || this.#steps > STEPS) return [{ path, reason: 'is defined by itself' }];
    this.#references += 1;
    try {
      const [only] = parts;
      // As the schema that it is: one that contains itself is met again.
      return parts.length === 1 && only !== undefined
        ? this.check(only.schema, wide, path, only.open)
        : this.#implied(parts, wide, path);
    } finally {
      this.#references -= 1;
    }
  }

  #oneOf(
    parts: readonly Part[],
    keyword: 'anyOf' | 'oneOf',
    alternatives: readonly JsonSchema[],
    path: string,
  ): readonly Problem[] {
    const found = alternatives.map((alternative) => this.#implied(parts, alternative, path));
    const isProven = found.some(
      (problems, index) =>
        problems.length === 0 &&
        (keyword === 'anyOf' ||
          alternatives.every(
            (other, at) => at === index || parts.some(({ schema }) => disjoint(schema, other, this.#roots)),
          )),
    );
    if (isProven) return [];
    // Where it is of the kind of one of them, what is different there says more.
    const inside = found.filter(
      (problems) => problems.length > 0 && problems.every((problem) => problem.path !== path),
    );
    if (inside.length > 0) return fewest(inside);
    return [{ path, reason: `is none of ${alternatives.length} alternatives for certain` }];
  }

  #part({ schema, open }: Part, keyword: string, wide: JsonSchemaObject, path: string): readonly Problem[] {
    const has = (type: string): boolean => typesOf(schema).includes(type);
    switch (keyword) {
      case 'properties':
        return has('object') ? this.#properties(schema, open, wide, path) : [];
      case 'additionalProperties':
        return has('object') ? this.#additional(schema, open, wide, path) : [];
      case 'propertyNames':
        return has('object') ? this.#names(schema, wide, path) : [];
      case 'items':
      case 'prefixItems':
        return has('array') ? this.#items(schema, wide, path) : [];
      default:
        return keywordProblem(keyword, schema, wide, this.#older).map(({ path: member, reason }) => ({
          path: member === '' ? path : `${path}.${member}`,
          reason,
        }));
    }
  }

  #properties(narrow: JsonSchemaObject, open: boolean, wide: JsonSchemaObject, path: string): readonly Problem[] {
    const members = named(narrow, 'properties');
    return Object.entries(named(wide, 'properties')).flatMap(([name, schema]) =>
      this.#inside(own(members, name) ?? othersOf(narrow, open), schema, `${path}.${name}`),
    );
  }

  #additional(narrow: JsonSchemaObject, open: boolean, wide: JsonSchemaObject, path: string): readonly Problem[] {
    const { additionalProperties } = wide;
    if (!isKeywords(additionalProperties) && typeof additionalProperties !== 'boolean')
      return [{ path, reason: 'additionalProperties is not understood' }];
    const declared = named(wide, 'properties');
    const others = Object.entries(named(narrow, 'properties')).filter(([name]) => own(declared, name) === undefined);
    return [
      ...others.flatMap(([name, schema]) => this.#inside(schema, additionalProperties, `${path}.${name}`)),
      ...this.#inside(othersOf(narrow, open), additionalProperties, `${path}.*`),
    ];
  }

  #names(narrow: JsonSchemaObject, wide: JsonSchemaObject, path: string): readonly Problem[] {
    const { propertyNames: names } = wide;
    if (!isJsonSchema(names)) return [{ path, reason: 'propertyNames is not understood' }];
    const known = isKeywords(narrow['propertyNames']) ? [{ schema: narrow['propertyNames'], open: true }] : [];
    return this.#implied([{ schema: STRING, open: true }, ...known], names, `${path}.*`);
  }

  #items(narrow: JsonSchemaObject, wide: JsonSchemaObject, path: string): readonly Problem[] {
    const first = listed(narrow, 'prefixItems');
    const wideFirst = listed(wide, 'prefixItems');
    const rest = itemsOf(narrow);
    const wideRest = itemsOf(wide);
    if (rest === undefined || wideRest === undefined) return [{ path, reason: 'its items are not understood' }];
    const most = typeof narrow['maxItems'] === 'number' ? narrow['maxItems'] : Number.POSITIVE_INFINITY;
    const places = Array.from(
      { length: Math.min(most, Math.max(first.length, wideFirst.length)) },
      (_, place) => place,
    );
    return [
      ...places.flatMap((place) =>
        this.#inside(first[place] ?? rest, wideFirst[place] ?? wideRest, `${path}.${place}`),
      ),
      ...(most > places.length ? this.#inside(rest, wideRest, `${path}[]`) : []),
    ];
  }
}

const STRING: JsonSchemaObject = { type: 'string' };

/** Keywords with schemas of the same value, which may declare further members. */
const DECLARING = /^(anyOf|oneOf|allOf|if|then|else|dependentSchemas|\$dynamicRef)$/;

/** What members may be that are not declared. */
function othersOf(schema: JsonSchemaObject, open: boolean): JsonSchema {
  if (Object.keys(named(schema, 'patternProperties')).length > 0) return true;
  const { additionalProperties } = schema;
  if (isKeywords(additionalProperties) || typeof additionalProperties === 'boolean') return additionalProperties;
  return open || Object.keys(schema).some((keyword) => DECLARING.test(keyword));
}

function itemsOf({ items = true }: JsonSchemaObject): JsonSchema | undefined {
  return isKeywords(items) || typeof items === 'boolean' ? items : undefined;
}

/** Each of the parts holds: what one of them proves is proven. */
function fewest(found: readonly (readonly Problem[])[]): readonly Problem[] {
  return found.reduce((best, problems) => (problems.length < best.length ? problems : best), found[0] ?? []);
}

function unique(problems: readonly Problem[]): readonly Problem[] {
  return [...new Map(problems.map((problem) => [`${problem.path} ${problem.reason}`, problem])).values()];
}
