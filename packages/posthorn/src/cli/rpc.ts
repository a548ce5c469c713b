import { describe } from '@posthorn/core';
import { stringifyPythonJson } from '@posthorn/oslo';
import { PING_METHOD, RPCClient, RPCServer, waitUntilReady } from '@posthorn/rpc';
import { reportTelemetry } from '@posthorn/telemetry';
import { endpointsOf } from './endpoints-of.ts';
import { CONNECTING, type Command } from './help.ts';
import { load, open, stopped } from './open.ts';
import { type CommandLine, duration, objectOf, targetOf } from './options.ts';
import { printable, told } from './print.ts';

const DEFAULT_TIMEOUT_MS = 60_000;
const TARGET = ['exchange', 'namespace', 'target-version'] as const;

export const call: Command = {
  name: 'call',
  synopsis: '<url> <topic>[@server] <method> [json-args]',
  words: [3, 4],
  summary: 'calls a method and prints its result',
  about:
    'Calls a method of one of the servers of the topic, or of the server with that name, and prints the result as JSON; bytes are written as they are. Where no server is there, it fails at once (UNROUTABLE) on transports that can tell. A method that failed prints its code and type.',
  options: [...TARGET, 'timeout', 'context', ...CONNECTING],
  examples: [
    `posthorn call rabbit://localhost compute reboot '{"instance": 7}'`,
    `posthorn call rabbit://localhost compute@host1 uptime --timeout 5s`,
  ],
  run: (line) => ask('call', line),
};

export const cast: Command = {
  name: 'cast',
  synopsis: '<url> <topic>[@server] <method> [json-args]',
  words: [3, 4],
  summary: 'calls a method without waiting for its result',
  about:
    'Ends when the broker has the request, and prints nothing. Where no server is there, it fails (UNROUTABLE) on transports that can tell.',
  options: [...TARGET, 'timeout', 'context', ...CONNECTING],
  examples: [`posthorn cast rabbit://localhost compute snapshot '{"instance": 7}'`],
  run: (line) => ask('cast', line),
};

export const fanout: Command = {
  name: 'fanout',
  synopsis: '<url> <topic> <method> [json-args]',
  words: [3, 4],
  summary: 'calls a method of every server of a topic',
  about: 'Ends when the broker has the request, and prints nothing.',
  options: [...TARGET, 'timeout', 'context', ...CONNECTING],
  examples: ['posthorn fanout rabbit://localhost compute reload'],
  run: (line) => ask('fanout', line),
};

export const ping: Command = {
  name: 'ping',
  synopsis: '<url> <topic>[@server]',
  words: [2, 2],
  summary: 'asks a server whether it is there, and how long that takes',
  about:
    'Calls the method that every server answers, also those of oslo.messaging, and prints the answer and its time.',
  options: [...TARGET, 'timeout', 'wait', ...CONNECTING],
  examples: ['posthorn ping rabbit://localhost compute@host1 --wait 30s'],
  run: (line) => ask('ping', line),
};

export const serve: Command = {
  name: 'serve',
  synopsis: '<url> <topic> <server> <module>',
  words: [4, 4],
  summary: "serves the methods of a module's exports",
  about:
    'Serves what the module exports until SIGINT or SIGTERM; work that runs is finished then. The module is a file or a package: it exports endpoints, or functions, which become methods of their own name. Prints a line once requests are certain to arrive.',
  options: ['exchange', 'telemetry', ...CONNECTING],
  examples: ['posthorn serve rabbit://localhost compute host1 ./compute.js'],
  run: runServer,
};

/** `call`, `cast`, `fanout` and `ping`. */
async function ask(command: string, { words, options }: CommandLine): Promise<void> {
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
    else if (command === 'ping') await pingOnce(client, address, { waitMs, json: options.json === true });
    else await client.cast(context, method, named);
  } finally {
    await transport.close();
  }
}

async function pingOnce(
  client: RPCClient,
  address: string,
  { waitMs, json }: { readonly waitMs: number | undefined; readonly json: boolean },
): Promise<void> {
  const began = performance.now();
  if (waitMs !== undefined) await waitUntilReady(client, { timeoutMs: waitMs });
  const asked = waitMs === undefined ? began : performance.now();
  const answer = await client.call({}, PING_METHOD, {});
  const tookMs = Number((performance.now() - asked).toFixed(1));
  const text = printable(`${answer} from ${address} in ${tookMs.toFixed(1)} ms`);
  await told({ json }, { answer, from: address, tookMs }, text);
}

async function runServer({ words, options }: CommandLine): Promise<void> {
  const [url = '', topic = '', server = '', module = ''] = words;
  const endpoints = endpointsOf(await load(module), module);
  const transport = await open(url, options);
  const target = { ...targetOf(topic, options), server };
  try {
    if (options.telemetry === true) reportTelemetry(transport, { service: topic });
    await new RPCServer(transport, { target, endpoints }).start();
    const { exchange = transport.wire.exchange } = target;
    const address = describe({ kind: 'unicast', exchange, topic, server });
    await told(options, { serving: [address] }, `serving ${address}`);
    await stopped();
  } finally {
    await transport.close();
  }
}

function print(result: unknown): void {
  if (result instanceof Uint8Array) process.stdout.write(result);
  else process.stdout.write(`${stringifyPythonJson(result)}\n`);
}
