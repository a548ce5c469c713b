/** Metrics for Prometheus of a service and its client: `prometheus.ts [url] [port]`. */
import { type Context, connect, RPCClient, RPCServer } from 'posthorn';

const [url = 'memory://', port = '9464'] = process.argv.slice(2);

// #region prometheus
import { createServer } from 'node:http';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { openTelemetry } from '@posthorn/telemetry/opentelemetry';

const exporter = new PrometheusExporter({ preventServerStart: true });
openTelemetry({ meterProvider: new MeterProvider({ readers: [exporter] }) });

const metrics = createServer((request, response) => exporter.getMetricsRequestHandler(request, response));
metrics.listen(Number(port));
// #endregion prometheus

const transport = await connect(url);
const endpoints = [{ echo: (_context: Context, { text }: { text: string }) => text }];
await new RPCServer(transport, { target: { topic: 'demo', server: 'server1' }, endpoints }).start();

const client = new RPCClient(transport, { target: { topic: 'demo' } });
for (let n = 0; n < 3; n++) await client.call({}, 'echo', { text: `${n}` });
await client.call({}, 'no_such_method').catch(() => undefined);

const address = metrics.address();
console.log(`http://127.0.0.1:${typeof address === 'object' ? address?.port : port}/metrics`);

process.once('SIGTERM', async () => {
  metrics.close();
  metrics.closeAllConnections();
  await transport.close();
});
