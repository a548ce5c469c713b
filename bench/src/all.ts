import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { messageOf } from '@posthorn/core';
import { BadUsage } from './bad-usage.ts';
import { GOAL_COLUMNS, verdicts } from './goals.ts';
import { type Host, hostFacts } from './host.ts';
import { plot } from './plot.ts';
import { JsonLines, Table } from './report.ts';
import type { Row, Scenario, Settings } from './scenario.ts';
import { scenarios } from './scenarios.ts';
import { filled, type Result } from './tables.ts';

export const ALL_USAGE =
  'bench all --url rabbit://… [--amqp1 amqp1://…] [--rivals] [--only rpc,…] [--part 1] [--json] [--write page.md] runs all that a page has';

interface Run extends Partial<Settings> {
  readonly scenario: string;
  readonly on: 'rabbit' | 'amqp1' | 'memory';
  readonly seconds: number;
}

/** A quarter of an hour on a quiet machine. Where the seconds are none, the number of messages is the bound. */
const RUNS: readonly Run[] = [
  { scenario: 'rpc', on: 'rabbit', seconds: 90 },
  { scenario: 'publish', on: 'rabbit', seconds: 40 },
  { scenario: 'consume', on: 'rabbit', seconds: 0, messages: 40_000 },
  { scenario: 'cast', on: 'rabbit', seconds: 0 },
  { scenario: 'notify', on: 'rabbit', seconds: 0, messages: 50_000 },
  { scenario: 'fanout', on: 'rabbit', seconds: 0 },
  { scenario: 'server-overhead', on: 'rabbit', seconds: 0, messages: 40_000 },
  { scenario: 'roundtrips', on: 'rabbit', seconds: 0 },
  { scenario: 'wires', on: 'rabbit', seconds: 30 },
  { scenario: 'connect', on: 'rabbit', seconds: 0 },
  { scenario: 'memory', on: 'memory', seconds: 20 },
  { scenario: 'rpc', on: 'amqp1', seconds: 60 },
  { scenario: 'publish', on: 'amqp1', seconds: 30 },
  { scenario: 'roundtrips', on: 'amqp1', seconds: 0 },
  { scenario: 'scale', on: 'rabbit', seconds: 60, own: { processes: '1,200' } },
];
const RIVALS: Run = { scenario: 'rivals', on: 'rabbit', seconds: 60 };
const SLICES = 5;

/** Runs what a page has tables for, one scenario after the other, and puts the tables into it. */
export async function all(args: readonly string[]): Promise<number> {
  const { urls, rivals, only, part, json, write } = read(args);
  const rows: Row[] = [];
  const results: Result[] = [];
  let failed = 0;
  for (const run of [...RUNS, ...(rivals ? [RIVALS] : [])]) {
    const scenario = scenarios.find(({ name }) => name === run.scenario);
    const url = urls[run.on];
    if (scenario === undefined || url === undefined || only?.includes(scenario.name) === false) continue;
    try {
      const measurement = await measure(scenario, settingsOf(run, url, part), json);
      rows.push(...measurement.rows);
      results.push(...measurement.rows.map((row) => ({ ...row, host: measurement.host })));
    } catch (error) {
      failed++;
      console.error(`${scenario.name}: ${messageOf(error)}`);
    }
  }
  const goals = verdicts(rows);
  if (!json) print(goals);
  if (write !== undefined) {
    // A part says too little of the goals.
    const tables = only === undefined ? [...results, ...goals] : results;
    writeFileSync(write, filled(readFileSync(write, 'utf8'), tables, [...scenarios, GOALS]));
    const calls = rows.filter((row) => row.scenario === 'rpc' && row.transport === 'rabbit');
    if (calls.length > 0) writeFileSync(write.replace(/\.md$/, '.svg'), plot(calls));
  }
  return failed > 0 ? 1 : 0;
}

/** What the goals need to be a table of a page. */
const GOALS: Pick<Scenario, 'name' | 'columns'> = { name: 'goals', columns: GOAL_COLUMNS };

function settingsOf({ seconds, messages, own = {} }: Run, url: string, part: number): Settings {
  return {
    url,
    seconds: Math.max(1, seconds * part),
    messages: messages && Math.ceil(messages * part),
    slices: SLICES,
    own,
  };
}

interface Measurement {
  readonly rows: readonly Row[];
  readonly host: Host;
}

async function measure(scenario: Scenario, settings: Settings, json: boolean): Promise<Measurement> {
  const rows: Row[] = [];
  const lines = new JsonLines();
  const table = json ? undefined : new Table(scenario);
  const start = performance.now();
  if (!json) console.log(`\n## ${scenario.name}\n`);
  let host = hostFacts(undefined);
  await scenario.run(settings, {
    begin(about) {
      host = hostFacts(about.broker);
      (table ?? lines).begin(about);
    },
    progress: (done, total, what) => table?.progress(done, total, what),
    row(row) {
      rows.push(row);
      (table ?? lines).row(row);
    },
  });
  table?.end();
  if (!json) console.log(`\n${Math.round((performance.now() - start) / 1_000)} s`);
  return { rows, host };
}

function print(goals: readonly Row[]): void {
  console.log('\n## goals\n');
  for (const { what, bound, worst, met } of goals)
    console.log(
      `${met === 'yes' ? 'met   ' : 'MISSED'}  ${String(what).padEnd(52)} ${String(bound).padEnd(18)} ${Number(worst).toFixed(2)}`,
    );
}

function read(args: readonly string[]) {
  const { url, amqp1, rivals, only: names, part, json, write } = parsed(args);
  if (url === undefined || !/^rabbits?:/i.test(url)) throw new BadUsage('--url must begin with rabbit://');
  const share = Number(part);
  if (!(share > 0 && share <= 10)) throw new BadUsage('--part must be a number above 0');
  const only = names?.split(',');
  const unknown = only?.find((name) => ![...RUNS, RIVALS].some(({ scenario }) => scenario === name));
  if (unknown !== undefined) throw new BadUsage(`--only ${unknown}: no scenario of a page`);
  if (write !== undefined && !existsSync(write)) throw new BadUsage(`--write ${write}: there is no such page`);
  return { urls: { rabbit: url, amqp1, memory: 'memory://' }, rivals, only, part: share, json, write };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        url: { type: 'string' },
        amqp1: { type: 'string' },
        rivals: { type: 'boolean', default: false },
        only: { type: 'string' },
        part: { type: 'string', default: '1' },
        json: { type: 'boolean', default: false },
        write: { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw new BadUsage(messageOf(error).split('. ')[0] ?? '');
  }
}
