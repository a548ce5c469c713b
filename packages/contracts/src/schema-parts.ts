import { type JsonSchema, type JsonSchemaObject, listed, resolved } from './json-schema.ts';

/**
 * One of the schemas that a value follows together with others. Where it is `open` it says nothing of the members that it
 * does not declare: others may.
 */
export interface Part {
  readonly schema: JsonSchemaObject;
  readonly open: boolean;
}

export const ANY: JsonSchemaObject = {};
const ALTERNATIVES = 64;
const REFERENCES = 32;

const ABOUT =
  /^(x-.*|id|\$schema|\$id|\$comment|\$defs|definitions|title|description|examples|default|deprecated|readOnly|writeOnly)$/;

/** Whether the keyword says nothing of which values there are. */
export function isAnnotation(keyword: string): boolean {
  return ABOUT.test(keyword);
}

function isAbout(schema: JsonSchemaObject): boolean {
  return Object.keys(schema).every(isAnnotation);
}

/** Resolves references and `allOf`. Undefined where no value follows it. */
export function partsOf(
  root: JsonSchema,
  schema: JsonSchema,
  open: boolean,
  depth: number = REFERENCES,
): readonly Part[] | undefined {
  if (schema === false) return undefined;
  if (schema === true || depth === 0) return [{ schema: ANY, open: true }];
  const { $ref, allOf, ...rest } = schema;
  if ($ref === undefined && allOf === undefined) return [{ schema, open }];
  const others = listed(schema, 'allOf');
  const referred = $ref === undefined ? [] : [resolved(root, $ref) ?? true];
  const isAlone = others.length + referred.length === 1 && isAbout(rest);
  const found = [...referred, ...others].map((one) => partsOf(root, one, open || !isAlone, depth - 1));
  const parts: Part[] = isAbout(rest) ? [] : [{ schema: rest, open: true }];
  for (const one of found) {
    if (one === undefined) return undefined;
    parts.push(...one);
  }
  return parts;
}

/** With one of its alternatives in place of each `anyOf` and `oneOf`. Undefined where there is none, or too many. */
export function alternativesOf(root: JsonSchema, parts: readonly Part[]): readonly (readonly Part[])[] | undefined {
  const index = parts.findIndex(({ schema }) => 'anyOf' in schema || 'oneOf' in schema);
  const part = parts[index];
  if (part === undefined) return undefined;
  const keyword = 'anyOf' in part.schema ? 'anyOf' : 'oneOf';
  const { [keyword]: _, ...rest } = part.schema;
  const others = parts.filter((other) => other !== part);
  const beside = isAbout(rest) ? others : [...others, { schema: rest, open: true }];
  const open = part.open || beside.length > 0;
  const alternatives: (readonly Part[])[] = [];
  for (const alternative of listed(part.schema, keyword)) {
    const found = partsOf(root, alternative, open);
    if (found === undefined) continue;
    const all = [...beside, ...found];
    alternatives.push(...(alternativesOf(root, all) ?? [all]));
    if (alternatives.length > ALTERNATIVES) return undefined;
  }
  return alternatives;
}
