import { PassThrough } from 'node:stream';
import { WriteStream } from 'node:tty';
import { expect } from 'chai';
import sinon from 'sinon';
import { run } from '../src/cli/command.ts';
import { nearest } from '../src/cli/nearest.ts';
import { painted, table } from '../src/cli/print.ts';
import { UsageError } from '../src/cli/usage.ts';

/** What a command line writes to standard output. */
async function printedBy(...args: readonly string[]): Promise<string> {
  const write = sinon.stub(process.stdout, 'write').returns(true);
  try {
    await run(args);
    return write.args.map(([text]) => String(text)).join('');
  } finally {
    write.restore();
  }
}

async function refusalOf(...args: readonly string[]): Promise<UsageError> {
  const reason: unknown = await run(args).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(reason instanceof UsageError)) throw new Error(`not refused: ${args.join(' ')}`, { cause: reason });
  return reason;
}

describe('the help of the command', () => {
  let commands: readonly string[];

  before(async () => {
    const lines = (await printedBy('--help')).split('\n');
    commands = lines.flatMap((line) => /^ {2}([a-z]+) {2,}\S/.exec(line)?.[1] ?? []);
  });

  it('lists the commands, each with what it does', () => {
    expect(commands).to.include.members(['call', 'serve', 'publish', 'dlq', 'doctor', 'topology', 'bench', 'broker']);
  });

  it('has a page for each command: synopsis, options, an example and exit codes', async () => {
    for (const command of commands) {
      const text = await printedBy(command, '--help');
      expect(text, command).to.match(new RegExp(`^usage: posthorn ${command} `));
      expect(text, command).to.match(/^options\n( {2}--.*\n| {4,}\S.*\n)+/m);
      expect(text, command).to.match(new RegExp(`^example\n {2}posthorn ${command}`, 'm'));
      expect(text, command).to.match(/^exit code\n {2}0 {2}/m);
      for (const line of text.split('\n').filter((one) => !/^ {2}posthorn|^usage/.test(one)))
        expect(line.length, line).to.be.at.most(130);
    }
  });

  it('suggests the command that was perhaps meant', async () => {
    expect((await refusalOf('pubish')).message).to.include('did you mean publish?');
    expect((await refusalOf('docter', 'memory://')).message).to.include('did you mean doctor?');
    expect((await refusalOf('zzz')).message).to.equal('no such command: zzz');
  });

  it('refuses options that the command does not know, and says how it is used', async () => {
    const { message, usage } = await refusalOf('call', 'memory://', 't', 'm', '--pool', 'p');
    expect(message).to.equal('call knows no --pool');
    expect(usage).to.match(/^posthorn call <url>/);
    expect((await refusalOf('call', 'memory://')).usage).to.match(/^posthorn call <url>/);
  });

  it('tells the version', async () => {
    expect(await printedBy('--version')).to.match(/^\d+\.\d+\.\d+/);
  });
});

describe('the nearest name', () => {
  it('is at most two letters off', () => {
    expect(nearest('clal', ['call', 'cast'])).to.equal('call');
    expect(nearest('cst', ['call', 'cast'])).to.equal('cast');
    expect(nearest('castle', ['call', 'cast'])).to.equal('cast');
    expect(nearest('subscription', ['subscribe'])).to.equal(undefined);
    expect(nearest('', ['dlq'])).to.equal(undefined);
  });
});

/** As Node makes them of terminals and pipes. */
function streamOf(more: object): NodeJS.WriteStream {
  return Object.assign(new PassThrough(), more) as unknown as NodeJS.WriteStream;
}

describe('what is printed', () => {
  const saved = { ...process.env };
  afterEach(() => {
    process.env = { ...saved };
  });

  it('has no colours where there is no terminal, unless they are forced', () => {
    const stream = streamOf({ isTTY: false });
    delete process.env['FORCE_COLOR'];
    expect(painted('red', 'x', stream)).to.equal('x');
    process.env['FORCE_COLOR'] = '1';
    expect(painted('red', 'x', stream)).to.equal('\u001b[31mx\u001b[39m');
    process.env['FORCE_COLOR'] = '0';
    expect(painted('red', 'x', stream)).to.equal('x');
  });

  it('has colours on a terminal, unless they are not wanted', () => {
    const stream = streamOf({ isTTY: true, getColorDepth: WriteStream.prototype.getColorDepth });
    delete process.env['FORCE_COLOR'];
    delete process.env['NO_COLOR'];
    delete process.env['CI'];
    process.env['TERM'] = 'xterm';
    expect(painted('red', 'x', stream)).to.equal('\u001b[31mx\u001b[39m');
    process.env['NO_COLOR'] = '1';
    expect(painted('red', 'x', stream)).to.equal('x');
  });

  it('stands in columns, numbers to the right', () => {
    const rows = [
      ['name', 'count'],
      ['a', 7],
      ['longer', 12],
    ];
    expect(table(rows)).to.equal('name    count\na           7\nlonger     12');
  });
});
