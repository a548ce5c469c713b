import { isKeywords, type JsonSchema, listed, named, required } from './json-schema.ts';
import { own, valuesOf } from './schema-values.ts';
import type { ContractSnapshot, EventSnapshot, MethodSnapshot } from './snapshot.ts';
import { STYLE } from './style.ts';

/** A page about contracts, for people: it is all in one file, and needs no scripts. */
export function contractHtml(contracts: readonly ContractSnapshot[]): string {
  const title = contracts.map(({ name, version }) => `${name} ${version}`).join(', ');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<nav>${contracts.map(contentsOf).join('')}</nav>
<main>${contracts.map(contractOf).join('')}</main>
</body>
</html>
`;
}

function contentsOf({ name, version, methods, events }: ContractSnapshot): string {
  const links = (heading: string, names: readonly string[]): string =>
    names.length === 0
      ? ''
      : `<h2>${heading}</h2><ul>${names.map((one) => `<li>${link(`${name}.${one}`, one)}</li>`).join('')}</ul>`;
  return `<section><a class="contract" href="#${id(name)}">${escaped(name)} <small>${escaped(version)}</small></a>${links('Methods', Object.keys(methods))}${links('Events', Object.keys(events))}</section>`;
}

function contractOf({
  name,
  description,
  version,
  topic,
  exchange,
  namespace,
  methods,
  events,
}: ContractSnapshot): string {
  const facts = Object.entries({ version, topic, exchange, namespace }).filter(([, value]) => value !== undefined);
  return `<section id="${id(name)}">
<h1>${escaped(name)}</h1>
${paragraph(description)}
<dl class="facts">${facts.map(([key, value]) => `<div><dt>${key}</dt><dd><code>${escaped(String(value))}</code></dd></div>`).join('')}</dl>
${Object.entries(methods)
  .map(([method, one]) => methodOf(`${name}.${method}`, method, one))
  .join('')}
${Object.entries(events)
  .map(([event, one]) => eventOf(`${name}.${event}`, event, one))
  .join('')}
</section>`;
}

function methodOf(
  path: string,
  name: string,
  { description, params, result, stream, errors = {} }: MethodSnapshot,
): string {
  const kind = result === undefined ? 'cast' : stream === undefined ? 'call' : 'stream';
  const failures = Object.entries(errors).map(([type, data]) => schemaOf(`Throws ${escaped(type)}`, data));
  return `<article id="${id(path)}">
<h2>${escaped(name)} <span class="badge ${kind}">${kind}</span></h2>
${paragraph(description)}
${schemaOf('Takes', params)}${schemaOf('Tells on its way', stream)}${schemaOf('Returns', result)}${failures.join('')}
</article>`;
}

function eventOf(path: string, name: string, { description, priority, payload }: EventSnapshot): string {
  return `<article id="${id(path)}">
<h2>${escaped(name)} <span class="badge event">${escaped(priority)} event</span></h2>
${paragraph(description)}
${schemaOf('Payload', payload)}
</article>`;
}

function schemaOf(heading: string, schema: JsonSchema | undefined): string {
  if (schema === undefined) return '';
  const rows = rowsOf(schema, 0);
  const body =
    rows.length === 0
      ? `<p class="type"><code>${escaped(typeText(schema))}</code>${limits(schema)}${about(schema)}</p>`
      : `<div class="scroll"><table><thead><tr><th>name</th><th>type</th><th></th></tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
  return `<h3>${heading}</h3>${body}`;
}

const DEPTH = 6;

/** A row for each member, and for the members of its members. */
function rowsOf(schema: JsonSchema, depth: number): readonly string[] {
  if (!isKeywords(schema) || depth > DEPTH) return [];
  const must = new Set(required(schema));
  return Object.entries(named(schema, 'properties')).flatMap(([name, member]) => {
    const inner = innerOf(member);
    return [
      `<tr><td style="padding-left:${0.75 + depth * 1.25}rem"><code>${escaped(name)}</code>${must.has(name) ? '' : ' <small>optional</small>'}</td><td><code>${escaped(typeText(member))}</code></td><td>${limits(member)}${about(member)}</td></tr>`,
      ...(inner === undefined ? [] : rowsOf(inner, depth + 1)),
    ];
  });
}

/** Of an object, itself; of a list of objects, one of them. */
function innerOf(schema: JsonSchema): JsonSchema | undefined {
  if (!isKeywords(schema)) return undefined;
  const { items } = schema;
  return isKeywords(items) ? items : schema;
}

function typeText(schema: JsonSchema | undefined): string {
  if (schema === true || schema === undefined) return 'anything';
  if (schema === false) return 'nothing';
  const values = valuesOf(schema);
  if (values !== undefined) return values.map((value) => JSON.stringify(value)).join(' | ');
  for (const keyword of ['anyOf', 'oneOf'])
    if (keyword in schema) return listed(schema, keyword).map(typeText).join(' | ');
  const { type, items, format, $ref } = schema;
  if (typeof $ref === 'string') return $ref.split('/').pop() ?? $ref;
  if (Array.isArray(type)) return type.join(' | ');
  if (type === 'array') {
    const first = listed(schema, 'prefixItems');
    if (first.length > 0) return `[${first.map(typeText).join(', ')}]`;
    return isKeywords(items) ? listText(typeText(items)) : 'list';
  }
  if (
    type === 'object' &&
    isKeywords(schema['additionalProperties']) &&
    Object.keys(named(schema, 'properties')).length === 0
  )
    return `{ name: ${typeText(schema['additionalProperties'])} }`;
  if (typeof format === 'string') return format;
  return typeof type === 'string' ? type : 'anything';
}

function listText(item: string): string {
  return item.includes(' ') ? `(${item})[]` : `${item}[]`;
}

const LIMITS: Readonly<Record<string, string>> = {
  minimum: '≥',
  exclusiveMinimum: '>',
  maximum: '≤',
  exclusiveMaximum: '<',
  minLength: 'length ≥',
  maxLength: 'length ≤',
  minItems: 'items ≥',
  maxItems: 'items ≤',
  multipleOf: 'a multiple of',
};

/** Bounds of ours that every safe integer has are not worth a word. */
function limits(schema: JsonSchema): string {
  if (!isKeywords(schema)) return '';
  const bounds = Object.entries(LIMITS).flatMap(([keyword, sign]) => {
    const limit = own(schema as Readonly<Record<string, JsonSchema>>, keyword);
    return limit === undefined || Math.abs(Number(limit)) === Number.MAX_SAFE_INTEGER
      ? []
      : [`${sign} ${String(limit)}`];
  });
  const { pattern, format, default: preset } = schema;
  if (typeof pattern === 'string' && format === undefined) bounds.push(`matches ${pattern}`);
  if (preset !== undefined) bounds.push(`default ${JSON.stringify(preset)}`);
  return bounds.map((bound) => `<span class="limit">${escaped(bound)}</span> `).join('');
}

function about(schema: JsonSchema): string {
  if (!isKeywords(schema)) return '';
  const { description } = schema;
  return typeof description === 'string' ? escaped(description) : '';
}

function paragraph(text: string | undefined): string {
  return text === undefined ? '' : `<p>${escaped(text)}</p>`;
}

function link(path: string, text: string): string {
  return `<a href="#${id(path)}">${escaped(text)}</a>`;
}

function id(path: string): string {
  return encodeURIComponent(path).replaceAll("'", '%27');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
