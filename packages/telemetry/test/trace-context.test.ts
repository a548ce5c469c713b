import { setImmediate } from 'node:timers/promises';
import { context, trace } from '@opentelemetry/api';
import { type Activity, type Context, memory, processing, sending, Transport } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { propagation, readTrace, type Step, traceHeaders } from '../src/index.ts';
import { Tracing } from './tracing.ts';

const CAME = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', sampled: true, state: 'a=1' };

interface Info {
  readonly headers: Readonly<Record<string, unknown>>;
}

describe('propagation without OpenTelemetry', () => {
  let transport: Transport;
  /** What the last of the hops, `end`, was called with. */
  let arrived: Readonly<Record<string, unknown>>[];

  beforeEach(async () => {
    arrived = [];
    transport = await Transport.open((driver) => memory(driver));
    const end = (_: object, __: object, { headers }: Info): void => void arrived.push(headers);
    const middle = async (ctxt: Context): Promise<void> => {
      await setImmediate();
      await client('end').call(ctxt, 'end');
    };
    await serve('end', { end });
    await serve('middle', { middle });
  });

  afterEach(() => transport.close());

  const client = (topic: string): RPCClient => new RPCClient(transport, { target: { topic } });
  const serve = (topic: string, endpoint: object): Promise<unknown> =>
    new RPCServer(transport, { target: { topic, server: 'one' }, endpoints: [endpoint] }).start();

  it('passes on what came, as it came, after awaits and in nested calls', async () => {
    using traces = propagation();
    await traces.run(CAME, () => client('middle').call({}, 'middle'));
    expect(arrived).to.deep.equal([traceHeaders(CAME)]);
  });

  it('begins no trace by itself', async () => {
    using traces = propagation();
    await client('middle').call({}, 'middle');
    expect([traces.current(), arrived]).to.deep.equal([undefined, [{}]]);
  });

  it('tells where the code that asks is, and keeps traces that run at the same time apart', async () => {
    using traces = propagation();
    const seen: (string | undefined)[] = [];
    await serve('who', {
      async who() {
        await setImmediate();
        seen.push(traces.current()?.traceId);
      },
    });
    const ids = ['1', '2', '3'].map((digit) => digit.repeat(32));
    await Promise.all(ids.map((traceId) => traces.run({ ...CAME, traceId }, () => client('who').call({}, 'who'))));
    expect(seen).to.have.members(ids);
    expect(traces.current()).to.equal(undefined);
  });

  it('never overwrites a traceparent that is among the headers', async () => {
    using traces = propagation();
    const own = traceHeaders({ ...CAME, spanId: '1'.repeat(16) });
    const set = (message: unknown): void => void Object.assign((message as Activity).headers, own);
    sending.start.subscribe(set);
    try {
      using _later = propagation({ steps: true });
      await traces.run(CAME, () => client('end').call({}, 'end'));
    } finally {
      sending.start.unsubscribe(set);
    }
    // The first, which was there before the application's, wrote what came; the application overwrote that; the last left it.
    expect(arrived).to.deep.equal([own]);
  });

  it('ignores a traceparent that makes no sense', async () => {
    using _traces = propagation();
    const broken: object = { traceparent: 'x' };
    const layers = [
      (next: (call: never) => Promise<unknown>) => (call: { headers: object }) => {
        Object.assign(call.headers, broken);
        return next(call as never);
      },
    ];
    await new RPCClient(transport, { target: { topic: 'middle' }, layers }).call({}, 'middle');
    expect(arrived).to.deep.equal([{}]);
  });

  it('ends when it is disposed of', async () => {
    const traces = propagation();
    traces[Symbol.dispose]();
    await traces.run(CAME, () => client('middle').call({}, 'middle'));
    expect(arrived).to.deep.equal([{}]);
    expect([sending.hasSubscribers, processing.hasSubscribers]).to.deep.equal([false, false]);
  });

  describe('with steps', () => {
    /** The steps by what they are, once everything has ended. */
    const stepsOf = async (run: () => Promise<unknown>, traces: ReturnType<typeof propagation>) => {
      const steps: Record<string, Step | undefined> = {};
      const nothing = (): void => {};
      const ended = (activity: Activity): void => {
        steps[`${activity.operation} ${activity.name}`] = traces.stepOf(activity);
      };
      const subscribers = { start: nothing, end: nothing, asyncStart: nothing, asyncEnd: ended, error: nothing };
      sending.subscribe(subscribers);
      processing.subscribe(subscribers);
      try {
        await run();
      } finally {
        sending.unsubscribe(subscribers);
        processing.unsubscribe(subscribers);
      }
      return steps;
    };

    it('begins a trace, in which each step knows the one that it is part of', async () => {
      using traces = propagation({ steps: true });
      const steps = await stepsOf(() => client('middle').call({}, 'middle'), traces);
      const path = ['call middle', 'serve middle', 'call end', 'serve end'].map((name) => steps[name]);
      expect(path.map((step) => step?.parentId)).to.deep.equal([
        undefined,
        ...path.slice(0, -1).map((step) => step?.spanId),
      ]);
      expect(new Set(path.map((step) => step?.traceId)).size).to.equal(1);
      expect(new Set(path.map((step) => step?.spanId)).size).to.equal(4);
      expect(readTrace(arrived[0] ?? {})?.spanId).to.equal(steps['call end']?.spanId);
    });

    it('has the ids that OpenTelemetry sends, where both are there, in either order', async () => {
      for (const isFirst of [true, false]) {
        using before = isFirst ? propagation({ steps: true }) : undefined;
        using tracing = new Tracing();
        using traces = before ?? propagation({ steps: true });
        const steps = await stepsOf(() => client('end').call({}, 'end'), traces);
        const { traceId, spanId } = tracing.span('call posthorn:end').spanContext();
        expect(steps['call end']).to.include({ traceId, spanId });
        expect(steps['serve end']).to.include({ traceId, parentId: spanId });
        expect(trace.getSpan(context.active())).to.equal(undefined);
      }
    });
  });

  it('needs no OpenTelemetry to be imported', async () => {
    const program = `
      import { register } from 'node:module';
      const hook = 'export const resolve = (name, at, next) => { if (name.startsWith("@opentelemetry")) throw new Error(name); return next(name, at); };';
      register('data:text/javascript,' + encodeURIComponent(hook));
      const { propagation } = await import('@posthorn/telemetry');
      propagation()[Symbol.dispose]();
      console.log('done');
    `;
    expect(await output(program)).to.equal('done\n');
  });
});

async function output(program: string): Promise<string> {
  const { execFile } = await import('node:child_process');
  const { promisify } = await import('node:util');
  const flags = ['--conditions=@posthorn/source', '--import', 'tsx', '--input-type=module', '--eval', program];
  const cwd = new URL('..', import.meta.url);
  return (await promisify(execFile)(process.execPath, flags, { cwd })).stdout;
}
