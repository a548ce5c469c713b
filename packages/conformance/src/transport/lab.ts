import { newId, type Transport, type TransportOptions } from '@posthorn/core';
import {
  type Endpoint,
  RPCClient,
  type RPCClientOptions,
  RPCServer,
  type RPCServerOptions,
  type UntypedApi,
} from '@posthorn/rpc';
import { type LogLine, recordingLogger } from './recording-logger.ts';
import type { TransportHarness } from './transport-harness.ts';

export interface ServeOptions extends Partial<RPCServerOptions> {
  /** The server's name; `server` by default. */
  readonly server?: string;
  /** Another transport than the lab's own server side. */
  readonly on?: Transport;
}

export interface LabClientOptions extends Partial<RPCClientOptions> {
  readonly on?: Transport;
}

const CLOSE_WITHIN_MS = 3_000;

/** What one test needs: a topic of its own, a connection for each side, and an end for all of it. */
export class Lab implements AsyncDisposable {
  readonly topic: string = `topic-${newId()}`;
  /** What the transports of this lab log. */
  readonly log: ReturnType<typeof recordingLogger> = recordingLogger();
  readonly #transport: TransportHarness;
  readonly #opened: Transport[] = [];
  #serving: Promise<Transport> | undefined;
  #calling: Promise<Transport> | undefined;

  constructor(transport: TransportHarness) {
    this.#transport = transport;
  }

  /** What was logged at one level, in order. */
  logged(level: LogLine['level']): { readonly message: string; readonly fields: Readonly<Record<string, unknown>> }[] {
    return this.log.lines
      .filter((line) => line.level === level)
      .map(({ message, fields }) => ({ message, fields: { ...fields } }));
  }

  /** A connection that is closed with the lab. */
  async connect(options: TransportOptions = {}): Promise<Transport> {
    const transport = await this.#transport.connect({ logger: this.log, ...options });
    this.#opened.push(transport);
    return transport;
  }

  /** The connection that servers use, unless told otherwise. */
  serving(): Promise<Transport> {
    this.#serving ??= this.connect();
    return this.#serving;
  }

  /** The connection that clients use, unless told otherwise. */
  calling(): Promise<Transport> {
    this.#calling ??= this.connect();
    return this.#calling;
  }

  /** A started server of the lab's topic. */
  async serve(
    endpoints: Endpoint | readonly Endpoint[],
    { server = 'server', on, target, ...options }: ServeOptions = {},
  ): Promise<RPCServer> {
    return await new RPCServer(on ?? (await this.serving()), {
      target: { topic: this.topic, server, ...target },
      ...options,
      endpoints: Array.isArray(endpoints) ? endpoints : [endpoints],
    }).start();
  }

  /** A client of the lab's topic, whose reply address is open: short deadlines measure what follows. */
  async client<Api = UntypedApi>({ on, target, ...options }: LabClientOptions = {}): Promise<RPCClient<Api>> {
    const transport = on ?? (await this.calling());
    await transport.inbox.address();
    return new RPCClient<Api>(transport, { target: { topic: this.topic, ...target }, ...options });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const transport of this.#opened.reverse()) await transport.close({ timeoutMs: CLOSE_WITHIN_MS });
  }
}
