/**
 * Prints the tables of docs/scale.md that are computed: what a fleet costs, and the storms.
 *
 *     print-scale-tables [1000,10000,100000]
 */
import { numbers } from '../numbers.ts';
import { fleetRows, LOSSES, stormRows } from './scale-tables.ts';

const sizes = numbers('sizes', process.argv[2] ?? '1000,10000,100000');
for (const line of fleetRows(sizes)) console.log(line);
for (const loss of LOSSES) {
  console.log(`\n${loss.name}\n`);
  for (const line of stormRows(loss, sizes)) console.log(line);
}
