/**
 * Ways to call: a client, and two servers of one topic. A line for each way of asking, and what came of it: results,
 * refusals, failures, silence. Each has a connection of its own, as if it were a process of its own.
 *
 *   node ways-to-call.js [url]      default memory://ways-to-call
 */
import { argv } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  type CallInfo,
  type Context,
  connect,
  MessagingError,
  messageOf,
  RemoteError,
  RPCClient,
  RPCServer,
  silent,
  type Transport,
  waitUntilReady,
} from 'posthorn';
import { type Audience, narrate } from './hop-printer.ts';
import { Milestones } from './milestones.ts';

const EXCHANGE = 'ways-to-call';
const TOPIC = 'test';
const SERVERS = ['server1', 'server2'];
/** Work that takes longer than servers may be silent. */
const LONG = { workMs: 3_500, monitorMs: 3_000 };

/** An error that both sides know. */
class NotFound extends Error {}
const errors = { NotFound };

type Args = Readonly<Record<string, unknown>>;

interface Noted {
  readonly what: string;
}

interface Work {
  readonly ms: number;
}

export interface WaysToCallOptions extends Audience {
  readonly url: string;
}

/** Runs the whole story once. Resolves when everybody has left. */
export async function waysToCall({ url, onEvent }: WaysToCallOptions): Promise<void> {
  const transports: Transport[] = [];
  const join = async (): Promise<Transport> => {
    const transport = await connect(url, { logger: silent });
    transports.push(transport);
    return transport;
  };
  try {
    const done = new Milestones();
    const notes = new Notes(done);
    for (const server of SERVERS) await serve(await join(), server, notes, () => done.reach(`${server} left`));
    const target = { exchange: EXCHANGE, topic: TOPIC };
    const client = new RPCClient(await join(), { target, errors, timeoutMs: 15_000 });
    await ask(client, notes, done, (way, outcome) => onEvent('client', `${way} → ${outcome}`));
  } finally {
    for (const transport of transports.reverse()) await transport.close({ timeoutMs: 5_000 });
  }
}

async function ask(
  client: RPCClient,
  notes: Notes,
  done: Milestones,
  tell: (way: string, outcome: string) => void,
): Promise<void> {
  const call = async (way: string, of: RPCClient, method: string, args: Args = {}): Promise<void> =>
    tell(way, await outcomeOf(of.call({}, method, args)));
  const note = async (what: string, servers: number, sent: Promise<void>): Promise<void> => {
    await Promise.all([done.wait(`${what} ${servers}`), sent]);
    tell(`note: ${what}`, `${servers} of ${SERVERS.length} servers`);
  };
  const [first, second] = SERVERS.map((server) => client.prepare({ server }));
  if (first === undefined || second === undefined) throw new Error('there are no two servers');

  await waitUntilReady(client);
  await call('ping', client, 'oslo_rpc_server_ping');
  await call('call', client, 'test', { arg: 'Hello!' });
  await call('call of one server', first, 'name');
  await call('call of the other', second, 'name');
  await note('cast', 1, client.cast({}, 'note', { what: 'cast' }));
  await note('fanout', 2, client.fanout({}, 'note', { what: 'fanout' }));
  await note('cast to one server', 1, second.cast({}, 'note', { what: 'cast to one server' }));
  await call('call of a version that is too new', client.prepare({ version: '1.1' }), 'test', { arg: '' });
  await call('call of an unknown namespace', client.prepare({ namespace: 'nowhere' }), 'test', { arg: '' });
  await call('call of a private method', client, '_hidden');
  await call('call of an unknown method', client, 'tset');
  await call('call of a method that fails', client, 'fail');
  await call('call of a method that fails in a way both sides know', client, 'find');
  await call('call that takes too long', client.prepare({ timeoutMs: 300 }), 'work', { ms: 10_000 });
  const { workMs, monitorMs } = LONG;
  await call('long call with signs of life', client.prepare({ monitorMs }), 'work', { ms: workMs });
  await call('call of a topic that nobody serves', client.prepare({ topic: 'nobody' }), 'test', { arg: '' });
  const left = done.wait('server2 left');
  await Promise.all([left, call('stop', second.prepare({ namespace: 'control', version: '2.0' }), 'stop')]);
  await call('call of the server that left', second, 'name');
  await call('call after that', client, 'name');
  tell('notes in all', notes.all());
}

async function serve(transport: Transport, server: string, notes: Notes, onLeft: () => void): Promise<void> {
  const test = {
    test: (_: Context, { arg }: { readonly arg: string }) => arg,
    name: () => server,
    note: (_: Context, { what }: Noted) => notes.add(what, server),
    work: (_: Context, { ms }: Work, { signal }: CallInfo) => sleep(ms, 'done', { signal }),
    fail(): never {
      throw new RangeError('too far');
    },
    find(): never {
      throw new NotFound('no such thing');
    },
    _hidden: () => 'never to be seen',
  };
  const control = {
    target: { namespace: 'control', version: '2.0' },
    // Closing waits for what runs, this very call included: its reply is sent first.
    stop: () => void transport.close().then(onLeft),
  };
  const target = { exchange: EXCHANGE, topic: TOPIC, server };
  await new RPCServer(transport, { target, endpoints: [test, control], errors }).start();
}

/** What servers were told that need not answer. */
class Notes {
  readonly #done: Milestones;
  readonly #servers = new Map<string, string[]>();

  constructor(done: Milestones) {
    this.#done = done;
  }

  add(what: string, server: string): void {
    this.#servers.set(what, [...(this.#servers.get(what) ?? []), server]);
    this.#done.count(what);
  }

  /** A plain cast may have gone to either server. */
  all(): string {
    const told = [...this.#servers].map(([what, servers]) =>
      what === 'cast' ? `${what}: ${servers.length} server` : `${what}: ${servers.toSorted().join(', ')}`,
    );
    return told.join('; ');
  }
}

async function outcomeOf(answer: Promise<unknown>): Promise<string> {
  try {
    return JSON.stringify(await answer);
  } catch (error) {
    if (error instanceof RemoteError) return `${error.code} ${error.type}: ${error.message}`;
    if (error instanceof MessagingError) return `${error.code}: ${error.message}`;
    return `${error instanceof NotFound ? NotFound.name : 'unknown'}: ${messageOf(error)}`;
  }
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const url = argv[2] ?? 'memory://ways-to-call';
  await narrate('Ways to call', (audience, onUrl) => {
    onUrl(url);
    return waysToCall({ url, ...audience });
  });
}
