import { type Comparison, type Declaration, messageOf, parseTransportUrl, type Transport } from '@posthorn/core';
import { CONNECTING, type Command } from './help.ts';
import { ManagementApi } from './management-api.ts';
import { open } from './open.ts';
import type { CommandLine } from './options.ts';
import { painted, printable, type Style, table, told } from './print.ts';
import { compare } from './topology-compare.ts';
import { readTopologyFile } from './topology-file.ts';
import { hazardsOf } from './topology-hazards.ts';
import { type Planned, planOf } from './topology-plan.ts';
import { UsageError } from './usage.ts';

const VERBS = ['plan', 'apply', 'diff'] as const;
type Verb = (typeof VERBS)[number];

export const topology: Command = {
  name: 'topology',
  synopsis: 'plan|apply|diff <url> <file>',
  words: [3, 3],
  summary: 'tells, makes or compares what an application declares at its broker',
  about: `Exchanges, queues with their arguments and bindings, as the servers, listeners, subscribers and mailboxes of a file would declare them, retries and dead letters included.

  plan    tells what would be declared, and what is dangerous about it; asks the broker nothing but its version
  apply   declares it, so that an application can do without permission to configure (?declare=none in its URL)
  diff    compares it with the broker: same, missing, clash (the same name with other attributes), unknown

The file is YAML or JSON. Every part may be left out:

  servers:      [{ topic: compute, server: [host1, host2], exchange: nova }]
  notifiers:    [{ topics: [notifications], priorities: [info, error] }]
  listeners:    [{ targets: [{ topic: notifications }], pool: billing, retry: { limit: 3 } }]
  publishers:   [{ exchange: metering }]
  subscribers:  [{ exchange: metering, bindings: ['disk.#'], group: billing, retention: { durability: quorum } }]
  mailboxes:    [{ name: e1-h7, maxLength: 1000 }]
  services:     [./services.yaml]

AMQP cannot tell of bindings, and AMQP 1.0 not of exchanges: --api asks the management API of RabbitMQ instead. Private queues, which go with their connection, are not listed.`,
  options: [['api', "diff: RabbitMQ's management API, http://user:password@host:15672"], ...CONNECTING],
  examples: [
    'posthorn topology diff rabbit://localhost/prod ./topology.yaml --api http://guest:guest@localhost:15672',
    'posthorn topology apply rabbit://admin:secret@localhost/prod ./topology.yaml',
  ],
  exits: { 1: 'a clash, or something the broker refuses; or failed, and standard error says why' },
  run: runTopology,
};

interface Row extends Planned {
  readonly state: 'planned' | 'same' | 'made' | 'missing' | 'clash' | 'unknown' | 'refused';
  readonly reason?: string;
  readonly hazards: readonly string[];
}

async function runTopology({ words, options }: CommandLine): Promise<void> {
  const [given = '', url = '', file = ''] = words;
  const verb = VERBS.find((one) => one === given);
  if (verb === undefined) throw new UsageError(`topology: "${given}" is none of ${VERBS.join(', ')}`);
  if (options.api !== undefined && verb !== 'diff') throw new UsageError(`topology ${verb} knows no --api`);
  const api =
    options.api === undefined ? undefined : new ManagementApi(options.api, parseTransportUrl(url).vhost ?? '/');
  const content = await readTopologyFile(file);
  const transport = await open(url, options);
  try {
    const planned = await planOf(transport, content);
    const version = (await api?.version()) ?? transport.agreed?.version;
    const rows: Row[] = [];
    for (const one of planned) {
      const { declaration } = one;
      if (isPrivate(declaration, planned)) continue;
      rows.push(await rowOf(transport, verb, one, { api, version, planned }));
    }
    await show(verb, rows, options.json === true);
    if (rows.some(isBad)) process.exitCode = 1;
  } finally {
    await transport.close();
  }
}

/** A private queue, or what feeds one. */
function isPrivate(declaration: Declaration, planned: readonly Planned[]): boolean {
  if (declaration.kind === 'exchange') return false;
  const name = declaration.kind === 'queue' ? declaration.name : declaration.queue;
  return planned.some(({ declaration: one }) => one.kind === 'queue' && one.exclusive && one.name === name);
}

async function rowOf(
  transport: Transport,
  verb: Verb,
  one: Planned,
  {
    api,
    version,
    planned,
  }: {
    readonly api: ManagementApi | undefined;
    readonly version: string | undefined;
    readonly planned: readonly Planned[];
  },
): Promise<Row> {
  const { declaration } = one;
  const rival = rivalOf(one, planned);
  if (rival !== undefined)
    return { ...one, state: 'clash', reason: `the file wants it otherwise, too: for ${rival.for}`, hazards: [] };
  if (verb === 'plan') return { ...one, state: 'planned', hazards: hazardsOf(declaration, version) };
  const { comparison, found } = await compare(transport, declaration, api);
  const hazards = hazardsOf(declaration, version, found);
  const isThere = comparison.state === 'same' || comparison.state === 'differs';
  if (verb === 'diff' || isThere) return { ...one, ...outcomeOf(comparison, 'same'), hazards };
  return { ...one, ...(await made(transport, declaration)), hazards };
}

async function made(transport: Transport, declaration: Declaration): Promise<Pick<Row, 'state' | 'reason'>> {
  try {
    return outcomeOf(await transport.declare(declaration, 'create'), 'made');
  } catch (error) {
    return { state: 'refused', reason: messageOf(error) };
  }
}

/** The same name with other attributes, in the same file. */
function rivalOf({ declaration }: Planned, planned: readonly Planned[]): Planned | undefined {
  if (declaration.kind === 'binding') return undefined;
  return planned.find(
    ({ declaration: other }) =>
      other !== declaration && other.kind === declaration.kind && other.name === declaration.name,
  );
}

function outcomeOf(comparison: Comparison, same: 'same' | 'made'): Pick<Row, 'state' | 'reason'> {
  switch (comparison.state) {
    case 'same':
      return { state: same };
    case 'absent':
      return { state: 'missing' };
    case 'unknown':
      return { state: 'unknown' };
    case 'differs':
      return { state: 'clash', reason: comparison.reason };
  }
}

function isBad({ state }: Row): boolean {
  return state === 'clash' || state === 'refused';
}

const SIGNS: Readonly<Record<Row['state'], readonly [sign: string, style: Style]>> = {
  planned: ['·', 'dim'],
  same: ['=', 'dim'],
  made: ['+', 'green'],
  missing: ['-', 'yellow'],
  clash: ['✗', 'red'],
  refused: ['✗', 'red'],
  unknown: ['?', 'dim'],
};

async function show(verb: Verb, rows: readonly Row[], asJson: boolean): Promise<void> {
  if (asJson) {
    for (const { declaration, for: wanted, state, reason, hazards } of rows)
      await told({ json: true }, { state, ...declaration, for: wanted, reason, hazards }, '');
    return;
  }
  const lines = table([
    ['', 'kind', 'name', 'with', 'for'],
    ...rows.map(({ declaration, for: wanted, state }) => [
      SIGNS[state][0],
      declaration.kind,
      ...detailsOf(declaration),
      printable(wanted),
    ]),
  ]).split('\n');
  const text = lines.flatMap((line, index) => {
    const row = rows[index - 1];
    if (row === undefined) return [line];
    const notes = [
      ...(row.reason === undefined ? [] : [painted('red', `     ${row.state}: ${printable(row.reason)}`)]),
      ...row.hazards.map((hazard) => painted('yellow', `     ! ${hazard}`)),
    ];
    return [`${painted(SIGNS[row.state][1], line)}`, ...notes];
  });
  await told({}, undefined, `${text.join('\n')}\n\n${summaryOf(verb, rows)}`);
}

function detailsOf(declaration: Declaration): readonly [name: string, details: string] {
  switch (declaration.kind) {
    case 'exchange':
      return [printable(declaration.name), [declaration.type, ...flagsOf(declaration)].join(', ')];
    case 'queue': {
      const args = Object.entries(declaration.arguments).map(([name, value]) => `${name}=${value}`);
      return [printable(declaration.name), printable([...flagsOf(declaration), ...args].join(', '))];
    }
    case 'binding': {
      const { exchange, queue, key } = declaration;
      return [printable(`${exchange} → ${queue}`), key === '' ? '' : printable(`key ${key}`)];
    }
  }
}

function flagsOf({
  durable,
  autoDelete,
}: {
  readonly durable: boolean;
  readonly autoDelete: boolean;
}): readonly string[] {
  return [durable ? 'durable' : 'transient', ...(autoDelete ? ['auto-delete'] : [])];
}

function summaryOf(verb: Verb, rows: readonly Row[]): string {
  const count = (state: Row['state']): number => rows.filter((row) => row.state === state).length;
  const states = (['planned', 'same', 'made', 'missing', 'unknown', 'clash', 'refused'] as const).filter(count);
  const text = `${verb}: ${states.map((state) => `${count(state)} ${state}`).join(', ')}`;
  const hazards = rows.reduce((sum, row) => sum + row.hazards.length, 0);
  const hazardous = hazards === 0 ? '' : `, ${hazards} ${hazards === 1 ? 'hazard' : 'hazards'}`;
  return `${text}${hazardous}${count('unknown') === 0 ? '' : '; --api tells what is unknown'}`;
}
