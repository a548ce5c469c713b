import { MalformedError } from '@posthorn/core';
import type { StandardSchemaV1 } from '@standard-schema/spec';

/** A Standard Schema of any library: zod, valibot, arktype, … */
export type Schema = StandardSchemaV1;

/**
 * Where values are checked. `incoming` (the default): what arrives, which also applies the defaults and conversions of
 * its schema. `all`: also what leaves, before it is sent; it travels as it was given. `none`: nothing is checked, and
 * values are handed on as they came.
 */
export type Validate = 'incoming' | 'all' | 'none';

/** Arguments that do not follow the contract. Refused before the method runs; the peer that sent them is told the path. */
export class InvalidParamsError extends MalformedError {}

/**
 * What the schema makes of the value. A promise only where the schema is asynchronous.
 *
 * @throws {MalformedError} or rejects, saying where it is wrong: `create.params.flavor.ram: expected a number`
 */
export function parse(
  schema: Schema,
  value: unknown,
  path: string,
  ErrorClass: new (message: string) => MalformedError = MalformedError,
): unknown {
  const told = (result: StandardSchemaV1.Result<unknown>): unknown => {
    if (result.issues === undefined) return result.value;
    throw new ErrorClass(issuesText(result.issues, path));
  };
  const result = schema['~standard'].validate(value);
  return result instanceof Promise ? result.then(told) : told(result);
}

/** Told at most; a list with a mistake in each item would fill the log. */
const ISSUES = 5;

function issuesText(issues: readonly StandardSchemaV1.Issue[], root: string): string {
  const texts = issues.slice(0, ISSUES).map(({ path = [], message }) => {
    const parts = path.map((part) => String(typeof part === 'object' ? part.key : part));
    return `${[root, ...parts].join('.')}: ${message}`;
  });
  const more = issues.length - texts.length;
  return `${texts.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}
