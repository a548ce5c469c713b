import { type PythonPeer, spawnPython } from './python.ts';
import { parsePythonJson } from './python-json.ts';

/** What both kinds of peers are told when they start. */
export interface OsloOptions {
  /** `rabbit://user:password@host:port/vhost`, or several hosts as oslo.messaging writes them. */
  readonly url: string;
  /** The control exchange; `openstack` by default. */
  readonly exchange?: string;
  /** Options of oslo.messaging by `group.name`: `{ 'oslo_messaging_rabbit.amqp_durable_queues': true }`. */
  readonly options?: Readonly<Record<string, string | number | boolean>>;
  /** Modules whose exceptions the peer may re-create; `peers.errors` is the one of our scripts. */
  readonly allowModules?: readonly string[];
}

/** What a Python endpoint was told by `note(**kw)`. */
export interface OsloNote {
  readonly server: string;
  readonly kw: Readonly<Record<string, unknown>>;
  readonly ctxt: Readonly<Record<string, unknown>>;
}

/** A Python RPC server; see oslo/server.py for its endpoints. */
export class OsloServer implements AsyncDisposable {
  readonly peer: PythonPeer;

  private constructor(peer: PythonPeer) {
    this.peer = peer;
  }

  /** Resolves when it serves. `ping` has it answer `oslo_rpc_server_ping`. */
  static async start(
    options: OsloOptions & { readonly topic: string; readonly server: string; readonly ping?: boolean },
  ): Promise<OsloServer> {
    const { url, topic, server, ping } = options;
    const peer = await spawnPython('server.py', [url, topic, server, ...(ping ? ['--ping'] : []), ...flags(options)]);
    await peer.line(/"event": "ready"/, 20_000);
    return new OsloServer(peer);
  }

  /** What `note` was told so far, oldest first. */
  get notes(): OsloNote[] {
    return this.peer.lines.filter((line) => NOTE.test(line)).map((line) => parsePythonJson(line) as OsloNote);
  }

  /** Resolves when `slow` was begun. */
  async slow(): Promise<void> {
    await this.peer.line(/"event": "slow"/);
  }

  /** The first note whose line matches, told already or still to come. */
  async note(pattern: RegExp = NOTE, timeoutMs?: number): Promise<OsloNote> {
    const line = await this.peer.line(new RegExp(`^(?=.*${NOTE.source})(?=.*${pattern.source})`), timeoutMs);
    return parsePythonJson(line) as OsloNote;
  }

  /** Lets oslo.messaging stop in good order: running calls finish and reply first. Up to 5 s when idle. */
  async close(): Promise<void> {
    this.peer.send({ do: 'stop' });
    await this.peer.wait();
  }

  /** Ends it at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.peer.stop();
  }
}

const NOTE = /"event": "note"/;

/** One request to a Python RPC client. Durations are in seconds, as in Python. */
export interface OsloRequest {
  readonly topic: string;
  readonly method: string;
  readonly args?: Readonly<Record<string, unknown>>;
  /** In place of `args`: JSON text as Python reads it, for what JavaScript's JSON cannot say (NaN, large integers). */
  readonly argsText?: string;
  readonly ctxt?: Readonly<Record<string, unknown>>;
  readonly exchange?: string;
  readonly server?: string;
  readonly namespace?: string;
  readonly version?: string;
  readonly timeout?: number;
  /** `call_monitor_timeout`: whole seconds. */
  readonly monitor?: number;
  /** Connection attempts: 0 none, -1 for ever. */
  readonly retry?: number;
  readonly at_least_once?: boolean;
}

/** The exception that a Python client saw. */
export class OsloError extends Error {
  override readonly name = 'OsloError';
  /** Class and module of the exception, e.g. `RemoteError` of `oslo_messaging.rpc.client`. */
  readonly class: string;
  readonly module: string;
  /** The remote class, of a RemoteError only. */
  readonly excType: string | undefined;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** The remote traceback of a RemoteError, else the client's. */
  readonly traceback: string;

  constructor(failure: OsloFailure) {
    super(failure.message);
    this.class = failure.class;
    this.module = failure.module;
    this.excType = failure.exc_type;
    this.args = failure.args;
    this.kwargs = failure.kwargs;
    this.traceback = failure.traceback;
  }
}

interface OsloFailure {
  readonly class: string;
  readonly module: string;
  readonly message: string;
  readonly exc_type?: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly traceback: string;
}

/** A Python RPC client. Several requests may be on the way at once. */
export class OsloClient implements AsyncDisposable {
  readonly peer: PythonPeer;
  #requests = 0;

  private constructor(peer: PythonPeer) {
    this.peer = peer;
  }

  static async start(options: OsloOptions): Promise<OsloClient> {
    const peer = await spawnPython('client.py', [options.url, ...flags(options)]);
    await peer.line(/"event": "ready"/, 20_000);
    return new OsloClient(peer);
  }

  /** The result, read by `parsePythonJson`; rejects with OsloError. */
  call(request: OsloRequest): Promise<unknown> {
    return this.#ask('call', request);
  }

  /** Resolves when the broker has confirmed the cast. */
  async cast(request: OsloRequest): Promise<void> {
    await this.#ask('cast', request);
  }

  /** Resolves when the broker has confirmed the cast to all servers. */
  async fanout(request: OsloRequest): Promise<void> {
    await this.#ask('fanout', request);
  }

  async #ask(verb: string, request: OsloRequest): Promise<unknown> {
    this.#requests += 1;
    const id = this.#requests;
    const { argsText, ...rest } = request;
    const text = JSON.stringify({ id, do: verb, ...rest });
    this.peer.send(argsText === undefined ? text : `${text.slice(0, -1)}, "args": ${argsText}}`);
    // The Python side ends every call by its own timeout; ours is for a peer that forgets.
    const line = await this.peer.line(new RegExp(`^{"id": ${id}, `), ((request.timeout ?? 60) + 30) * 1000);
    const answer = parsePythonJson(line) as { readonly ok?: unknown; readonly error?: OsloFailure };
    if (answer.error) throw new OsloError(answer.error);
    return answer.ok;
  }

  /** Ends it; calls on the way are abandoned. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.peer.stop();
  }
}

/** The arguments that tell a peer of these options. */
export function flags({ exchange, options = {}, allowModules = [] }: OsloOptions): string[] {
  return [
    ...(exchange === undefined ? [] : ['--exchange', exchange]),
    ...Object.entries(options).flatMap(([name, value]) => ['--option', `${name}=${value}`]),
    ...allowModules.flatMap((module) => ['--allow-module', module]),
  ];
}
