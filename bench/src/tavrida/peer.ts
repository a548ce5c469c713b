/** A process of the tests of services: see `TavridaSetup`. It does what its parent says, and ends with it. */
import { setTimeout as pause } from 'node:timers/promises';
import {
  concurrent,
  connect,
  LocalDiscovery,
  rpcMethod,
  rpcResponseMethod,
  rpcService,
  type ServiceObject,
  type ServiceProxy,
  type ServiceRequest,
  ServiceServer,
  serial,
  serviceClient,
  silent,
  type Transport,
} from 'posthorn';
import { TavridaCounter } from './counter.ts';
import type { TavridaLoad } from './options.ts';
import { EXCHANGE, PREFETCH, RETENTION, type TavridaAnswer, type TavridaSetup, type TavridaTask } from './task.ts';
import { twin } from './twin.ts';

interface Peer {
  readonly broker?: string;
  load?(load: TavridaLoad, ms: number): Promise<{ readonly sent: number; readonly connections: number }>;
  close(): Promise<void>;
}

const counter = new TavridaCounter();

function discovery({ a, b }: TavridaSetup): LocalDiscovery {
  const known = new LocalDiscovery();
  for (const service of [a, b]) known.registerRemoteService(service, EXCHANGE);
  return known;
}

/** A as the document has it: forwards each request to B where the test says so, and handles what B answers. */
function serviceA({ test, a, b }: TavridaSetup): ServiceObject<never> | (new () => object) {
  @rpcService(a)
  class A {
    @rpcMethod(`${a}.hello`)
    async hello(_request: ServiceRequest, proxy: ServiceProxy, { at }: { readonly at: number }): Promise<void> {
      if (!counter.request(at) || test === 1) return;
      counter.sent();
      const world = proxy[b]?.['world']?.({ param: 'proxy call - 1' });
      await (test === 2 ? world?.cast() : world?.call());
    }

    @rpcResponseMethod(`${b}.world`)
    response(): void {
      counter.answer();
    }
  }
  return A;
}

async function serve(setup: TavridaSetup): Promise<Peer> {
  const { url, engine, lane, role, b } = setup;
  const transport = await connect(url);
  const serviceB = { service: b, requests: { world: () => ({ param: 'world response' }) } };
  await new ServiceServer(transport, {
    exchange: EXCHANGE,
    discovery: discovery(setup),
    services: [role === 'a' ? serviceA(setup) : serviceB],
    lanes: lane,
    executor: engine === 'serial' ? serial() : concurrent(PREFETCH),
    prefetch: engine === 'serial' ? 1 : PREFETCH,
    retention: RETENTION,
  }).start();
  return { close: async () => void (await transport.close({ timeoutMs: 1_000 })) };
}

async function generator(setup: TavridaSetup): Promise<Peer> {
  const { url, a, lane } = setup;
  const known = discovery(setup);
  // That nobody listens yet is meant to be so.
  const transport = await connect(url, { logger: silent, rabbit: { overflow: 'wait' } });
  const caster = (on: Transport): (() => Promise<void>) => {
    const client = serviceClient(on, {
      discovery: known,
      source: 'generator',
      headers: { aaa: 'bbb' },
      lanes: lane,
      retention: RETENTION,
    });
    return async () =>
      client[a]?.['hello']?.({ param: 123, at: performance.timeOrigin + performance.now() }).cast({
        correlationId: '123-456',
      });
  };
  const cast = caster(transport);
  return {
    close: async () => void (await transport.close({ timeoutMs: 1_000 })),
    async load(load, ms) {
      if (load.kind === 'backlog') return { sent: await sendMany(cast, load.messages), connections: 0 };
      if (load.kind === 'rate') return { sent: await sendAtRate(cast, load.messages, ms), connections: 0 };
      const end = performance.now() + ms;
      let sent = 0;
      for (; performance.now() < end; sent++) {
        const own = await connect(url, { logger: silent });
        await caster(own)();
        await own.close();
      }
      return { sent, connections: sent };
    },
  };
}

const AT_ONCE = 1_000;

async function sendMany(cast: () => Promise<void>, messages: number): Promise<number> {
  for (let sent = 0; sent < messages; sent += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, messages - sent) }, cast));
  return messages;
}

/** Never more than two seconds' worth under way: a broker that does not keep up is not drowned. */
async function sendAtRate(cast: () => Promise<void>, rate: number, ms: number): Promise<number> {
  const began = performance.now();
  let sent = 0;
  let pending = 0;
  const ended = (): void => void pending--;
  for (let now = 0; now < ms; now = performance.now() - began) {
    for (; sent < (now / 1_000) * rate && pending < 2 * rate; sent++) {
      pending++;
      void cast().then(ended, ended);
    }
    await pause(5);
  }
  while (pending > 0) await pause(5);
  return sent;
}

function start(setup: TavridaSetup): Promise<Peer> {
  if (setup.role === 'twin') return twin(setup, counter);
  return setup.role === 'generator' ? generator(setup) : serve(setup);
}

let peer: Peer | undefined;

async function perform(task: TavridaTask): Promise<TavridaAnswer> {
  switch (task.task) {
    case 'start': {
      peer = await start(task.setup);
      return { task: 'start', ...(peer.broker !== undefined && { broker: peer.broker }) };
    }
    case 'load': {
      if (peer?.load === undefined) throw new Error('not a generator');
      return { task: 'load', ...(await peer.load(task.load, task.ms)) };
    }
    case 'count':
      return { task: 'count', counts: await counter.count(task.ms, task.upTo) };
    case 'answers':
      return { task: 'answers', answers: counter.answers };
    case 'stop':
      await peer?.close();
      return { task: 'stop' };
  }
}

process.on('disconnect', () => process.exit());
process.on('message', (task: TavridaTask) => {
  void perform(task)
    .catch((error: unknown) => ({ task: task.task, error: String(error) }))
    .then((answer) => process.send?.(answer));
});
