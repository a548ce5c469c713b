import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { findRabbit, isSkip } from '../../integration/src/rabbit-broker.ts';
import { skip } from '../../integration/src/skip.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));
/** The first of them are what other programs read; more may follow. */
const KEYS = [
  'scenario',
  'transport',
  'inFlight',
  'rate',
  'twinRate',
  'ratio',
  'p50Ms',
  'p99Ms',
  'twinP50Ms',
  'cpuUsPerCall',
  'twinCpuUsPerCall',
  'framesPerCall',
];
/** Three for each publish and delivery, two of each a call; the acknowledgement of the request may be one of several. */
const FRAMES_PER_CALL = [12, 13] as const;

describe('bench rpc', function () {
  this.timeout(60_000);

  it('measures each number in flight over memory, where there is no twin, and prints a line of JSON for each', async () => {
    const { code, out, err } = await bench(
      'rpc',
      '--url',
      'memory://',
      '--in-flight',
      '1,20',
      '--seconds',
      '0.2',
      '--json',
    );

    expect({ code, err }).to.deep.equal({ code: 0, err: '' });
    const lines = parsed(out);
    expect(lines.map(({ inFlight }) => inFlight)).to.deep.equal([1, 20]);
    for (const line of lines) {
      expect(Object.keys(line).slice(0, KEYS.length)).to.deep.equal(KEYS);
      expect(line['host']).to.include({ node: process.version, broker: null });
      expect(line).to.include({ scenario: 'rpc', transport: 'memory', twinRate: null, ratio: null, twinP50Ms: null });
      expect(line).to.include({ twinCpuUsPerCall: null, framesPerCall: null });
      for (const key of ['rate', 'p50Ms', 'p99Ms', 'cpuUsPerCall']) expect(line[key]).to.be.above(0);
    }
  });

  it('measures over RabbitMQ beside its twin, and counts the frames of a call', async function () {
    const broker = await findRabbit();
    if (isSkip(broker)) return skip(this, 'bench rpc over RabbitMQ', broker.skip);

    const { code, out, err } = await bench('rpc', '--url', broker.url, '--in-flight', '10', '--seconds', '1', '--json');

    expect({ code, err }).to.deep.equal({ code: 0, err: '' });
    const [line = {}, ...more] = parsed(out);
    expect(more).to.deep.equal([]);
    expect(Object.keys(line).slice(0, KEYS.length)).to.deep.equal(KEYS);
    expect(line).to.include({ transport: 'rabbit', inFlight: 10 });
    expect(line['framesPerCall']).to.be.within(...FRAMES_PER_CALL);
    for (const key of [...KEYS.slice(KEYS.indexOf('rate')), 'untunedRate', 'bytesPerCall', 'twinBytesPerCall'])
      expect(line[key], key).to.be.above(0);
  });

  it('prints a table for people, with the host before it', async () => {
    const { code, out } = await bench('rpc', '--url', 'memory://', '--in-flight', '5', '--seconds', '0.1');

    expect(code).to.equal(0);
    expect(out).to.match(new RegExp(`^Node ${process.version}, \\d+ × .*, in one process, load [\\d.]+\n`));
    expect(out).to.match(/\nin flight +calls\/s .*frames\/call\n +5 +\d+ /);
  });

  const wrong: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['no scenario', [], /^which scenario\?/],
    ['an unknown scenario', ['chat', '--url', 'memory://'], /^unknown scenario "chat"/],
    [
      'a transport on which a scenario means nothing',
      ['notify', '--url', 'memory://'],
      /^--url must begin with rabbit/,
    ],
    ['rivals where there are none', ['rpc', '--url', 'memory://', '--rivals'], /^--rivals is for rpc/],
    ['tables of nothing', ['tables'], /^tables needs a page/],
    ['no URL', ['rpc'], /^--url is missing/],
    ['a URL of another scheme', ['rpc', '--url', 'amqp://localhost'], /^--url must begin with/],
    ['a number in flight that is none', ['rpc', '--url', 'memory://', '--in-flight', '1,x'], /^--in-flight must be/],
    ['no time', ['rpc', '--url', 'memory://', '--seconds', '0'], /^--seconds must be/],
    ['an unknown option', ['rpc', '--fast'], /^Unknown option '--fast'/],
    ['a page that is measured without RabbitMQ', ['all', '--url', 'memory://'], /^--url must begin with rabbit:/],
    ['a part of no page', ['all', '--url', 'rabbit://', '--only', 'rpc,tavrida-1'], /^--only tavrida-1: /],
    ['a page that is not there', ['all', '--url', 'rabbit://', '--write', '/nowhere.md'], /^--write \/nowhere.md: /],
    ['no part of the time', ['all', '--url', 'rabbit://', '--part', '0'], /^--part must be/],
  ];
  for (const [what, args, message] of wrong) {
    it(`refuses ${what} with one line and exit code 2`, async () => {
      const { code, out, err } = await bench(...args);

      expect({ code, out }).to.deep.equal({ code: 2, out: '' });
      expect(err).to.match(message);
      expect(err).to.match(/^[^\n]+; usage: bench rpc [^\n]+\n$/);
    });
  }

  it('says in one line that the broker cannot be reached, with exit code 1', async () => {
    const { code, out, err } = await bench(
      'rpc',
      '--url',
      'rabbit://127.0.0.1:1/',
      '--in-flight',
      '1',
      '--seconds',
      '1',
    );

    expect({ code, out }).to.deep.equal({ code: 1, out: '' });
    expect(err).to.match(/^[^\n]*ECONNREFUSED[^\n]*\n$/);
  });
});

/** Runs the program, and its peers, from their sources, as this test runs. */
async function bench(...args: readonly string[]): Promise<{ code: unknown; out: string; err: string }> {
  const child = spawn(process.execPath, [...process.execArgv, MAIN, ...args]);
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code, out, err };
}

function parsed(out: string): Record<string, unknown>[] {
  return out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
