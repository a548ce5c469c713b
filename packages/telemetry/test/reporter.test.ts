import {
  ConfigError,
  type Delivery,
  type Logger,
  MemoryFaults,
  memory,
  newId,
  OutcomeUnknownError,
  processing,
  sending,
  silent,
  TimeoutError,
  Transport,
  UnsupportedError,
} from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import sinon from 'sinon';
import {
  propagation,
  REPORTS,
  reportTelemetry,
  SPANS,
  type SpanBatch,
  type SpanRecord,
  TELEMETRY_EXCHANGE,
  type TelemetryReport,
} from '../src/index.ts';

const TRACE = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', sampled: true };

describe('reporting telemetry', () => {
  let broker: string;
  const opened: AsyncDisposable[] = [];

  const open = async (logger: Logger = silent, faults?: MemoryFaults): Promise<Transport> => {
    const name = broker;
    const transport = await Transport.open((context) => memory(context, { name, ...(faults && { faults }) }), {
      logger,
    });
    opened.push(transport);
    return transport;
  };

  /** Listens to telemetry, and resolves `until` once what came fulfils the condition. */
  const listen = async <T>(pattern: string) => {
    const came: T[] = [];
    let look = (): void => undefined;
    const receive = (delivery: Delivery): void => {
      came.push(JSON.parse(Buffer.from(delivery.message.body).toString()));
      void delivery.settle('accept');
      look();
    };
    await (await open()).subscribe([{ kind: 'topic', exchange: TELEMETRY_EXCHANGE, pattern }], receive);
    const until = (met: (all: readonly T[]) => boolean): Promise<readonly T[]> =>
      new Promise((resolve) => {
        look = () => {
          if (met(came)) resolve(came);
        };
        look();
      });
    return { came, until };
  };

  const serve = async (transport: Transport, topic: string, methods: Readonly<Record<string, () => unknown>>) => {
    const target = { topic, server: 'one' };
    return await new RPCServer(transport, { target, endpoints: [methods] }).start();
  };

  const rowsOf = (reports: readonly TelemetryReport[], service: string) =>
    reports.filter((report) => report.service === service).flatMap(({ rows }) => rows);

  const spansOf = (batches: readonly SpanBatch[]): readonly SpanRecord[] => batches.flatMap(({ spans }) => spans);

  beforeEach(() => {
    broker = newId();
  });

  afterEach(async () => {
    for (const one of opened.splice(0).reverse()) await one[Symbol.asyncDispose]();
    expect(sending.hasSubscribers || processing.hasSubscribers, 'somebody still listens').to.equal(false);
  });

  it('counts calls where they are made and where they are served, with their errors by code', async () => {
    const reports = await listen<TelemetryReport>(REPORTS);
    const [here, there] = [await open(), await open()];
    reportTelemetry(here, { service: 'api', everyMs: 100 });
    reportTelemetry(there, { service: 'compute', everyMs: 100 });
    await serve(there, 'compute', {
      reboot: () => 'done',
      fail: () => {
        throw new TypeError('no such thing');
      },
    });
    const client = new RPCClient(here, { target: { topic: 'compute' } });
    await client.call({}, 'reboot', {});
    await client.call({}, 'reboot', {});
    await client.call({}, 'fail', {}).catch(() => undefined);
    const sum = (service: string, name: string): number =>
      rowsOf(reports.came, service)
        .filter((row) => row.name === name)
        .reduce((total, { count }) => total + count, 0);
    await reports.until(() =>
      ['api', 'compute'].every((service) => sum(service, 'reboot') + sum(service, 'fail') === 3),
    );
    const [sent] = rowsOf(reports.came, 'api').filter(({ name, count }) => name === 'fail' && count > 0);
    expect(sent).to.deep.include({ direction: 'send', pattern: 'rpc', operation: 'call', topic: 'compute', count: 1 });
    expect(sent?.errors).to.deep.equal({ REMOTE: 1 });
    const [served] = rowsOf(reports.came, 'compute').filter(({ name, count }) => name === 'fail' && count > 0);
    expect(served).to.deep.include({ direction: 'process', operation: 'serve', exchange: 'posthorn', count: 1 });
    expect(served?.errors).to.deep.equal({ TypeError: 1 });
  });

  it('tells who reports, and how the transport is', async () => {
    const reports = await listen<TelemetryReport>(REPORTS);
    reportTelemetry(await open(), { service: 'api', everyMs: 100 });
    const [first, report] = await reports.until((all) => all.length > 1);
    expect(first?.rows, 'at once, with nothing in it').to.deep.equal([]);
    expect(report).to.deep.include({ version: 1, service: 'api', pid: process.pid, everyMs: 100, ended: false });
    expect(report?.transport).to.deep.equal({
      ...{ driver: 'memory', status: 'connected', health: 'healthy', reconnects: 0, lateSettlements: 0 },
    });
    expect(report?.overMs).to.be.greaterThan(50);
  });

  it('counts nothing that it sends itself, and is not kept where nobody listens', async () => {
    const transport = await open();
    const telemetry = reportTelemetry(transport, { service: 'quiet', everyMs: 100 });
    await telemetry[Symbol.asyncDispose]();
    const reports = await listen<TelemetryReport>(REPORTS);
    reportTelemetry(transport, { service: 'quiet', everyMs: 100 });
    const all = await reports.until((came) => came.length >= 3);
    expect(rowsOf(all, 'quiet')).to.deep.equal([]);
    expect(all[0]?.ended, 'the last words of the one before').to.equal(false);
  });

  it('says that it was the last report when its transport closes', async () => {
    const reports = await listen<TelemetryReport>(REPORTS);
    const transport = await open();
    reportTelemetry(transport, { service: 'brief', everyMs: 60_000 });
    await transport.close();
    await reports.until((all) => all.some(({ ended }) => ended));
    expect(reports.came.map(({ ended }) => ended)).to.deep.equal([false, true]);
  });

  it('tells the steps of a sampled trace, each with the step that it is part of', async () => {
    const batches = await listen<SpanBatch>(SPANS);
    const here = await open();
    using trace = propagation();
    reportTelemetry(here, { service: 'api' });
    const [second, third] = [await open(), await open()];
    reportTelemetry(second, { service: 'conductor' });
    reportTelemetry(third, { service: 'compute' });
    const compute = new RPCClient(second, { target: { topic: 'compute' } });
    await serve(third, 'compute', { build: () => 'built' });
    await serve(second, 'conductor', { boot: () => compute.call({}, 'build', {}) });
    const conductor = new RPCClient(here, { target: { topic: 'conductor' } });
    expect(await trace.run(TRACE, () => conductor.call({}, 'boot', {}))).to.equal('built');
    const spans = spansOf(await batches.until((all) => spansOf(all).length >= 4));
    const find = (service: string, direction: string): SpanRecord | undefined =>
      spans.find((span) => span.service === service && span.direction === direction);
    const [call, boot] = [find('api', 'send'), find('conductor', 'process')];
    const [nested, build] = [find('conductor', 'send'), find('compute', 'process')];
    expect(new Set(spans.map(({ traceId }) => traceId))).to.deep.equal(new Set([TRACE.traceId]));
    expect(call).to.deep.include({ spanId: TRACE.spanId, name: 'boot', topic: 'conductor', operation: 'call' });
    expect([boot?.parentId, nested?.parentId, build?.parentId]).to.deep.equal([
      ...[call?.spanId, boot?.spanId, nested?.spanId],
    ]);
    expect(call?.durationMs).to.be.greaterThan(build?.durationMs ?? 0);
  });

  it('tells the steps of a hundred traces that end in one turn', async () => {
    const batches = await listen<SpanBatch>(SPANS);
    const here = await open();
    using trace = propagation();
    const reporter = reportTelemetry(here, { service: 'api' });
    const nobody = new RPCClient(here, { target: { topic: 'nobody' } });
    const traceIds = Array.from({ length: 100 }, () => newId());
    await Promise.allSettled(
      traceIds.map((traceId) => trace.run({ ...TRACE, traceId }, () => nobody.call({}, 'x', {}))),
    );
    await reporter[Symbol.asyncDispose]();
    const spans = spansOf(await batches.until((all) => spansOf(all).length >= traceIds.length));
    expect(spans.map(({ traceId }) => traceId)).to.have.members(traceIds);
  });

  it('tells no step of a trace that is not sampled, and begins none', async () => {
    const batches = await listen<SpanBatch>(SPANS);
    const transport = await open();
    using trace = propagation();
    reportTelemetry(transport, { service: 'api' });
    await serve(transport, 'echo', { echo: () => 1 });
    const client = new RPCClient(transport, { target: { topic: 'echo' } });
    await client.call({}, 'echo', {});
    await trace.run({ ...TRACE, sampled: false }, () => client.call({}, 'echo', {}));
    await trace.run(TRACE, () => client.call({}, 'echo', {}));
    const spans = spansOf(await batches.until((all) => spansOf(all).length >= 2));
    expect(spans.map(({ traceId, spanId }) => [traceId, spanId])).to.deep.include([TRACE.traceId, TRACE.spanId]);
    expect(spans).to.have.length(2);
  });

  it('tells with the step how it failed', async () => {
    const batches = await listen<SpanBatch>(SPANS);
    const transport = await open();
    using trace = propagation();
    reportTelemetry(transport, { service: 'api' });
    const client = new RPCClient(transport, { target: { topic: newId() }, unrouted: 'fail' });
    await trace.run(TRACE, () => client.call({}, 'echo', {}).catch(() => undefined));
    const [span] = spansOf(await batches.until((all) => all.length > 0));
    expect(span?.error?.code).to.equal('UNROUTABLE');
  });

  it('counts what it could not send, and logs that once', async () => {
    const warnings: string[] = [];
    const warn: Logger['warn'] = (_fields, message = '') => void warnings.push(message);
    const faults = new MemoryFaults();
    const reports = await listen<TelemetryReport>(REPORTS);
    const transport = await open({ ...silent, warn }, faults);
    faults.nextSends('refuse', 'refuse', 'refuse');
    reportTelemetry(transport, { service: 'unheard', everyMs: 100 });
    const [report] = await reports.until((all) => all.length > 0);
    expect(report?.dropped.failures).to.equal(3);
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.include('telemetry could not be sent');
  });

  it('goes on after a report that the broker did not confirm in time', async () => {
    const reports = await listen<TelemetryReport>(REPORTS);
    const transport = await open();
    const cause = new TimeoutError('the confirmation', 100);
    const send = sinon.stub(transport, 'send').callThrough();
    send.onFirstCall().rejects(new OutcomeUnknownError('sending', { cause }));
    reportTelemetry(transport, { service: 'slow', everyMs: 100 });
    const [report] = await reports.until((all) => all.length > 0);
    expect(report?.dropped.failures).to.equal(1);
  });

  it('counts as a failure what it cannot count, and ends nobody over it', async () => {
    const reports = await listen<TelemetryReport>(REPORTS);
    const transport = await open();
    reportTelemetry(transport, { service: 'odd', everyMs: 100 });
    const what = { pattern: 'rpc', operation: 'call', name: 7 as never, exchange: undefined, topic: 'odd' } as const;
    const activity = { ...what, transport, context: {}, content: {}, headers: {} };
    await sending.tracePromise(async () => undefined, activity);
    await reports.until((all) => all.some(({ dropped }) => dropped.failures === 1));
  });

  it('counts on while there is no connection, and then reports for all that time', async () => {
    const faults = new MemoryFaults();
    const reports = await listen<TelemetryReport>(REPORTS);
    const transport = await open(silent, faults);
    reportTelemetry(transport, { service: 'cut', everyMs: 100 });
    await reports.until((all) => all.length > 0);
    faults.disconnect();
    const cutAt = performance.now();
    const client = new RPCClient(transport, { target: { topic: 'echo' } });
    await client.cast({}, 'echo', {}, { timeoutMs: 250 }).catch(() => undefined);
    const outageMs = performance.now() - cutAt;
    faults.reconnect();
    const isLate = ({ rows }: TelemetryReport): boolean => rows.length > 0;
    const late = (await reports.until((all) => all.some(isLate))).find(isLate);
    expect(late?.rows[0]).to.deep.include({ operation: 'cast', count: 1, errors: { TIMEOUT: 1 } });
    expect(late?.overMs).to.be.greaterThan(outageMs);
    expect(late?.transport).to.include({ reconnects: 1, health: 'degraded' });
  });

  it('refuses names that are none', async () => {
    const transport = await open();
    for (const service of ['', 'a.*', '#', 'two words'])
      expect(() => reportTelemetry(transport, { service }), service).to.throw(ConfigError);
    expect(() => reportTelemetry(transport, { everyMs: 1 })).to.throw(ConfigError);
  });

  it('refuses a transport without topics', async () => {
    const transport = await Transport.open(async (context) => {
      const driver = await memory(context);
      return new Proxy(driver, {
        get(target, key) {
          if (key === 'features') return { ...target.features, kinds: ['anycast', 'reply'] };
          const value = Reflect.get(target, key, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    });
    opened.push(transport);
    expect(() => reportTelemetry(transport)).to.throw(UnsupportedError, 'does not support topics');
  });
});
