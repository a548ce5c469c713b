import { describe } from '@posthorn/core';
import { stringifyPythonJson } from '@posthorn/oslo';
import { PING_METHOD, RPCClient, RPCServer, waitUntilReady } from '@posthorn/rpc';
import { endpointsOf } from './endpoints-of.ts';
import { load, open, stopped } from './open.ts';
import { type CommandLine, duration, objectOf, targetOf } from './options.ts';

const DEFAULT_TIMEOUT_MS = 60_000;

/** `call`, `cast`, `fanout` and `ping`. */
export async function ask(command: string, { words, options }: CommandLine): Promise<void> {
  const [url = '', address = '', method = '', args] = words;
  const timeoutMs = duration('--timeout', options.timeout) ?? DEFAULT_TIMEOUT_MS;
  const waitMs = duration('--wait', options.wait);
  const target = { ...targetOf(address, options), ...(command === 'fanout' && { fanout: true }) };
  const context = objectOf('--context', options.context ?? '{}');
  const named = objectOf('the arguments', args ?? '{}');
  const transport = await open(url, options);
  try {
    const client = new RPCClient(transport, { target, timeoutMs, unrouted: 'fail' });
    if (command === 'call') print(await client.call(context, method, named));
    else if (command === 'ping') await ping(client, address, waitMs);
    else await client.cast(context, method, named);
  } finally {
    await transport.close();
  }
}

async function ping(client: RPCClient, address: string, waitMs: number | undefined): Promise<void> {
  const began = performance.now();
  if (waitMs !== undefined) await waitUntilReady(client, { timeoutMs: waitMs });
  const asked = waitMs === undefined ? began : performance.now();
  const answer = await client.call({}, PING_METHOD, {});
  process.stdout.write(`${answer} from ${address} in ${(performance.now() - asked).toFixed(1)} ms\n`);
}

export async function serve({ words, options }: CommandLine): Promise<void> {
  const [url = '', topic = '', server = '', module = ''] = words;
  const endpoints = endpointsOf(await load(module), module);
  const transport = await open(url, options);
  const target = { ...targetOf(topic, options), server };
  try {
    await new RPCServer(transport, { target, endpoints }).start();
    const { exchange = transport.wire.exchange } = target;
    const address = describe({ kind: 'unicast', exchange, topic, server });
    process.stdout.write(`serving ${address}\n`);
    await stopped();
  } finally {
    await transport.close();
  }
}

function print(result: unknown): void {
  if (result instanceof Uint8Array) process.stdout.write(result);
  else process.stdout.write(`${stringifyPythonJson(result)}\n`);
}
