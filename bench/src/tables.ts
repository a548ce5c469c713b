import { textOf } from './report.ts';
import type { Scenario } from './scenario.ts';

/** `<!-- figures: rpc rabbit -->` … `<!-- end of figures -->`: what is between is made from results. */
const BLOCK = /(<!-- figures: (\S+) (\S+) -->\n)[\s\S]*?(<!-- end of figures -->)/g;

type Tabled = Pick<Scenario, 'name' | 'columns'>;

/** A line of `--json`. */
export interface Result {
  readonly scenario: string;
  readonly transport: string;
  readonly [column: string]: unknown;
}

/** Puts the tables of the results into a page of Markdown. Blocks that have none stay as they are. */
export function filled(page: string, results: readonly Result[], scenarios: readonly Tabled[]): string {
  return page.replace(BLOCK, (block, begin: string, name: string, transport: string, end: string) => {
    const scenario = scenarios.find((one) => one.name === name);
    const rows = results.filter((row) => row.scenario === name && row.transport === transport);
    if (scenario === undefined || rows.length === 0) return block;
    return `${begin}${tableOf(scenario, rows)}\n\n${hostOf(rows)}\n${end}`;
  });
}

function tableOf({ columns }: Tabled, rows: readonly Result[]): string {
  const shown = columns.filter(({ key }) => rows.some((row) => row[key] !== undefined && row[key] !== null));
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(shown.map(({ title }) => title.trim())),
    line(shown.map(() => '---')),
    ...rows.map((row) => line(shown.map((column) => textOf(row, column)))),
  ].join('\n');
}

function hostOf([first]: readonly Result[]): string {
  const host = first?.['host'];
  if (typeof host !== 'object' || host === null) return '';
  const facts = { node: '', cpus: '', cpu: '', memoryGiB: '', load: '', broker: '', ...host };
  const where = [
    `Node ${facts.node}`,
    `${facts.cpus} × ${facts.cpu}`,
    `${facts.memoryGiB} GiB`,
    facts.broker,
    `load ${facts.load} before`,
  ];
  return `*${where.filter(Boolean).join(', ')}.*`;
}
