import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { findRabbit, isSkip, type RabbitBroker } from '../../integration/src/rabbit-broker.ts';
import { skip } from '../../integration/src/skip.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const ROWS = {
  'tavrida-1': ['Received messages'],
  'tavrida-2': ['Requests to A', 'Requests from A to B'],
  'tavrida-3': ['Requests to A', 'Requests from A to B', 'Responses from B to A'],
} as const;

type Line = Readonly<Record<string, unknown>>;

describe('bench tavrida', function () {
  this.timeout(60_000);
  let broker: RabbitBroker;

  before(async function () {
    this.timeout(180_000);
    const found = await findRabbit();
    if (isSkip(found)) skip(this, 'bench tavrida', found.skip);
    broker = found;
  });

  const measure = async (seconds: number, ...args: readonly string[]): Promise<Line[]> => {
    const { code, out, err } = await bench(...args, '--url', broker.url, '--seconds', `${seconds}`, '--json');
    expect({ code, err }).to.deep.equal({ code: 0, err: '' });
    return out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
  };

  for (const [scenario, rows] of Object.entries(ROWS))
    it(`T-50: ${scenario} prints the document's rows and its figures beside ours`, async () => {
      const lines = await measure(10, scenario, '--load', 'backlog:2000');
      expect(lines.map(({ row }) => row)).to.deep.equal(rows);
      for (const line of lines) {
        expect(line).to.include({ scenario, engine: 'concurrent', lane: 'split', load: 'backlog:2000' });
        for (const key of ['documentSync', 'documentAsync', 'rate', 'count']) expect(line[key], key).to.be.above(0);
      }
      expect(lines[0]?.['count']).to.equal(2_000);
      if (scenario !== 'tavrida-1') expect(lines[1]?.['perRequest']).to.be.at.least(0.998);
      if (scenario === 'tavrida-3') expect(lines[2]?.['drained']).to.be.at.least(0.99);
      if (scenario === 'tavrida-1') expect(lines[0]?.['twinRate']).to.be.above(0);
      expect(lines[0]?.['connections']).to.equal(scenario === 'tavrida-1' ? 2 : 3);
    });

  it('T-35: tavrida-3 shows that with shared lanes answers wait behind requests', async () => {
    const answered = async (lane: string): Promise<number> => {
      const lines = await measure(2, 'tavrida-3', '--lane', lane, '--engine', 'serial', '--load', 'backlog:10000');
      return Number(lines[2]?.['perRequest']);
    };
    expect(await answered('shared')).to.be.below((await answered('split')) / 2);
  });

  it('sends each message over a connection of its own where it is told to', async () => {
    const [line] = await measure(2, 'tavrida-1', '--load', 'per-message-connection', '--engine', 'serial');
    expect(line?.['connections']).to.be.above(Number(line?.['count']));
  });

  for (const [option, value] of [
    ['--engine', 'steam'],
    ['--lane', 'third'],
    ['--load', 'rate'],
    ['--load', 'backlog:0'],
  ] as const)
    it(`refuses ${option} ${value} with one line and exit code 2`, async () => {
      const { code, out, err } = await bench('tavrida-1', '--url', 'rabbit://localhost', option, value);
      expect({ code, out }).to.deep.equal({ code: 2, out: '' });
      expect(err).to.match(new RegExp(`^${option} must be [^\\n]+\\n$`));
    });
});

/** Runs the program, and its peers, from their sources, as this test runs. */
async function bench(...args: readonly string[]): Promise<{ code: unknown; out: string; err: string }> {
  const child = spawn(process.execPath, [...process.execArgv, MAIN, ...args]);
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code, out, err };
}
