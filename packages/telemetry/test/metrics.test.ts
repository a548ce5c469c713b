import {
  AggregationTemporality,
  type DataPoint,
  type Histogram,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { memory, newId, Transport } from '@posthorn/core';
import { Publisher } from '@posthorn/messaging';
import { NotificationListener, Notifier } from '@posthorn/notify';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { openTelemetry } from '../src/opentelemetry.ts';

describe('metrics', () => {
  let transport: Transport;
  let provider: MeterProvider;
  let exporter: InMemoryMetricExporter;

  beforeEach(async () => {
    transport = await Transport.open((driver) => memory(driver));
    exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    provider = new MeterProvider({
      readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 60_000 })],
    });
  });

  afterEach(async () => {
    await transport.close();
    await provider.shutdown();
  });

  /** The data points of a metric by its operation. */
  const read = async (name: string) => {
    await provider.forceFlush();
    const all =
      exporter
        .getMetrics()
        .at(-1)
        ?.scopeMetrics.flatMap(({ metrics }) => metrics) ?? [];
    const metric = all.find(({ descriptor }) => descriptor.name === name);
    const points: readonly DataPoint<unknown>[] = metric?.dataPoints ?? [];
    const byOperation = Object.fromEntries(
      points.map((point) => [String(point.attributes['messaging.operation.name']), point]),
    );
    return { unit: metric?.descriptor.unit, byOperation };
  };

  const values = ({ byOperation }: Awaited<ReturnType<typeof read>>) =>
    Object.fromEntries(Object.entries(byOperation).map(([operation, { value }]) => [operation, value]));

  const histogramOf = (point: DataPoint<unknown> | undefined): Histogram => point?.value as Histogram;

  it('count what is sent and what is received, and time both', async () => {
    using _telemetry = openTelemetry({ meterProvider: provider });
    let told = (): void => {};
    const cast = new Promise<void>((resolve) => {
      told = resolve;
    });
    const endpoints = [{ ping: () => 'pong', note: () => told() }];
    await using server = await new RPCServer(transport, { target: { topic: 't', server: 's' }, endpoints }).start();
    const client = new RPCClient(transport, { target: { topic: 't' } });
    for (let n = 0; n < 3; n++) await client.call({}, 'ping');
    await client.cast({}, 'note');
    await cast;
    // It closes once what runs has ended.
    await server.close();

    expect(values(await read('messaging.client.sent.messages'))).to.deep.equal({ call: 3, cast: 1 });
    expect(values(await read('messaging.client.consumed.messages'))).to.deep.equal({ serve: 4 });
    const sent = await read('messaging.client.operation.duration');
    const processed = await read('messaging.process.duration');
    expect([sent.unit, processed.unit]).to.deep.equal(['s', 's']);
    expect([
      histogramOf(sent.byOperation['call']).count,
      histogramOf(processed.byOperation['serve']).count,
    ]).to.deep.equal([3, 4]);
    expect(histogramOf(sent.byOperation['call']).sum).to.be.within(0, 3);
    expect(histogramOf(sent.byOperation['call']).buckets.boundaries).to.deep.equal([
      0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
    ]);
    expect(sent.byOperation['call']?.attributes).to.deep.equal({
      'messaging.system': 'memory',
      'messaging.operation.name': 'call',
      'messaging.destination.name': 'posthorn:t',
    });
  });

  it('say what failed by its code', async () => {
    using _telemetry = openTelemetry({ meterProvider: provider });
    await new RPCClient(transport, { target: { topic: 'nobody' } }).call({}, 'm').catch(() => undefined);
    const publisher = new Publisher(transport, { exchange: 'e', publisherId: 'p' });
    await publisher.publish({ messageType: 'm', version: '1.0', payload: 1 }, { unrouted: 'fail' });
    const { byOperation } = await read('messaging.client.operation.duration');
    expect(byOperation['call']?.attributes).to.include({ 'error.type': 'UNROUTABLE' });
    expect(byOperation['publish']?.attributes).to.include({ 'error.type': 'UNROUTABLE' });
  });

  it('count each message of a batch, and time the batch once', async () => {
    using _telemetry = openTelemetry({ meterProvider: provider });
    let handled = (): void => {};
    const all = new Promise<void>((resolve) => {
      handled = resolve;
    });
    const options = { targets: [{ topic: 'notifications' }], pool: newId(), batch: { size: 3, maxAgeMs: 60_000 } };
    await using listener = await new NotificationListener(transport, {
      ...options,
      endpoints: [{ info: () => handled() }],
    }).start();
    const notifier = new Notifier(transport, { publisherId: 'p' });
    for (let n = 0; n < 3; n++) await notifier.info({}, 'e', { n });
    await all;
    await listener.close();
    expect(values(await read('messaging.client.consumed.messages'))).to.deep.equal({ listen: 3 });
    expect(histogramOf((await read('messaging.process.duration')).byOperation['listen']).count).to.equal(1);
    expect(values(await read('messaging.client.sent.messages'))).to.deep.equal({ notify: 3 });
  });
});
