import { once } from 'node:events';
import { concurrent, type Transport } from '@posthorn/core';
import { Publisher, Subscriber } from '@posthorn/messaging';
import { NotificationListener, Notifier } from '@posthorn/notify';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { type Measured, underLoad, WARM_MS } from './bench-load.ts';
import type { TopologyFile } from './topology-file.ts';

/** The two ends of a broker, with names of their own. */
export interface Bench {
  readonly sender: Transport;
  readonly receiver: Transport;
  /** The exchange, the topic, the group. */
  readonly name: string;
  readonly ms: number;
  readonly signal: AbortSignal;
}

export interface Scenario {
  readonly name: string;
  readonly inFlight: number;
  readonly run: (bench: Bench) => Promise<Measured>;
}

const TIMEOUT_MS = 10_000;
const SERVER = 'bench';
const CONCURRENCY = 1_024;
/** Messages that one scenario leaves for the one that consumes them, at most: 30 MB. */
const BACKLOG = 100_000;
const PAYLOAD = { text: 'x'.repeat(256) };
const TYPE = { messageType: 'bench', version: '1.0' } as const;

const CALLS = [1, 10, 100, 1_000].map(
  (inFlight): Scenario => ({ name: 'rpc', inFlight, run: (bench) => calls(bench, inFlight) }),
);

const SHARED: readonly Scenario[] = [
  { name: 'publish', inFlight: 1, run: (bench) => publishing(bench, 1) },
  { name: 'publish', inFlight: 1_000, run: (bench) => publishing(bench, 1_000) },
  { name: 'consume', inFlight: 32, run: consuming },
  { name: 'notify', inFlight: 100, run: notifying },
];

/** Those that this broker can do. */
export function scenariosFor({ features }: Transport): readonly Scenario[] {
  const can = (...kinds: Transport['features']['kinds']): boolean =>
    kinds.every((kind) => features.kinds.includes(kind));
  return [
    ...(can('reply', 'unicast', 'multicast') ? CALLS : []),
    ...(can('topic', 'group') && features.keep ? SHARED : []),
  ];
}

/** What the scenarios declare. */
export function topologyOf(name: string): TopologyFile {
  return {
    servers: [{ exchange: name, topic: name, server: [SERVER] }],
    notifiers: [{ exchange: name, topics: [name], priorities: ['info'] }],
    listeners: [{ targets: [{ exchange: name, topic: name }], priorities: ['info'] }],
    publishers: [{ exchange: name }],
    subscribers: [{ exchange: [name], bindings: ['#'], group: name }],
    mailboxes: [],
    services: [],
  };
}

async function calls({ sender, receiver, name, ms, signal }: Bench, inFlight: number): Promise<Measured> {
  const target = { exchange: name, topic: name };
  const server = new RPCServer(receiver, {
    target: { ...target, server: SERVER },
    endpoints: [{ echo: (args: object) => args }],
    executor: concurrent(CONCURRENCY),
    prefetch: CONCURRENCY,
  });
  try {
    await server.start();
    const client = new RPCClient(sender, { target, timeoutMs: TIMEOUT_MS });
    return await underLoad({ inFlight, ms, signal }, () => client.call({}, 'echo', { text: 'hello, posthorn' }));
  } finally {
    await server.close({ timeoutMs: TIMEOUT_MS });
  }
}

async function publishing(bench: Bench, inFlight: number): Promise<Measured> {
  const { sender, name, ms, signal } = bench;
  // Makes the queue that they wait in.
  await subscriber(bench, () => undefined)
    .start()
    .then((made) => made.close());
  const publisher = new Publisher(sender, { exchange: name, publisherId: SERVER });
  return await underLoad({ inFlight, ms, signal, most: BACKLOG }, async () => {
    const { error } = await publisher.publish({ ...TYPE, payload: PAYLOAD }, { key: 'bench' });
    if (error !== undefined) throw error;
  });
}

/** What was published before; when that is not enough, it ends early. */
async function consuming(bench: Bench): Promise<Measured> {
  const { ms, signal } = bench;
  const backlog = await bench.receiver.inspect({ kind: 'group', name: bench.name }).catch(() => undefined);
  const enough = new AbortController();
  const until = AbortSignal.any([signal, enough.signal]);
  const ended = once(until, 'abort');
  let [count, first, last] = [0, 0, 0];
  const reader = subscriber(bench, () => {
    if (until.aborted) return;
    last = performance.now();
    if (count++ === 0) first = last;
    if (backlog !== undefined && count >= backlog.ready) enough.abort();
  });
  await reader.start();
  const timer = setTimeout(() => enough.abort(), WARM_MS + ms);
  await ended;
  clearTimeout(timer);
  await reader.close({ timeoutMs: TIMEOUT_MS });
  const tookMs = Math.max(1, last - first);
  return { count, perSecond: Math.round((count * 1_000) / tookMs), p50Ms: 0, p99Ms: 0 };
}

function subscriber({ receiver, name }: Bench, handle: () => void): Subscriber {
  return new Subscriber(receiver, { exchange: name, group: name }).bind('#', handle);
}

async function notifying({ sender, receiver, name, ms, signal }: Bench): Promise<Measured> {
  const listener = new NotificationListener(receiver, {
    targets: [{ exchange: name, topic: name }],
    endpoints: [{ info: () => undefined }],
  });
  try {
    await listener.start();
    const notifier = new Notifier(sender, {
      publisherId: SERVER,
      exchange: name,
      topics: [name],
      timeoutMs: TIMEOUT_MS,
    });
    return await underLoad({ inFlight: 100, ms, signal }, () => notifier.info({}, 'bench', PAYLOAD));
  } finally {
    await listener.close({ timeoutMs: TIMEOUT_MS });
  }
}
