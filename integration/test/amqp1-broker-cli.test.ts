import { fileURLToPath } from 'node:url';
import { newId } from '@posthorn/core';
import { expect } from 'chai';
import { type RunningProgram, runProgram } from '../src/echo-example.ts';
import { freePorts } from '../src/free-port.ts';
import { waitFor } from '../src/wait-for.ts';

const command = fileURLToPath(new URL('../../packages/posthorn/src/cli.ts', import.meta.url));
const story = fileURLToPath(new URL('../src/scenarios/boot-in-processes.ts', import.meta.url));
const endpoints = fileURLToPath(new URL('./programs/echo-endpoint.ts', import.meta.url));

describe('posthorn broker', function () {
  this.timeout(30_000);
  const programs: RunningProgram[] = [];
  const run = async (...args: readonly string[]): Promise<RunningProgram> => {
    const program = await runProgram([command], args);
    programs.push(program);
    return program;
  };
  const firstLine = async ({ lines, process }: RunningProgram): Promise<string> => {
    await waitFor('a line', () => lines.length > 0 || process.ended, 20_000);
    return lines[0] ?? `it ended with ${process.ended}: ${process.tail.join('\n')}`;
  };

  afterEach(async () => {
    for (const program of programs.splice(0)) await program.process.stop();
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    it(`prints its URL alone, says what it does not keep, and ends well at ${signal}`, async () => {
      const [port] = await freePorts(1);
      const broker = await run('broker', '--port', String(port));
      expect(await firstLine(broker)).to.equal(`amqp1://127.0.0.1:${port}`);
      await waitFor('the remark', () => broker.process.tail.some((line) => /in memory only/.test(line)));
      broker.process.signal(signal);
      expect(await broker.process.wait()).to.equal('code 0');
      expect(broker.lines).to.have.lengthOf(1);
    });

  it('says which port is in use', async () => {
    const broker = await run('broker', '--port', '0');
    const port = (await firstLine(broker)).split(':').at(-1) ?? '';
    const second = await run('broker', '--port', port);
    expect(await second.process.wait()).to.equal('code 1');
    expect(second.process.tail.join('\n')).to.include(`port ${port} of 127.0.0.1 is in use`);
  });

  for (const args of [['--port', 'x'], ['--port', '65536'], ['--user', 'nobody'], ['extra']])
    it(`refuses ${args.join(' ')}`, async () => {
      const broker = await run('broker', ...args);
      expect(await broker.process.wait()).to.equal('code 2');
    });

  it('lets processes talk that know its URL alone, but not those without its password', async () => {
    const broker = await run('broker', '--port', '0', '--user', 'ann:secret');
    const url = (await firstLine(broker)).replace('ann@', 'ann:secret@');
    const topic = `t-${newId()}`;
    const server = await run('serve', url, topic, 's', endpoints);
    expect(await firstLine(server)).to.match(/^serving /);
    const client = await run('call', url, topic, 'echo', '{"text":"hello"}');
    expect(await client.process.wait()).to.equal('code 0');
    expect(client.lines).to.deep.equal(['"hello"']);
    const stranger = await run('call', url.replace('secret', 'wrong'), topic, 'echo', '{"text":"hello"}');
    expect(await stranger.process.wait()).to.equal('code 1');
    expect(stranger.process.tail.join('\n')).to.match(/ACCESS/);
    server.process.signal('SIGTERM');
    expect(await server.process.wait()).to.equal('code 0');
  });

  it('carries the story of boot-an-instance with each service in a process of its own', async function () {
    this.timeout(90_000);
    const told = await runProgram([story], []);
    programs.push(told);
    expect(await told.process.wait(), told.process.tail.join('\n')).to.equal('code 0');
    expect(told.lines[0]).to.match(/^Boot an instance, in processes, over amqp1:\/\/127\.0\.0\.1:\d+$/);
    // The api asks who is there until it is told.
    const pings = told.lines.filter((line) => line.includes('oslo_rpc_server_ping')).length;
    expect(pings).to.be.at.least(1);
    expect(told.lines.at(-1)).to.equal(`${5 + pings} messages sent; every service has shut down.`);
    const heard = told.lines.filter((line) => /dashboard .*hears/.test(line));
    expect(heard).to.have.lengthOf(5);
  });
});
