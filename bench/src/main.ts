import { readFileSync, writeFileSync } from 'node:fs';
import { messageOf, parseTransportUrl } from '@posthorn/core';
import { ALL_USAGE, all } from './all.ts';
import { BadUsage } from './bad-usage.ts';
import { type Options, readOptions, usageOf } from './options.ts';
import { plot } from './plot.ts';
import { JsonLines, Table } from './report.ts';
import type { Row, Watcher } from './scenario.ts';
import { scenarios } from './scenarios.ts';
import { filled, type Result } from './tables.ts';

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  let options: Options;
  try {
    if (args[0] === 'tables') return tables(args.slice(1));
    if (args[0] === 'all') return await all(args.slice(1));
    options = readOptions(args, scenarios);
    parseTransportUrl(options.url);
  } catch (error) {
    console.error(`${messageOf(error)}; usage: ${usageOf(scenarios)}; ${ALL_USAGE}`);
    return 2;
  }
  const { json, svg } = options;
  const rows: Row[] = [];
  try {
    for (const scenario of options.scenarios) {
      const table = json ? undefined : new Table(scenario);
      const watcher: Watcher = table ?? new JsonLines();
      await scenario.run(options, {
        begin: (about) => watcher.begin?.(about),
        progress: (done, total, what) => watcher.progress?.(done, total, what),
        row(row) {
          rows.push(row);
          watcher.row(row);
        },
      });
      table?.end();
    }
    if (svg !== undefined) writeFileSync(svg, plot(rows));
    return 0;
  } catch (error) {
    console.error(messageOf(error));
    return error instanceof BadUsage ? 2 : 1;
  }
}

/** `bench tables page.md results.jsonl…`: puts what `--json` printed into the tables of a page. */
function tables([page, ...files]: readonly string[]): number {
  if (page === undefined || files.length === 0) throw new BadUsage('tables needs a page and files of results');
  const lines = files.flatMap((file) => readFileSync(file, 'utf8').split('\n'));
  const results = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Result);
  writeFileSync(page, filled(readFileSync(page, 'utf8'), results, scenarios));
  return 0;
}
