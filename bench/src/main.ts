import { messageOf, parseTransportUrl } from '@posthorn/core';
import { BadUsage, type Options, readOptions, USAGE } from './options.ts';
import { Json, type Report, Table } from './report.ts';
import { rpc } from './rpc.ts';

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = readOptions(args);
    parseTransportUrl(options.url);
  } catch (error) {
    console.error(`${messageOf(error)}; usage: ${USAGE}`);
    return 2;
  }
  const report: Report = options.json ? new Json() : new Table();
  try {
    await rpc(options, report);
    return 0;
  } catch (error) {
    console.error(`${messageOf(error)}`);
    return error instanceof BadUsage ? 2 : 1;
  }
}
