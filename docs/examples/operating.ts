const url = process.argv[2] ?? 'memory://';

// #region probe
import { createServer } from 'node:http';
import { type Context, connect, RPCServer } from 'posthorn';

const transport = await connect(url, { onStatus: (status) => console.log(`connection: ${status.state}`) });

const probes = createServer((_request, response) => {
  const { state, lastError, reconnects } = transport.health();
  response.statusCode = state === 'unhealthy' ? 503 : 200;
  response.end(JSON.stringify({ state, reconnects, lastError: lastError?.message }));
}).listen(0);
// #endregion probe

// #region shutdown
const echo = { echo: (_context: Context, { text }: { text: string }) => text };
await new RPCServer(transport, { target: { topic: 'demo', server: 'server1' }, endpoints: [echo] }).start();

process.once('SIGTERM', async () => {
  // No new work; what runs is finished and answered; then the connection is closed.
  const { abandoned } = await transport.close({ timeoutMs: 25_000 });
  for (const name of abandoned) console.log(`abandoned: ${name}`);
  probes.close();
});
// #endregion shutdown
const address = probes.address();
const port = typeof address === 'object' ? address?.port : undefined;
console.log(await (await fetch(`http://127.0.0.1:${port}`)).json());
process.kill(process.pid, 'SIGTERM');
