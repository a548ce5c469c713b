import { type CallInfo, type Context, RPCClient, RPCServer } from 'posthorn';
import { transport } from './place.ts';

const target = { topic: 'images' };

// #region opentelemetry
import { openTelemetry } from '@posthorn/telemetry/opentelemetry';

// After the SDK was set up. Until it is disposed of, all that this process sends and handles is traced and counted.
const telemetry = openTelemetry();
// #endregion opentelemetry
telemetry[Symbol.dispose]();

// #region propagation
import { propagation, readTrace } from '@posthorn/telemetry';

const traces = propagation();

// The trace that an HTTP request belongs to goes on in what its handler sends.
async function handle(headers: Readonly<Record<string, unknown>>): Promise<void> {
  await traces.run(readTrace(headers), () => new RPCClient(transport, { target }).call({}, 'fetch'));
}
// #endregion propagation

// #region mixin
// For pino: `pino({ mixin })`. With OpenTelemetry: `trace.getActiveSpan()?.spanContext().traceId`.
const mixin = (): object => ({ traceId: traces.current()?.traceId });

// #endregion mixin

// #region report
import { reportTelemetry } from 'posthorn';

// Until the transport closes, or what this returns is disposed of.
reportTelemetry(transport, { service: 'nova.images' });
// #endregion report

const endpoint = {
  fetch(_context: Context, _args: object, { headers }: CallInfo): void {
    console.log(headers['traceparent']);
    console.log(JSON.stringify(mixin()));
  },
};
await new RPCServer(transport, { target: { ...target, server: 'host1' }, endpoints: [endpoint] }).start();
await handle({ traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' });
await transport.close();
