import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newId } from '@posthorn/core';
import { expect } from 'chai';
import { runProgram } from '../../integration/src/echo-example.ts';
import { isSkip, rabbitVersions } from '../../integration/src/rabbit-broker.ts';
import { skip } from '../../integration/src/skip.ts';

const example = join(fileURLToPath(new URL('../examples', import.meta.url)), 'metering.ts');

describe('the metering example', () => {
  /** What it prints, the order of its two sides aside. */
  async function run(url: string): Promise<string[]> {
    const { process, lines } = await runProgram([example], [url, `metering-${newId()}`, 'some.key']);
    try {
      expect(await process.wait(), process.tail.join('\n')).to.equal('code 0');
      return lines.toSorted();
    } finally {
      await process.stop();
    }
  }

  const PRINTED = [
    'metering: 17 of cpu_util from compute.host1',
    'some.key: blah',
    'some.key: blah',
    'the last one was confirmed',
  ];

  it('G-25, G-26, G-27, G-28: the code that was asked for reads nearly the same, and runs', async function () {
    this.timeout(30_000);
    expect(await run('memory://')).to.deep.equal(PRINTED);
  });

  for (const { name, find } of rabbitVersions())
    it(`runs over ${name} by its URL alone`, async function () {
      this.timeout(180_000);
      const broker = await find();
      if (isSkip(broker)) skip(this, name, broker.skip);
      expect(await run(broker.url)).to.deep.equal(PRINTED);
    });
});

describe('the glossary', () => {
  it('G-29: says for each generic term what it is on each protocol', () => {
    const page = readFileSync(fileURLToPath(new URL('../messaging.md', import.meta.url)), 'utf8');
    const [, glossary = ''] = page.split('## Glossary');
    const rows = glossary
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .map((line) => line.split('|').slice(1, -1));
    const terms = rows.map(([term = '']) => term.trim());
    expect(terms).to.include.members([
      'exchange',
      'routing key',
      'pattern',
      'group',
      'mailbox',
      'subscriber',
      'publisher',
    ]);
    for (const row of rows) expect(row.map((cell) => cell.trim()).filter(Boolean), row.join()).to.have.length(3);
  });
});
