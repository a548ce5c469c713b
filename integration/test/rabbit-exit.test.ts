import { fileURLToPath } from 'node:url';
import { newId } from '@posthorn/core';
import { expect } from 'chai';
import { needRabbit } from '../src/rabbit-lab.ts';
import { TiedProcess } from '../src/tied-process.ts';

const PROGRAM = fileURLToPath(new URL('./programs/call-once.ts', import.meta.url));

describe('RabbitMQ: the end of a process', () => {
  for (const query of ['', '?connections=split', '?wire=oslo']) {
    it(`a program that has closed its transport exits by itself with code 0 ${query}`, async function () {
      this.timeout(90_000);
      const { url } = await needRabbit(this);
      const lines: string[] = [];
      const args = ['--import', 'tsx', '--conditions=@posthorn/source', PROGRAM, `${url}${query}`, newId()];
      const child = await TiedProcess.start(process.execPath, args, { onLine: (line) => void lines.push(line) });
      expect(await child.wait(), child.tail.join('\n')).to.equal('code 0');
      expect(lines).to.deep.equal(['{"answer":42}']);
      expect(child.tail).to.deep.equal(lines); // nothing on standard error
    });
  }
});
