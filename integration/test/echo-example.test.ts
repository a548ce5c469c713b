import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { newId, silent } from '@posthorn/core';
import { RPCClient } from '@posthorn/rpc';
import { expect } from 'chai';
import { connect } from 'posthorn';
import { echoClient, echoServer, type RunningProgram, runProgram } from '../src/echo-example.ts';
import { isSkip, type RabbitBroker, rabbitVersions } from '../src/rabbit-broker.ts';
import { skip } from '../src/skip.ts';
import { waitFor } from '../src/wait-for.ts';

const GREETING = 'Hello, Posthorn!';
const shiftedClock = fileURLToPath(new URL('../src/shifted-clock.ts', import.meta.url));

describe('the echo example', function () {
  this.timeout(60_000);
  const programs: RunningProgram[] = [];
  const run = async (...args: Parameters<typeof runProgram>): Promise<RunningProgram> => {
    const program = await runProgram(...args);
    programs.push(program);
    return program;
  };

  afterEach(async () => {
    for (const program of programs.splice(0)) await program.process.stop();
  });

  for (const file of [echoServer, echoClient])
    it(`O-02: ${file.split('/').pop()} has at most 30 lines`, () => {
      expect(readFileSync(file, 'utf8').trimEnd().split('\n')).to.have.length.within(1, 30);
    });

  it('O-01: server and client in one process talk over memory, and the process exits by itself', async () => {
    const both = await run([echoServer, echoClient], [`memory://${newId()}`]);
    expect(await both.process.wait()).to.equal('code 0');
    expect(both.lines).to.deep.equal(['ready', GREETING]);
  });

  for (const { name, find } of rabbitVersions())
    describe(`over ${name}`, () => {
      let broker: RabbitBroker;
      let topic: string;

      before(async function () {
        this.timeout(180_000);
        const found = await find();
        if (isSkip(found)) skip(this, name, found.skip);
        broker = found;
      });

      beforeEach(() => {
        topic = `echo-${newId()}`;
      });

      const serve = async (
        files: readonly string[],
        env?: Readonly<Record<string, string>>,
      ): Promise<RunningProgram> => {
        const server = await run(files, [broker.url, topic], env);
        await waitFor('the server to be ready', () => server.lines.includes('ready') || server.process.ended, 30_000);
        expect(server.process.ended, server.process.tail.join('\n')).to.equal(undefined);
        return server;
      };

      it('O-01: two processes, and the client prints what came back and exits', async () => {
        await serve([echoServer]);
        const client = await run([echoClient], [broker.url, topic]);
        expect(await client.process.wait()).to.equal('code 0');
        expect(client.lines).to.deep.equal([GREETING]);
      });

      it('O-04: a call to its control endpoint ends the server process cleanly, after the reply', async () => {
        const server = await serve([echoServer]);
        await using transport = await connect(broker.url, { logger: silent });
        const control = new RPCClient(transport, { target: { topic, namespace: 'control', version: '2.0' } });
        expect(await control.call({}, 'stop')).to.equal(null);
        expect(await server.process.wait()).to.equal('code 0');
      });

      for (const shiftMs of [3_600_000, -3_600_000])
        it(`a server process whose clock is ${shiftMs / 3_600_000} h off is called within a deadline`, async () => {
          const server = await serve([shiftedClock, echoServer], { POSTHORN_CLOCK_SHIFT_MS: String(shiftMs) });
          expect(server.process.tail).to.include(`the clock is ${shiftMs / 3_600_000} h off`);
          await using transport = await connect(broker.url, { logger: silent });
          const client = new RPCClient(transport, { target: { topic }, timeoutMs: 5_000 });
          expect(await client.call({}, 'test', { arg: 'in time' })).to.equal('in time');
        });

      for (const shiftMs of [3_600_000, -3_600_000])
        it(`a client process whose clock is ${shiftMs / 3_600_000} h off calls within a deadline`, async () => {
          await serve([echoServer]);
          const env = { POSTHORN_CLOCK_SHIFT_MS: String(shiftMs) };
          const client = await run([shiftedClock, echoClient], [broker.url, topic], env);
          expect(await client.process.wait()).to.equal('code 0');
          expect(client.lines).to.deep.equal([GREETING]);
          expect(client.process.tail).to.include(`the clock is ${shiftMs / 3_600_000} h off`);
        });
    });
});
