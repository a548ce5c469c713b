import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Context, newId, silent, type Transport } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { propagation, reportTelemetry } from '@posthorn/telemetry';
import { expect } from 'chai';
import sinon from 'sinon';
import { run } from '../src/cli/command.ts';
import { UsageError } from '../src/cli/usage.ts';
import { connect, oslo } from '../src/index.ts';

/** Runs a command, and returns what it wrote to standard output, and what it threw. */
async function written(args: readonly string[]): Promise<{ readonly text: string; readonly error?: unknown }> {
  let text = '';
  const write = (chunk: unknown, done?: unknown): boolean => {
    text += String(chunk);
    if (typeof done === 'function') done();
    return true;
  };
  const stubs = [
    sinon.stub(process.stdout, 'write').callsFake(write),
    sinon.stub(process.stderr, 'write').returns(true),
  ];
  try {
    await run(args);
    return { text };
  } catch (error) {
    return { text, error };
  } finally {
    for (const stub of stubs) stub.restore();
  }
}

/** Blocks the event loop: nothing is read, and then all timers are due at once. */
function block(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
}

describe('posthorn trace, in one process', () => {
  let folder: string;
  let transport: Transport;
  let url: string;
  const svg = (): string => readFileSync(join(folder, 'trace.svg'), 'utf8');

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'posthorn-trace-'));
    url = `memory://${newId()}`;
    transport = await connect(url, { logger: silent });
    reportTelemetry(transport, { service: 'far' });
    const fail = (): never => {
      throw new RangeError('no such thing');
    };
    await new RPCServer(transport, {
      target: { topic: 'compute', server: 'one' },
      endpoints: [{ reboot: () => undefined, fail }],
    }).start();
  });

  afterEach(async () => {
    await transport.close();
    rmSync(folder, { recursive: true });
  });

  it('draws a cast as text and as a picture, with who did what', async () => {
    const args = ['trace', url, 'cast', 'compute', 'reboot', '--wait', '100ms', '--svg', join(folder, 'trace.svg')];
    const { text, error } = await written(args);
    expect(error).to.equal(undefined);
    expect(text.split('\n')[0]?.trim()).to.match(/^posthorn-trace +far$/);
    expect(text).to.match(/├─+ cast reboot · \d+\.\d+ ms ─+▶│/);
    for (const label of ['posthorn-trace', 'far', 'cast reboot']) expect(svg()).to.include(`>${label}`);
  });

  it('draws a call that fails, and then fails as the call did', async () => {
    const args = ['trace', url, 'call', 'compute', 'fail', '--wait', '100ms', '--svg', join(folder, 'trace.svg')];
    const { text, error } = await written(args);
    expect(error).to.include({ code: 'REMOTE' });
    expect(text).to.match(/│◀┄+ ✗ REMOTE: no such thing ┄+┤/);
    expect(svg()).to.include('<g class="failed">').and.include('no such thing');
  });

  it('does not take a stall of its own for the end of the steps', async () => {
    const client = new RPCClient(transport, { target: { topic: 'compute' } });
    const later = (context: Context): void => {
      setTimeout(() => {
        void client.cast(context, 'reboot', {});
        block();
      }, 60);
    };
    const target = { topic: 'later', server: 'one' };
    await new RPCServer(transport, { target, endpoints: [{ later }] }).start();
    const { text } = await written(['trace', url, 'call', 'later', 'later', '--wait', '200ms']);
    expect(text).to.include('cast reboot');
  });

  it('tells the result and each step as JSON', async () => {
    const { text } = await written(['trace', url, 'call', 'compute', 'reboot', '--wait', '100ms', '--json']);
    const { traceId, result, steps } = JSON.parse(text);
    expect(traceId).to.match(/^[0-9a-f]{32}$/);
    expect(result).to.equal(null);
    expect(steps.map(({ service, operation }: Record<string, string>) => `${service} ${operation}`)).to.have.members([
      ...['posthorn-trace call', 'far serve'],
    ]);
  });

  it('follows a call on the wire of oslo.messaging', async () => {
    const view = transport.with({ wire: oslo() });
    const endpoints = [{ resize: () => 'resized' }];
    await new RPCServer(view, { target: { topic: 'compute', server: 'two' }, endpoints }).start();
    const { text } = await written(['trace', url, 'call', 'compute', 'resize', '--wait', '100ms', '--wire', 'oslo']);
    expect(text.split('\n')[0]?.trim()).to.match(/^posthorn-trace +far$/);
    expect(text)
      .to.match(/├─+ call resize ─+▶│/)
      .and.to.match(/"resized"\n$/);
  });

  it('follows the next sampled trace that comes by, where none is named', async () => {
    using traces = propagation({ steps: 'sampled' });
    const following = written(['trace', url, '--wait', '100ms', '--json']);
    const client = new RPCClient(transport, { target: { topic: 'compute' } });
    const first = { traceId: newId(), spanId: '00f067aa0ba902b7', sampled: true };
    const isDone = following.then(() => true);
    while (!(await Promise.race([isDone, traces.run(first, () => client.call({}, 'reboot', {})).then(() => false)])));
    expect(JSON.parse((await following).text).traceId).to.equal(first.traceId);
  });
});

describe('posthorn top and trace', () => {
  for (const [what, args] of [
    ['an order that there is not', ['top', 'memory://', '--sort', 'luck']],
    ['a request that is neither call nor cast', ['trace', 'memory://', 'tell', 'compute', 'reboot']],
    ['a request without a method', ['trace', 'memory://', 'call', 'compute']],
    ['a request and an id', ['trace', 'memory://', 'call', 'compute', 'reboot', '--id', newId()]],
    ['an id that is none', ['trace', 'memory://', '--id', 'x']],
    ['arguments that are no JSON', ['trace', 'memory://', 'call', 'compute', 'reboot', '{half']],
  ] as const)
    it(`refuse ${what}`, async () => {
      const error = await run(args).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).to.be.instanceOf(UsageError);
    });
});
